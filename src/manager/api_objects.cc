// Lists, objects, verbs: what every kind has.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "manager/api_core.h"

namespace chorok::manager {
namespace {

using model::Role;

std::string folder_of_target(const Inventory& inventory, std::string_view kind,
                             const std::string& id) {
  auto object =
      model::find_resource_kind(kind) != nullptr ? table_of(kind).resolve(inventory, id) : nullptr;
  return object == nullptr ? std::string() : Requests::folder_of(kind, object.get());
}

bool own_or_admin(const Caller& caller, const std::string& owner) {
  return caller.role_on("") == Role::kAdmin || (!owner.empty() && owner == caller.user);
}

Unexpected not_found(const Call& call, const model::ResourceKind& kind, std::string_view ref) {
  auto sees = visible_to(call.core, call.caller, kind.kind);
  std::vector<std::string_view> names;
  // Suggestions are a courtesy, not a search: few, and none that cannot be near.
  constexpr std::size_t kNamesMax = 500, kLengthsApartMax = 3;
  table_of(kind.kind).visit(call.core.engine.inventory(), [&](const KindTable::Object& object) {
    if (names.size() >= kNamesMax || (sees && !sees(object.get()))) return;
    const model::Meta* meta = meta_of(kind.type(), object.get());
    if (meta == nullptr) return;
    const std::size_t a = meta->name.size(), b = ref.size();
    if (std::max(a, b) - std::min(a, b) <= kLengthsApartMax) names.push_back(meta->name);
  });
  std::string_view near = nearest(ref.substr(0, 64), names);
  return fail(Code::kNotFound, near.empty() ? fmt::format("there is no {} '{}'", kind.kind, ref)
                                            : fmt::format("there is no {} '{}'; did you mean '{}'?",
                                                          kind.kind, ref, near));
}

template <class Start>
net::Async<Answer> ask(Start start) {
  return until_done<Result<Answer>>(std::move(start));
}

}  // namespace

std::function<bool(const void*)> visible_to(const ApiCore& core, const Caller& caller,
                                            std::string_view kind) {
  const Inventory& inventory = core.engine.inventory();
  if (kind == "user")
    return [&caller](const void* object) {
      return own_or_admin(caller, static_cast<const model::User*>(object)->meta.id);
    };
  if (kind == "token")
    return [&caller](const void* object) {
      return own_or_admin(caller, static_cast<const model::Token*>(object)->user);
    };
  if (kind == "audit" || kind == "webhook") {
    bool is_admin = caller.role_on("") == Role::kAdmin;
    return [is_admin](const void*) { return is_admin; };
  }
  if (caller.role_on("") >= Role::kViewer) return nullptr;
  if (kind == "task")
    return [&caller, &inventory](const void* object) {
      const auto& task = *static_cast<const model::Task*>(object);
      return task.user == caller.user_name ||
             caller.role_on(folder_of_target(inventory, task.target_kind, task.target)) >=
                 Role::kViewer;
    };
  if (kind == "event")
    return [&caller, &inventory](const void* object) {
      const auto& event = *static_cast<const model::Event*>(object);
      return caller.role_on(folder_of_target(inventory, event.subject_kind, event.subject)) >=
             Role::kViewer;
    };
  if (kind == "alarm")
    return [&caller, &inventory](const void* object) {
      const auto& alarm = *static_cast<const model::Alarm*>(object);
      return caller.role_on(folder_of_target(inventory, alarm.subject_kind, alarm.subject)) >=
             Role::kViewer;
    };
  return [&caller, kind](const void* object) {
    return caller.role_on(Requests::folder_of(kind, object)) >= Role::kViewer;
  };
}

Result<std::shared_ptr<const void>> find_object(Call& call, const model::ResourceKind& kind,
                                                std::string_view ref) {
  auto object = table_of(kind.kind).resolve(call.core.engine.inventory(), ref);
  auto sees = visible_to(call.core, call.caller, kind.kind);
  if (object == nullptr || (sees && !sees(object.get()))) return not_found(call, kind, ref);
  return object;
}

// ---- Answers

std::string etag_of(const Type& type, const void* object) {
  if (const model::Meta* meta = meta_of(type, object)) return fmt::format("\"{}\"", meta->revision);
  if (&type == &model::Task::type())
    return fmt::format("\"{}\"", static_cast<const model::Task*>(object)->revision);
  return {};
}

net::Response object_response(const Type& type, const void* object, int status) {
  net::Response response = net::Response::json(json::encode(type, object), status);
  if (std::string etag = etag_of(type, object); !etag.empty()) response.headers.add("ETag", etag);
  return response;
}

net::Response dry_run_response(const DryRun& answer) {
  return net::Response::json(json::encode(answer));
}

net::Response answer_response(Call& call, const Answer& answer, int status) {
  if (answer.dry_run) return dry_run_response(*answer.dry_run);
  if (answer.task != nullptr) {
    net::Response response = object_response(model::Task::type(), answer.task.get(), 202);
    response.headers.add("Location", "/api/v1/tasks/" + answer.task->id);
    return response;
  }
  if (answer.object == nullptr) return net::Response{204, {}, std::string()};
  net::Response response = object_response(*answer.type, answer.object.get(), status);
  if (status == 201 && call.route.kind != nullptr)
    if (const model::Meta* meta = meta_of(*answer.type, answer.object.get()))
      response.headers.add("Location",
                           fmt::format("/api/v1/{}/{}", call.route.kind->plural, meta->id));
  return response;
}

namespace {

// Errors repeat what the client sent, which may be anything; an answer is UTF-8.
std::string clean(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    bool is_good = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; is_good && k < length; ++k)
      is_good = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    // Overlong forms and surrogates.
    if (is_good && length > 2) {
      const auto next = static_cast<unsigned char>(text[i + 1]);
      is_good = !(lead == 0xe0 && next < 0xa0) && !(lead == 0xed && next >= 0xa0) &&
                !(lead == 0xf0 && next < 0x90) && !(lead == 0xf4 && next >= 0x90);
    }
    out += is_good ? text.substr(i, length) : std::string_view("\xef\xbf\xbd");
    i += is_good ? length : 1;
  }
  return out;
}

}  // namespace

