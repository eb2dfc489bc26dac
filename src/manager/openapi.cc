#include "manager/openapi.h"

#include <fmt/format.h>

#include <map>

#include "base/json.h"
#include "manager/requests.h"

namespace chorok::manager {
namespace {

using json::quoted;

// Every struct and enum that the routes mention, by name.
class Schemas {
 public:
  std::string ref(const Type& type) {
    collect(type);
    return fmt::format(R"({{"$ref":"#/components/schemas/{}"}})", type.name);
  }
  void add(std::string name, std::string schema) { all_[std::move(name)] = std::move(schema); }
  std::string object() const {
    std::string out;
    for (const auto& [name, schema] : all_)
      out += fmt::format("{}{}:{}", out.empty() ? "" : ",", quoted(name), schema);
    return "{" + out + "}";
  }

 private:
  void collect(const Type& type) {
    if (type.element != nullptr) return collect(type.element());
    if (type.kind != Kind::kStruct && type.kind != Kind::kEnum) return;
    if (!all_.try_emplace(type.name).second) return;
    for (const Field& field : type.fields) collect(field.type());
    all_[type.name] = json::schema(type);
  }
  std::map<std::string, std::string> all_;
};

constexpr std::string_view kProblem = R"({
  "type":"object","description":"What went wrong (RFC 9457).",
  "required":["type","title","status","detail"],
  "properties":{
    "type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},
    "detail":{"type":"string","description":"What happened and what to do."},
    "code":{"type":"string","description":"Stable name of the kind of error."},
    "field":{"type":"string","description":"JSON pointer into the body, ?NAME of a parameter, or a header."},
    "instance":{"type":"string"}}})";

std::string parameters(const Route& route) {
  std::vector<std::string> items;
  for (const std::string& part : route.pattern) {
    if (!part.starts_with('{')) continue;
    const bool is_path = part == "{path...}";
    std::string name = is_path ? "path" : part.substr(1, part.size() - 2);
    items.push_back(fmt::format(
        R"({{"name":{},"in":"path","required":true,"description":{},"schema":{{"type":"string"}}}})",
        quoted(name),
        quoted(name == "ref" ? "Id or name."
               : is_path     ? "Of the file; its slashes are not encoded."
                             : "Works once.")));
  }
  for (const Param& param : route.query)
    items.push_back(
        fmt::format(R"({{"name":{},"in":"query","description":{},"schema":{{"type":{}}}}})",
                    quoted(param.name), quoted(param.doc), quoted(param.schema)));
  auto header = [&](std::string_view name, std::string_view doc) {
    items.push_back(
        fmt::format(R"({{"name":{},"in":"header","description":{},"schema":{{"type":"string"}}}})",
                    quoted(name), quoted(doc)));
  };
  if (route.method == "POST" && route.access == Access::kToken)
    header("Idempotency-Key",
           "The same key and request within 24 h answer the first answer again.");
  if (route.changes() && route.kind != nullptr && route.pattern.size() > 3)
    header("If-Match", "Only if the object still has this ETag; else 412.");
  if (route.body_form == BodyForm::kBytes)
    header("X-Checksum-Sha256", "What the file must come to, in hex.");
  return fmt::format("[{}]", fmt::join(items, ","));
}

std::string content(std::string_view type, std::string_view schema) {
  return fmt::format(R"({{{}:{{"schema":{}}}}})", quoted(type), schema);
}

std::string request_body(const Route& route, Schemas& schemas) {
  switch (route.body_form) {
    case BodyForm::kNone:
      return {};
    case BodyForm::kJson:
      return fmt::format(R"("requestBody":{{"required":{},"content":{}}},)", route.verb == nullptr,
                         content("application/json", schemas.ref(*route.body)));
    case BodyForm::kPatch:
      // A patch may leave out what the whole requires.
      schemas.ref(*route.body);
      return fmt::format(
          R"("requestBody":{{"required":true,"content":{}}},)",
          content("application/merge-patch+json",
                  fmt::format(R"({{"type":"object","description":"Fields of {} that change."}})",
                              route.body->name)));
    case BodyForm::kBytes:
      return fmt::format(
          R"("requestBody":{{"required":true,"content":{}}},)",
          content("application/octet-stream", R"({"type":"string","format":"binary"})"));
  }
  return {};
}

std::string list_schema(const Route& route, Schemas& schemas) {
  std::string name = route.answer->name + "List";
  schemas.add(name,
              fmt::format(R"({{"type":"object","required":["items","revision","total","continue"],)"
                          R"("properties":{{"items":{{"type":"array","items":{}}},)"
                          R"("continue":{{"type":"string"}},"revision":{{"type":"integer"}},)"
                          R"("total":{{"type":"integer"}}}}}})",
                          schemas.ref(*route.answer)));
  return fmt::format(R"({{"$ref":"#/components/schemas/{}"}})", name);
}

std::string success(const Route& route, Schemas& schemas) {
  auto with = [&](std::string_view doc, std::string body, std::string headers = {}) {
    std::string out = fmt::format(R"({{"description":{})", quoted(doc));
    if (!headers.empty()) out += R"(,"headers":)" + headers;
    if (!body.empty()) out += R"(,"content":)" + body;
    return out + "}";
  };
  auto header = [](std::string_view name) {
    return fmt::format(R"({{{}:{{"schema":{{"type":"string"}}}}}})", quoted(name));
  };
  switch (route.answer_form) {
    case AnswerForm::kNothing:
      return with("Done.", "");
    case AnswerForm::kObject:
      return with("The object.", content("application/json", schemas.ref(*route.answer)),
                  header("ETag"));
    case AnswerForm::kList:
      return with("A page.", content("application/json", list_schema(route, schemas)));
    case AnswerForm::kTask:
      return with("The task that does it.", content("application/json", schemas.ref(*route.answer)),
                  header("Location"));
    case AnswerForm::kEvents:
      return with("Events.", content("text/event-stream", R"({"type":"string"})"));
    case AnswerForm::kWebSocket:
      return with("A WebSocket.", "");
    case AnswerForm::kBytes:
      return with("The bytes.",
                  content("application/octet-stream", R"({"type":"string","format":"binary"})"));
    case AnswerForm::kDocument:
      return with("A document.", content("application/json", R"({"type":"object"})"));
  }
  return {};
}

std::string responses(const Route& route, Schemas& schemas) {
  const int status = route.answer_form == AnswerForm::kWebSocket ? 101 : route.status;
  std::string out = fmt::format(R"("{}":{})", status, success(route, schemas));
  if (route.may_dry_run() && status != 200)
    out += fmt::format(R"(,"200":{{"description":"Of a dry run.","content":{}}})",
                       content("application/json", schemas.ref(DryRun::type())));
  out += fmt::format(
      R"(,"default":{{"description":"A problem.","content":{}}})",
      content("application/problem+json", R"({"$ref":"#/components/schemas/ApiProblem"})"));
  return "{" + out + "}";
}

std::string operation(const Route& route, Schemas& schemas) {
  std::string security = route.access == Access::kToken  ? R"([{"bearer":[]}])"
                         : route.access == Access::kHost ? R"([{"certificate":[]}])"
                                                         : "[]";
  return fmt::format(
      R"({{"operationId":{},"tags":[{}],"summary":{},"security":{},"parameters":{},{}"responses":{}}})",
      quoted(route.id), quoted(route.tag), quoted(route.doc), security, parameters(route),
      request_body(route, schemas), responses(route, schemas));
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

}  // namespace

std::string make_openapi(const std::vector<Route>& routes, std::string_view version) {
  Schemas schemas;
  schemas.add("ApiProblem", std::string(kProblem));
  std::map<std::string, std::string> paths;
  for (const Route& route : routes) {
    std::string& operations = paths[route.path()];
    operations += fmt::format("{}{}:{}", operations.empty() ? "" : ",", quoted(lower(route.method)),
                              operation(route, schemas));
  }
  std::string path_items;
  for (const auto& [path, operations] : paths)
    path_items +=
        fmt::format("{}{}:{{{}}}", path_items.empty() ? "" : ",", quoted(path), operations);
  return fmt::format(
      R"({{"openapi":"3.1.0","info":{{"title":"Chorok","version":{},)"
      R"("description":"Virtual infrastructure for KVM hosts.","license":{{"name":"Apache-2.0",)"
      R"("identifier":"Apache-2.0"}}}},"paths":{{{}}},"components":{{"securitySchemes":{{)"
      R"("bearer":{{"type":"http","scheme":"bearer"}},"certificate":{{"type":"mutualTLS"}}}},)"
      R"("schemas":{}}}}})",
      quoted(version), path_items, schemas.object());
}

}  // namespace chorok::manager
