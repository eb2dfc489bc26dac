#include "manager/webhooks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "crypto/sha256.h"

namespace chorok::manager {

namespace {

constexpr std::size_t kFailureMax = 500;

bool is_taken(int status) {
  return status >= 200 && status < 300;
}

}  // namespace

std::string webhook_place(const std::string& webhook) {
  return "webhook/" + webhook + "/secret";
}

Webhooks::Webhooks(Engine& engine, PostWebhook post, Unseal unseal, WebhooksSettings settings)
    : engine_(engine), post_(std::move(post)), unseal_(std::move(unseal)), settings_(settings) {
  auto watching = engine_.watch(engine_.revision(), [this](const Notice& notice) {
    if (notice.kind == "alarm" || notice.kind == "webhook") pump_all();
  });
  CHOROK_ASSERT(watching.has_value());  // from now on is never too long ago
  watcher_ = *watching;
  pump_all();
}

Webhooks::~Webhooks() {
  *alive_ = false;
  engine_.unwatch(watcher_);
  for (auto& [id, state] : states_) engine_.loop().cancel(state.timer);
}

void Webhooks::pump_all() {
  if (std::exchange(posted_, true)) return;
  engine_.loop().post([this, alive = alive_] {
    if (!*alive) return;
    posted_ = false;
    const auto& all = engine_.inventory().webhooks().all();
    std::erase_if(states_, [&](auto& each) {
      if (all.contains(each.first) || each.second.busy) return false;
      engine_.loop().cancel(each.second.timer);
      return true;
    });
    std::vector<std::string> ids;
    for (const auto& [id, webhook] : all) ids.push_back(id);
    for (const std::string& id : ids) pump(id);
  });
}

Webhooks::AlarmPtr Webhooks::next_for(const model::Webhook& webhook) const {
  AlarmPtr next;
  for (const auto& [id, alarm] : engine_.inventory().alarms().all()) {
    if (alarm->sequence <= webhook.delivered || alarm->severity < webhook.min_severity) continue;
    if (next == nullptr || alarm->sequence < next->sequence) next = alarm;
  }
  return next;
}

void Webhooks::pump(const std::string& id) {
  const WebhookPtr webhook = engine_.inventory().webhooks().find(id);
  if (webhook == nullptr || !webhook->enabled) return;
  State& state = states_[id];
  if (state.busy || state.timer != 0) return;
  const AlarmPtr alarm = next_for(*webhook);
  if (alarm == nullptr) return;
  state.busy = true;
  auto post = message(
      *webhook,
      {.event = std::string(name_of(alarm->change)), .sequence = alarm->sequence, .alarm = *alarm});
  if (!post) return delivered(id, alarm->sequence, Unexpected(post.error()));
  post_(std::move(*post),
        [this, alive = alive_, id, sequence = alarm->sequence](Result<int> answer) {
          if (*alive) delivered(id, sequence, std::move(answer));
        });
}

Result<WebhookPost> Webhooks::message(const model::Webhook& webhook,
                                      model::WebhookMessage message) const {
  message.webhook = webhook.meta.name;
  message.sent_at = engine_.now();
  WebhookPost post{.url = webhook.url, .ca = webhook.ca, .body = json::encode(message)};
  post.headers = {
      {"Content-Type", "application/json"},
      {"User-Agent", "chorok-webhook/1"},
      {"X-Chorok-Event", message.event},
      // The same for each time the same is sent.
      {"X-Chorok-Delivery", fmt::format("{}-{}", webhook.meta.id, message.sequence)},
  };
  if (webhook.sealed.empty()) return post;
  if (!unseal_) return fail(Code::kFailedPrecondition, "its secret cannot be opened here");
  const std::string secret = TRY(unseal_(webhook.sealed, webhook_place(webhook.meta.id)));
  post.headers.emplace_back("X-Chorok-Signature",
                            "sha256=" + crypto::hmac_sha256_hex(secret, post.body));
  return post;
}

void Webhooks::delivered(const std::string& id, std::int64_t sequence, Result<int> answer) {
  states_[id].busy = false;
  const WebhookPtr record = engine_.inventory().webhooks().find(id);
  if (record == nullptr) return pump_all();
  model::Webhook webhook = *record;
  if (!answer) return failed(id, std::move(webhook), answer.error().message);
  if (!is_taken(*answer))
    return failed(id, std::move(webhook), fmt::format("it answered with status {}", *answer));
  states_[id].failures = 0;
  webhook.delivered = std::max(webhook.delivered, sequence);
  webhook.delivered_at = engine_.now();
  webhook.failures = 0;
  webhook.failure.clear();
  Changes changes;
  changes.put(std::move(webhook));
  // Told again if this is not stored.
  engine_.commit(std::move(changes), [this, alive = alive_](Result<>) {
    if (*alive) pump_all();
  });
}

void Webhooks::failed(const std::string& id, model::Webhook webhook, std::string why) {
  State& state = states_[id];
  ++state.failures;
  const auto doublings = std::min<std::int64_t>(state.failures - 1, 20);
  const Duration wait =
      std::min<Duration>(settings_.retry_max, settings_.retry * (std::int64_t{1} << doublings));
  log_.warn("webhook {}: {}; again in {:.0f} s", webhook.meta.name, why, seconds(wait));
  state.timer = engine_.loop().after(wait, [this, id] {
    states_[id].timer = 0;
    pump(id);
  });
  webhook.failures = state.failures;
  webhook.failed_at = engine_.now();
  webhook.failure = why.substr(0, kFailureMax);
  Changes changes;
  changes.put_volatile(std::move(webhook));
  engine_.commit(std::move(changes), [](Result<>) {});
}

void Webhooks::test(const model::Webhook& webhook, Done<Result<WebhookTest>> done) {
  model::WebhookMessage about{.event = "test"};
  about.alarm.kind = "webhook.test";
  about.alarm.severity = model::AlarmSeverity::kInfo;
  about.alarm.subject_kind = "webhook";
  about.alarm.subject = webhook.meta.id;
  about.alarm.subject_name = webhook.meta.name;
  about.alarm.text = "somebody asked for this message";
  about.alarm.raised_at = engine_.now();
  auto post = message(webhook, std::move(about));
  if (!post) return done(WebhookTest{.message = post.error().message});
  post_(std::move(*post), [done = std::move(done)](Result<int> answer) mutable {
    if (!answer) return done(WebhookTest{.message = answer.error().message});
    done(WebhookTest{.ok = is_taken(*answer),
                     .status = *answer,
                     .message = is_taken(*answer) ? "it was taken" : "it was not taken"});
  });
}

const Type& WebhookTest::type() {
  static const Type kType =
      describe<WebhookTest>("WebhookTest", "What a test of a webhook came to.")
          .field("ok", &WebhookTest::ok, "The receiver took it.")
          .field("status", &WebhookTest::status, "Of its answer; 0: there was none.")
          .field("message", &WebhookTest::message, "", {.max_length = 1024});
  return kType;
}

}  // namespace chorok::manager