net::Response problem_response(const Error& error, int status, std::string_view instance) {
  std::string body =
      fmt::format(R"({{"type":"about:blank","title":{},"status":{},"detail":{},"code":{})",
                  json::quoted(net::http_reason(status)), status,
                  json::quoted(clean(error.message)), json::quoted(to_string(error.code)));
  if (!error.field.empty()) body += ",\"field\":" + json::quoted(clean(error.field));
  if (!instance.empty()) body += ",\"instance\":" + json::quoted(clean(instance.substr(0, 255)));
  body += '}';
  return net::Response::text(status, std::move(body), "application/problem+json");
}

net::Response unauthenticated_response(const Error& error, std::string_view instance) {
  net::Response response = problem_response(error, 401, instance);
  response.headers.add("WWW-Authenticate", "Bearer realm=\"chorok\"");
  return response;
}

// ---- Reading

net::Async<net::Response> list_objects(Call& call) {
  ListRequest request;
  request.kind = call.route.kind;
  request.owner = call.caller.user;
  if (const std::string* limit = call.request.query_value("limit")) {
    std::size_t value = 0;
    const char* end = limit->data() + limit->size();
    auto [at, bad] = std::from_chars(limit->data(), end, value);
    if (bad != std::errc() || at != end || value > call.core.settings.listing.page_max)
      co_return fail(Code::kInvalid,
                     fmt::format("'{}' is not 0 (everything) to {}", limit->substr(0, 40),
                                 call.core.settings.listing.page_max),
                     "?limit");
    request.limit = value;
  }
  request.resume = call.value("continue");
  request.labels = call.value("labels");
  for (const auto& [name, value] : call.request.query)
    if (name == "field") request.fields.push_back(value);
  request.name = call.value("name");
  request.sort = call.value("sort");
  request.projection = call.value("fields");
  call.conflict_status = 410;
  auto pieces = CO_TRY(
      call.core.listing.list(request, visible_to(call.core, call.caller, call.route.kind->kind)));
  co_return net::Response{200, {{"Content-Type", "application/json"}}, std::move(pieces)};
}

