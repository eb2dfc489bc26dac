// A set of changes to the inventory that becomes true as a whole. Durable ones go to the store
// under "<kind>/<id>"; volatile ones (link state, free space, progress) are shown and watched but
// not kept.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "manager/inventory.h"

namespace chorok::manager {

// One record's change, free of its type.
struct Change {
  std::string_view kind;
  std::string id;
  bool durable = true;
  const Type* type = nullptr;
  std::shared_ptr<const void> after;   // null: deleted
  std::shared_ptr<const void> before;  // once applied
  // Puts `record` in place and answers what was there.
  std::shared_ptr<const void> (*exchange)(Inventory&, const std::string& id,
                                          std::shared_ptr<const void> record) = nullptr;

  std::string key() const { return std::string(kind) + "/" + id; }
};

class Changes {
 public:
  template <class T>
  void put(T record) {
    add(std::move(record), true);
  }
  template <class T>
  void put_volatile(T record) {
    add(std::move(record), false);
  }
  template <class T>
  void erase(std::string id) {
    Change change = make<T>(std::move(id), true);
    replace(std::move(change));
  }
  void merge(Changes other) {
    for (Change& change : other.items_) replace(std::move(change));
  }
  // Durable records count their revision and the time of their change.
  void touch(Time now) {
    for (auto& fn : touches_) fn(now);
    touches_.clear();
  }

  bool empty() const { return items_.empty(); }
  const std::vector<Change>& items() const { return items_; }
  std::vector<Change>& items() { return items_; }

 private:
  template <class T>
  static Change make(std::string id, bool durable) {
    Change change;
    change.kind = Record<T>::kKind;
    change.id = std::move(id);
    change.durable = durable;
    change.type = &type_of<T>();
    change.exchange = [](Inventory& inventory, const std::string& key,
                         std::shared_ptr<const void> record) {
      return std::shared_ptr<const void>(
          inventory.table<T>().exchange(key, std::static_pointer_cast<const T>(std::move(record))));
    };
    return change;
  }
  template <class T>
  void add(T record, bool durable) {
    auto shared = std::make_shared<T>(std::move(record));
    if (durable) touches_.push_back([shared](Time now) { Record<T>::touch(*shared, now); });
    Change change = make<T>(Record<T>::id(*shared), durable);
    change.after = std::move(shared);
    replace(std::move(change));
  }
  // The last word on a record counts; it is durable if any was.
  void replace(Change change) {
    for (Change& existing : items_) {
      if (existing.kind != change.kind || existing.id != change.id) continue;
      change.durable = change.durable || existing.durable;
      existing = std::move(change);
      return;
    }
    items_.push_back(std::move(change));
  }

  std::vector<Change> items_;
  std::vector<std::function<void(Time)>> touches_;
};

// Changes of any number, in sets that the store takes: each becomes true as a whole, and not all of
// them at once.
class ChangeBatches {
 public:
  // Where the next change goes.
  Changes& next() {
    if (sets_.empty() || sets_.back().items().size() >= kAtOnce) sets_.emplace_back();
    return sets_.back();
  }
  bool empty() const { return sets_.empty(); }
  std::vector<Changes>& sets() { return sets_; }

 private:
  // Below the limit of ports/store.h by what the engine adds of itself (old events that go).
  static constexpr std::size_t kAtOnce = 80;
  std::vector<Changes> sets_;
};

}  // namespace chorok::manager
