// Everything the manager knows, in memory: one table a kind, each record an immutable value that
// readers share. Only the engine writes; a reader holds a pointer for as long as it likes and never
// sees a half-made change.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "model/account.h"
#include "model/alarm.h"
#include "model/host.h"
#include "model/pool.h"
#include "model/task.h"
#include "model/vm.h"

namespace chorok::manager {

// What a kind is called in the store and the API, and where its id and name are.
template <class T>
struct Record;

template <class T>
struct MetaRecord {
  static const std::string& id(const T& r) { return r.meta.id; }
  static const std::string& name(const T& r) { return r.meta.name; }
  static void touch(T& r, Time now) {
    ++r.meta.revision;
    r.meta.modified = now;
  }
};
template <class T>
struct PlainRecord {
  static const std::string& id(const T& r) { return r.id; }
  static std::string_view name(const T&) { return {}; }
  static void touch(T&, Time) {}
};

template <>
struct Record<model::Vm> : MetaRecord<model::Vm> {
  static constexpr std::string_view kKind = "vm";
};
template <>
struct Record<model::Host> : MetaRecord<model::Host> {
  static constexpr std::string_view kKind = "host";
};
template <>
struct Record<model::Datastore> : MetaRecord<model::Datastore> {
  static constexpr std::string_view kKind = "datastore";
};
template <>
struct Record<model::Network> : MetaRecord<model::Network> {
  static constexpr std::string_view kKind = "network";
};
template <>
struct Record<model::Cluster> : MetaRecord<model::Cluster> {
  static constexpr std::string_view kKind = "cluster";
};
template <>
struct Record<model::Pool> : MetaRecord<model::Pool> {
  static constexpr std::string_view kKind = "pool";
};
template <>
struct Record<model::Rule> : MetaRecord<model::Rule> {
  static constexpr std::string_view kKind = "rule";
};
template <>
struct Record<model::User> : MetaRecord<model::User> {
  static constexpr std::string_view kKind = "user";
};
template <>
struct Record<model::Token> : MetaRecord<model::Token> {
  static constexpr std::string_view kKind = "token";
};
template <>
struct Record<model::Task> : PlainRecord<model::Task> {
  static constexpr std::string_view kKind = "task";
  static void touch(model::Task& task, Time) { ++task.revision; }
};
template <>
struct Record<model::Operation> : PlainRecord<model::Operation> {
  static constexpr std::string_view kKind = "operation";
};
template <>
struct Record<model::Event> : PlainRecord<model::Event> {
  static constexpr std::string_view kKind = "event";
};
template <>
struct Record<model::AuditEntry> : PlainRecord<model::AuditEntry> {
  static constexpr std::string_view kKind = "audit";
};

template <>
struct Record<model::Alarm> : PlainRecord<model::Alarm> {
  static constexpr std::string_view kKind = "alarm";
};
template <>
struct Record<model::Webhook> : MetaRecord<model::Webhook> {
  static constexpr std::string_view kKind = "webhook";
};
template <>
struct Record<model::Beat> : PlainRecord<model::Beat> {
  static constexpr std::string_view kKind = "beat";
};

// An answer that is kept for a repeated request (api_idempotency.h).
struct KeptAnswer {
  std::string id;           // SHA-256 of who asked and of the key
  std::string fingerprint;  // of the request
  Time at{};
  std::int32_t status = 0;
  std::string location;
  std::string etag;
  std::string content_type;
  std::string body;
  static const Type& type();
};
template <>
struct Record<KeptAnswer> : PlainRecord<KeptAnswer> {
  static constexpr std::string_view kKind = "answer";
};

template <class T>
class Table {
 public:
  using Ptr = std::shared_ptr<const T>;

  Ptr find(std::string_view id) const {
    auto it = by_id_.find(id);
    return it == by_id_.end() ? nullptr : it->second;
  }
  Ptr find_name(std::string_view name) const {
    auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
  }
  // By id, else by name.
  Ptr resolve(std::string_view ref) const {
    if (Ptr found = find(ref)) return found;
    return find_name(ref);
  }
  const std::map<std::string, Ptr, std::less<>>& all() const { return by_id_; }
  // Those that have a name.
  const std::map<std::string, Ptr, std::less<>>& by_name() const { return by_name_; }
  std::size_t size() const { return by_id_.size(); }

  // Answers what was there before. Null `record` deletes.
  Ptr exchange(const std::string& id, Ptr record) {
    Ptr before = find(id);
    if (before != nullptr && !Record<T>::name(*before).empty()) {
      auto named = by_name_.find(Record<T>::name(*before));
      if (named != by_name_.end() && Record<T>::id(*named->second) == id) by_name_.erase(named);
    }
    if (record == nullptr) {
      by_id_.erase(id);
      return before;
    }
    if (!Record<T>::name(*record).empty()) by_name_[std::string(Record<T>::name(*record))] = record;
    by_id_[id] = std::move(record);
    return before;
  }

 private:
  std::map<std::string, Ptr, std::less<>> by_id_;
  std::map<std::string, Ptr, std::less<>> by_name_;
};

class Inventory {
 public:
  template <class T>
  const Table<T>& table() const {
    return std::get<Table<T>>(tables_);
  }
  template <class T>
  Table<T>& table() {
    return std::get<Table<T>>(tables_);
  }
  const Table<model::Vm>& vms() const { return table<model::Vm>(); }
  const Table<model::Host>& hosts() const { return table<model::Host>(); }
  const Table<model::Datastore>& datastores() const { return table<model::Datastore>(); }
  const Table<model::Network>& networks() const { return table<model::Network>(); }
  const Table<model::Cluster>& clusters() const { return table<model::Cluster>(); }
  const Table<model::Pool>& pools() const { return table<model::Pool>(); }
  const Table<model::Rule>& rules() const { return table<model::Rule>(); }
  // The one that hosts without a word of theirs belong to: the oldest. There is always one.
  const model::Cluster& default_cluster() const;
  // Those of a host or VM that says none, or one that is gone, are the default one's.
  const model::Cluster& cluster_of(const model::Host& host) const;
  // By its host; the pool it is in may be another's until somebody moves it. Without a host, by
  // its pool.
  const model::Cluster& cluster_of(const model::Vm& vm) const;
  // Its pool, if that is in its cluster.
  Table<model::Pool>::Ptr pool_of(const model::Vm& vm) const;
  const Table<model::Task>& tasks() const { return table<model::Task>(); }
  const Table<model::Operation>& operations() const { return table<model::Operation>(); }
  const Table<model::Event>& events() const { return table<model::Event>(); }
  const Table<model::AuditEntry>& audit() const { return table<model::AuditEntry>(); }
  const Table<model::User>& users() const { return table<model::User>(); }
  const Table<model::Token>& tokens() const { return table<model::Token>(); }
  const Table<model::Alarm>& alarms() const { return table<model::Alarm>(); }
  const Table<model::Webhook>& webhooks() const { return table<model::Webhook>(); }
  const Table<model::Beat>& beats() const { return table<model::Beat>(); }
  const Table<KeptAnswer>& answers() const { return table<KeptAnswer>(); }

 private:
  std::tuple<Table<model::Vm>, Table<model::Host>, Table<model::Datastore>, Table<model::Network>,
             Table<model::Cluster>, Table<model::Pool>, Table<model::Rule>, Table<model::Task>,
             Table<model::Operation>, Table<model::Event>, Table<model::AuditEntry>,
             Table<model::User>, Table<model::Token>, Table<model::Alarm>, Table<model::Webhook>,
             Table<model::Beat>, Table<KeptAnswer>>
      tables_;
};

}  // namespace chorok::manager
