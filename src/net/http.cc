#include "net/http.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "net/http_text.h"

namespace chorok::net {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

struct StatusRow {
  int status;
  std::string_view reason;
};
constexpr StatusRow kReasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

struct CodeRow {
  Code code;
  int status;
};
// Both ways; the first row with a status is the one it is read back as.
constexpr CodeRow kCodes[] = {
    {Code::kInvalid, 400},
    {Code::kUnauthenticated, 401},
    {Code::kPermissionDenied, 403},
    {Code::kNotFound, 404},
    {Code::kConflict, 409},
    {Code::kAlreadyExists, 409},
    {Code::kFailedPrecondition, 409},
    {Code::kExhausted, 429},
    {Code::kCancelled, 499},
    {Code::kInternal, 500},
    {Code::kUnknown, 500},
    {Code::kUnsupported, 501},
    {Code::kUnavailable, 503},
    {Code::kTimeout, 504},
};

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  auto append = [&](std::string_view text) {
    for (char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte >= 0x20 && byte != 0x7f) || c == '\t') out += c;
    }
  };
  append(name);
  out += ": ";
  append(value);
  out += "\r\n";
}

const std::string* Headers::find(std::string_view name) const {
  for (const Header& header : items_) {
    if (equals_ignoring_case(header.name, name)) return &header.value;
  }
  return nullptr;
}

std::string_view Headers::get(std::string_view name, std::string_view otherwise) const {
  const std::string* value = find(name);
  return value != nullptr ? std::string_view(*value) : otherwise;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  for (const Header& header : items_) {
    if (!equals_ignoring_case(header.name, name)) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      std::string_view item = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
      if (equals_ignoring_case(item, token)) return true;
    }
  }
  return false;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      items_, [&](const Header& header) { return equals_ignoring_case(header.name, name); }));
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  items_.push_back({std::string(name), std::move(value)});
}

void Headers::remove(std::string_view name) {
  std::erase_if(items_,
                [&](const Header& header) { return equals_ignoring_case(header.name, name); });
}

const std::string* Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

Response Response::text(int status, std::string body, std::string_view type) {
  return Response{status, {{"Content-Type", std::string(type)}}, std::move(body)};
}

Response Response::json(std::string body, int status) {
  return text(status, std::move(body), "application/json");
}

namespace {

Response problem_of(int status, std::string_view detail, const Error* error,
                    std::string_view instance) {
  boost::json::object object{{"type", "about:blank"},
                             {"title", std::string(http_reason(status))},
                             {"status", status},
                             {"detail", std::string(detail)}};
  if (error != nullptr) {
    object["code"] = std::string(to_string(error->code));
    if (!error->field.empty()) object["field"] = error->field;
  }
  if (!instance.empty()) object["instance"] = std::string(instance);
  return Response::text(status, boost::json::serialize(object), "application/problem+json");
}

}  // namespace

Response Response::problem(const Error& error, std::string_view instance) {
  return problem_of(http_status(error.code), error.message, &error, instance);
}
Response Response::problem(int status, std::string_view detail) {
  return problem_of(status, detail, nullptr, {});
}

Response Response::stream(std::string_view type, std::function<Async<>(BodySink&)> write) {
  return Response{200, {{"Content-Type", std::string(type)}}, StreamBody{std::move(write), {}}};
}

Response Response::websocket(std::function<awaitable<void>(std::shared_ptr<WebSocket>)> run,
                             std::shared_ptr<const WebSocketSettings> settings,
                             std::string protocol) {
  return Response{101, {}, UpgradeBody{std::move(run), std::move(settings), std::move(protocol)}};
}

int http_status(Code code) {
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return row.status;
  }
  return 500;
}

Code code_from_http_status(int status) {
  for (const CodeRow& row : kCodes) {
    if (row.status == status) return row.code;
  }
  if (status == 412) return Code::kConflict;
  if (status == 413 || status == 431 || status == 507) return Code::kExhausted;
  if (status == 408) return Code::kTimeout;
  if (status == 502) return Code::kUnavailable;
  return status >= 400 && status < 500 ? Code::kInvalid : Code::kInternal;
}

std::string_view http_reason(int status) {
  for (const StatusRow& row : kReasons) {
    if (row.status == status) return row.reason;
  }
  return status == 499 ? "Cancelled" : "Unknown";
}

Error error_from_problem(int status, std::string_view body) {
  Error error{code_from_http_status(status), std::string(http_reason(status)), {}};
  boost::system::error_code bad;
  auto value = boost::json::parse(body, bad);
  const auto* object = bad ? nullptr : value.if_object();
  if (object == nullptr) return error;
  auto text = [&](std::string_view name) -> std::string {
    const auto* field = object->if_contains(name);
    return field != nullptr && field->is_string() ? std::string(field->as_string()) : std::string();
  };
  if (auto code = text("code"); !code.empty()) error.code = code_from_string(code);
  if (auto detail = text("detail"); !detail.empty()) error.message = std::move(detail);
  error.field = text("field");
  return error;
}

}  // namespace chorok::net
