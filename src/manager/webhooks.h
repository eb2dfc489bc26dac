// Tells webhooks of alarms: each change of one is posted as JSON (docs/alarms.md), in order, until
// it is taken; at least once, and after a death from where it was. What is still to be told is read
// off the alarms themselves, so nothing queues up while a receiver is away: it then gets each alarm
// as it is by now.
//
// Free of I/O: who posts is given. Nothing here waits for a receiver but the next message to it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "manager/engine.h"

namespace chorok::manager {

struct WebhookPost {
  std::string url;
  std::string ca;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};
// Answers the status of what was answered. Errors: nothing was.
using PostWebhook = std::function<void(WebhookPost post, Done<Result<int>> done)>;

// What a test came to.
struct WebhookTest {
  bool ok = false;
  std::int32_t status = 0;
  std::string message;
  static const Type& type();
};

struct WebhooksSettings {
  Duration retry = std::chrono::seconds(1);  // after the first failure; doubled each time
  Duration retry_max = std::chrono::minutes(5);
};

// What a webhook's secret is bound to.
std::string webhook_place(const std::string& webhook);

class Webhooks {
 public:
  using Unseal =
      std::function<Result<std::string>(const std::string& sealed, const std::string& place)>;

  // `unseal` may be empty: then no webhook has a secret.
  Webhooks(Engine& engine, PostWebhook post, Unseal unseal, WebhooksSettings settings = {});
  ~Webhooks();
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  void test(const model::Webhook& webhook, Done<Result<WebhookTest>> done);

 private:
  struct State {
    bool busy = false;
    std::int64_t failures = 0;
    TimerId timer = 0;
  };
  using WebhookPtr = std::shared_ptr<const model::Webhook>;
  using AlarmPtr = std::shared_ptr<const model::Alarm>;

  void pump_all();
  void pump(const std::string& id);
  AlarmPtr next_for(const model::Webhook& webhook) const;
  Result<WebhookPost> message(const model::Webhook& webhook, model::WebhookMessage message) const;
  void delivered(const std::string& id, std::int64_t sequence, Result<int> answer);
  void failed(const std::string& id, model::Webhook webhook, std::string why);

  Engine& engine_;
  PostWebhook post_;
  Unseal unseal_;
  WebhooksSettings settings_;
  Log log_{"webhooks"};
  std::map<std::string, State, std::less<>> states_;
  bool posted_ = false;
  std::uint64_t watcher_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
