#include "ports/power_orders.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace chorok::ports {

PowerOrders::PowerOrders(Loop& loop, Perform perform) : loop_(loop), perform_(std::move(perform)) {}

void PowerOrders::submit(model::PowerAction action, PowerOrder order, Done<Result<>> done) {
  if (order.operation.empty())
    return answer(std::move(done), fail(Code::kInvalid, "a power action needs an operation's id"));
  if (order.term < term_)
    return answer(std::move(done),
                  fail(Code::kConflict,
                       fmt::format("term {} has taken over from term {}", term_, order.term)));
  term_ = order.term;
  auto known = std::ranges::find(records_, order.operation, [](auto& r) { return r->operation; });
  if (known != records_.end()) {
    Record& record = **known;
    if (record.action != action)
      return answer(std::move(done),
                    fail(Code::kConflict,
                         fmt::format("operation {} was '{}' and is now to be '{}'", order.operation,
                                     name_of(record.action), name_of(action))));
    if (record.result) return answer(std::move(done), *record.result);
    record.waiting.push_back(std::move(done));
    return;
  }
  auto waiting = std::ranges::count_if(records_, [](auto& r) { return !r->result; });
  if (static_cast<std::size_t>(waiting) >= kWaitingMax)
    return answer(std::move(done),
                  fail(Code::kExhausted,
                       fmt::format("{} power actions wait at this host already", kWaitingMax)));
  records_.push_back(std::make_unique<Record>(std::move(order.operation), action));
  records_.back()->waiting.push_back(std::move(done));
  forget_oldest();
  start_next();
}

void PowerOrders::start_next() {
  if (busy_) return;
  auto next = std::ranges::find_if(records_, [](auto& r) { return !r->result; });
  if (next == records_.end()) return;
  busy_ = true;
  Record* record = next->get();  // not forgotten while it has no result
  perform_(record->action, [this, alive = std::weak_ptr(alive_), record](Result<> result) {
    if (!alive.expired()) finish(*record, std::move(result));
  });
}

void PowerOrders::finish(Record& record, Result<> result) {
  record.result = std::move(result);
  busy_ = false;
  for (auto& done : std::exchange(record.waiting, {})) answer(std::move(done), *record.result);
  start_next();
}

void PowerOrders::answer(Done<Result<>> done, Result<> result) {
  loop_.post([alive = std::weak_ptr(alive_), done = std::move(done),
              result = std::move(result)]() mutable {
    if (!alive.expired()) done(std::move(result));
  });
}

void PowerOrders::forget_oldest() {
  if (records_.size() <= kRememberedMax) return;
  auto oldest = std::ranges::find_if(records_, [](auto& r) { return r->result.has_value(); });
  if (oldest != records_.end()) records_.erase(oldest);
}

}  // namespace chorok::ports
