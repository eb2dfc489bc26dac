// Alarms and webhooks: what can be done with them beside what every kind has.
#include "manager/api_core.h"
#include "manager/webhooks.h"

namespace chorok::manager {
namespace {

using Ask = void (Requests::*)(const Caller&, std::string_view, Conditions, Answered);

net::Async<net::Response> on_alarm(Call& call, Ask ask) {
  CO_TRY(find_object(call, *model::find_resource_kind("alarm"), call.ref()));
  auto answer = CO_TRY(co_await until_done<Result<Answer>>([&](Answered done) {
    (call.core.requests.*ask)(call.caller, call.ref(), call.conditions, std::move(done));
  }));
  co_return answer_response(call, answer, 200);
}

}  // namespace

net::Async<net::Response> acknowledge_alarm(Call& call) {
  return on_alarm(call, &Requests::acknowledge_alarm);
}

net::Async<net::Response> clear_alarm(Call& call) {
  return on_alarm(call, &Requests::clear_alarm);
}

net::Async<net::Response> test_webhook(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("webhook"), call.ref()));
  const auto webhook = std::static_pointer_cast<const model::Webhook>(object);
  if (call.caller.role_on("") < model::Role::kAdmin)
    co_return fail(Code::kPermissionDenied, "this needs the role 'admin' on everything");
  if (call.core.settings.webhooks == nullptr)
    co_return fail(Code::kUnavailable, "this manager tells no webhooks");
  if (call.conditions.dry_run)
    co_return dry_run_response({.message = "a test would be posted to " + webhook->url});
  const WebhookTest test =
      CO_TRY(co_await until_done<Result<WebhookTest>>([&](Done<Result<WebhookTest>> done) {
        call.core.settings.webhooks->test(*webhook, std::move(done));
      }));
  co_return object_response(WebhookTest::type(), &test);
}

}  // namespace chorok::manager