net::Async<net::Response> get_object(Call& call) {
  const Type& type = call.route.kind->type();
  auto object = CO_TRY(find_object(call, *call.route.kind, call.ref()));
  Projection shown;
  CO_TRY(shown.parse(type, call.value("fields")));
  std::string body;
  shown.encode_to(body, type, object.get());
  net::Response response = net::Response::json(std::move(body));
  if (std::string etag = etag_of(type, object.get()); !etag.empty())
    response.headers.add("ETag", etag);
  co_return response;
}

// ---- Changing

net::Async<net::Response> create_object(Call& call) {
  const bool start = call.route.kind->kind == "vm" && CO_TRY(call.flag("start"));
  auto answer = CO_TRY(co_await ask([&](Answered done) {
    call.core.requests.create(call.caller, call.route.kind->kind, call.request.body, start,
                              call.conditions, std::move(done));
  }));
  co_return answer_response(call, answer, 201);
}

net::Async<net::Response> patch_object(Call& call) {
  CO_TRY(find_object(call, *call.route.kind, call.ref()));
  auto answer = CO_TRY(co_await ask([&](Answered done) {
    call.core.requests.patch(call.caller, call.route.kind->kind, call.ref(), call.request.body,
                             call.conditions, std::move(done));
  }));
  co_return answer_response(call, answer, 200);
}

net::Async<net::Response> delete_object(Call& call) {
  CO_TRY(find_object(call, *call.route.kind, call.ref()));
  model::TaskArgs args;
  args.keep_disks = CO_TRY(call.flag("keep_disks"));
  args.hard = CO_TRY(call.flag("hard"));
  args.force = CO_TRY(call.flag(call.route.kind->kind == "pool" ? "move_up" : "force"));
  auto answer = CO_TRY(co_await ask([&](Answered done) {
    call.core.requests.remove(call.caller, call.route.kind->kind, call.ref(), args, call.conditions,
                              std::move(done));
  }));
  co_return answer_response(call, answer, 200);
}

net::Async<net::Response> do_verb(Call& call) {
  CO_TRY(find_object(call, *call.route.kind, call.ref()));
  model::TaskArgs args;
  std::string_view body = call.request.body.empty() ? "{}" : std::string_view(call.request.body);
  CO_TRY(json::decode(*call.route.body, &args, body));
  auto answer = CO_TRY(co_await ask([&](Answered done) {
    call.core.requests.verb(call.caller, *call.route.verb, call.ref(), args, call.conditions,
                            std::move(done));
  }));
  co_return answer_response(call, answer, 202);
}

net::Async<net::Response> cancel_task(Call& call) {
  CO_TRY(find_object(call, *model::find_resource_kind("task"), call.ref()));
  auto answer = CO_TRY(co_await ask([&](Answered done) {
    call.core.requests.cancel_task(call.caller, call.ref(), call.conditions, std::move(done));
  }));
  co_return answer_response(call, answer, 200);
}

net::Async<net::Response> set_baseline(Call& call) {
  CO_TRY(find_object(call, *model::find_resource_kind("cluster"), call.ref()));
  auto answer = CO_TRY(co_await ask([&](Answered done) {
    call.core.requests.set_baseline(call.caller, call.ref(), call.conditions, std::move(done));
  }));
  co_return answer_response(call, answer, 200);
}

}  // namespace chorok::manager
