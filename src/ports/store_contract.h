// What every Store must do, once, for all of them. A test file of an adapter defines a Fixture and
// instantiates the suite:
//
//   struct Fixture {
//     explicit Fixture(std::size_t max_log_revisions);  // an empty store that forgets older
//     changes ports::Store& store(); bool wait(const std::function<bool()>& done);     // runs the
//     loop until done; false: too long void pass(Duration time);                         // lets
//     leases age
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreContract, Fixture);
//
// Only tests include this.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ports/store.h"

namespace chorok::ports {

template <class Fixture>
class StoreContract : public testing::Test {
 protected:
  static constexpr std::size_t kLogRevisions = 50;

  template <class T, class Start>
  T await(Start start) {
    std::optional<T> answer;
    bool inside = true;
    start([&](T result) {
      EXPECT_FALSE(inside) << "completed inside the call";
      EXPECT_FALSE(answer.has_value()) << "completed twice";
      answer = std::move(result);
    });
    inside = false;
    EXPECT_TRUE(fixture_.wait([&] { return answer.has_value(); })) << "never completed";
    return answer ? std::move(*answer) : T(fail(Code::kTimeout, "never completed"));
  }

  Result<KeyValue> get(std::string key) {
    return await<Result<KeyValue>>([&](auto done) { store().get(key, std::move(done)); });
  }
  Result<Page> range(std::string prefix, std::string after = {}, std::size_t limit = 1000) {
    return await<Result<Page>>(
        [&](auto done) { store().range(prefix, after, limit, std::move(done)); });
  }
  Result<Revision> commit(std::vector<Write> writes) {
    return await<Result<Revision>>(
        [&](auto done) { store().commit(Txn{std::move(writes)}, std::move(done)); });
  }
  Result<bool> acquire(std::string name, std::string owner, Duration ttl) {
    return await<Result<bool>>(
        [&](auto done) { store().acquire_lease(name, owner, ttl, std::move(done)); });
  }
  Result<> release(std::string name, std::string owner) {
    return await<Result<>>([&](auto done) { store().release_lease(name, owner, std::move(done)); });
  }
  Revision head() { return range("", "", 1).value_or(Page{}).revision; }
  Revision put(std::string key, std::string value) {
    auto revision = commit({{.key = key, .value = value}});
    EXPECT_TRUE(revision) << revision.error().message;
    return revision.value_or(0);
  }
  // Runs the loop until everything that was asked for before this has been answered.
  void settle() { (void)get("settle"); }
  Store& store() { return fixture_.store(); }

  static Code code(const auto& result) { return result ? Code::kInternal : result.error().code; }

  Fixture fixture_{kLogRevisions};
};

// Collects what a watch delivers.
struct Watched {
  std::vector<std::vector<Change>> transactions;
  bool compacted = false;
  std::function<void(WatchEvent)> callback() {
    return [this](WatchEvent event) {
      EXPECT_FALSE(compacted) << "an event after kCompacted";
      if (event.kind == WatchEvent::Kind::kCompacted)
        compacted = true;
      else
        transactions.push_back(std::move(event.changes));
    };
  }
  std::string text() const {
    std::string out;
    for (const auto& changes : transactions) {
      for (const Change& change : changes)
        out += change.key + (change.value ? "=" + *change.value : "-") + ",";
      out += ";";
    }
    return out;
  }
};

TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, WhatWasCommittedIsRead) {
  EXPECT_EQ(this->code(this->get("a")), Code::kNotFound);
  Revision first = this->put("a", std::string("x\0\xff y", 5));
  auto read = this->get("a");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (KeyValue{"a", std::string("x\0\xff y", 5), first}));
  Revision second = this->put("a", "");
  EXPECT_GT(second, first);
  EXPECT_EQ(this->get("a").value(), (KeyValue{"a", "", second}));
  ASSERT_TRUE(this->commit({{.key = "a"}}));
  EXPECT_EQ(this->code(this->get("a")), Code::kNotFound);
}

TYPED_TEST_P(StoreContract, ConditionsNameTheRevisionSeen) {
  Revision first = this->commit({{.key = "a", .value = "1", .if_revision = 0}}).value();
  auto again = this->commit({{.key = "a", .value = "2", .if_revision = 0}});
  EXPECT_EQ(this->code(again), Code::kConflict);
  EXPECT_NE(again.error().message.find("'a'"), std::string::npos) << again.error().message;
  Revision second = this->commit({{.key = "a", .value = "2", .if_revision = first}}).value();
  EXPECT_EQ(this->code(this->commit({{.key = "a", .if_revision = first}})), Code::kConflict);
  EXPECT_EQ(this->code(this->commit({{.key = "b", .value = "", .if_revision = second}})),
            Code::kConflict);
  EXPECT_TRUE(this->commit({{.key = "a", .if_revision = second}}));
  EXPECT_EQ(this->code(this->commit({{.key = "a", .if_revision = second}})), Code::kConflict);
}

TYPED_TEST_P(StoreContract, ATransactionIsAllOrNothing) {
  this->put("b", "old");
  Revision before = this->head();
  auto result = this->commit({{.key = "a", .value = "1"},
                              {.key = "b", .value = "new", .if_revision = 0},
                              {.key = "c", .value = "1", .if_revision = 7}});
  EXPECT_EQ(this->code(result), Code::kConflict);
  EXPECT_NE(result.error().message.find("'b'"), std::string::npos) << "the first that differs";
  EXPECT_EQ(this->head(), before);
  EXPECT_EQ(this->code(this->get("a")), Code::kNotFound);
  Revision revision =
      this->commit({{.key = "a", .value = "1"}, {.key = "b", .if_revision = before}}).value();
  EXPECT_EQ(this->get("a").value().revision, revision);
  EXPECT_EQ(this->code(this->get("b")), Code::kNotFound);
}

TYPED_TEST_P(StoreContract, WhatChangesNothingMakesNoRevision) {
  this->put("a", "1");
  Revision before = this->head();
  EXPECT_EQ(this->commit({{.key = "nothing"}}).value(), before);
  EXPECT_EQ(this->commit({{.key = "nothing", .if_revision = 0}}).value(), before);
  EXPECT_GT(this->put("a", "1"), before) << "writing the same value is a write";
}

TYPED_TEST_P(StoreContract, RefusesWhatIsTooLargeOrNotAKey) {
  auto write = [](std::string key, std::string value = "") {
    return Write{.key = std::move(key), .value = std::move(value)};
  };
  EXPECT_EQ(this->code(this->commit({})), Code::kInvalid);
  EXPECT_EQ(this->code(this->commit({write("")})), Code::kInvalid);
  EXPECT_EQ(this->code(this->commit({write("a b")})), Code::kInvalid);
  EXPECT_EQ(this->code(this->commit({write(std::string("a\0", 2))})), Code::kInvalid);
  EXPECT_EQ(this->code(this->commit({write(std::string(257, 'k'))})), Code::kInvalid);
  EXPECT_EQ(this->code(this->commit({write("a"), write("a")})), Code::kInvalid);
  EXPECT_EQ(this->code(this->commit({write("a", std::string(1 << 20, 'x'))})), Code::kExhausted);
  std::vector<Write> many;
  for (int i = 0; i < 101; ++i) many.push_back(write("k" + std::to_string(i)));
  EXPECT_EQ(this->code(this->commit(many)), Code::kExhausted);
  many.pop_back();
  EXPECT_TRUE(this->commit(many)) << "exactly at the limit";
  EXPECT_TRUE(this->commit({write(std::string(256, 'k'), std::string((1 << 20) - 256, 'x'))}));
  EXPECT_EQ(this->code(this->range("", "", 0)), Code::kInvalid);
  EXPECT_EQ(this->code(this->range("", "", 1001)), Code::kInvalid);
}

TYPED_TEST_P(StoreContract, RangesArePagedInKeyOrder) {
  std::vector<Write> writes;
  for (std::string key : {"a", "b/1", "b/2", "b/3", "b0", "c", "b/\xc3\xbf"})
    writes.push_back({.key = key, .value = key});
  Revision revision = this->commit(writes).value();
  auto keys = [](const Page& page) {
    std::string out;
    for (const KeyValue& item : page.items) out += item.key + " ";
    return out;
  };
  Page all = this->range("b/").value();
  EXPECT_EQ(keys(all), "b/1 b/2 b/3 b/\xc3\xbf ");
  EXPECT_FALSE(all.more);
  EXPECT_EQ(all.revision, revision);
  Page page = this->range("b/", "", 2).value();
  EXPECT_EQ(keys(page), "b/1 b/2 ");
  EXPECT_TRUE(page.more);
  page = this->range("b/", "b/2", 2).value();
  EXPECT_EQ(keys(page), "b/3 b/\xc3\xbf ");
  EXPECT_FALSE(page.more);
  EXPECT_EQ(keys(this->range("b/", "a").value()), keys(all)) << "after may lie before the prefix";
  EXPECT_EQ(keys(this->range("b/", "c").value()), "");
  EXPECT_EQ(keys(this->range("", "b0").value()), "c ");
  EXPECT_EQ(this->range("").value().items.size(), 7u);
  EXPECT_EQ(keys(this->range("nothing").value()), "");
}

TYPED_TEST_P(StoreContract, AWatchGetsThePastThenTheFuture) {
  Revision start = this->head();
  this->put("v/1", "a");
  Watched seen, other;
  Revision now = this->head();
  auto watch = this->store().watch("v/", start, seen.callback());
  auto second = this->store().watch("w/", now, other.callback());
  EXPECT_EQ(seen.text(), "") << "delivered inside the call";
  this->commit({{.key = "v/2", .value = "b"}, {.key = "w/1", .value = "c"}, {.key = "v/1"}})
      .value();
  this->put("w/2", "d");
  this->put("v/2", "e");
  (void)this->commit({{.key = "v/3", .value = "no", .if_revision = 9}});
  EXPECT_TRUE(this->fixture_.wait([&] { return seen.transactions.size() >= 3; }));
  EXPECT_TRUE(this->fixture_.wait([&] { return other.transactions.size() >= 2; }));
  EXPECT_EQ(seen.text(), "v/1=a,;v/2=b,v/1-,;v/2=e,;");
  EXPECT_EQ(other.text(), "w/1=c,;w/2=d,;");
  EXPECT_EQ(seen.transactions.back().front().revision, this->get("v/2").value().revision);
}

TYPED_TEST_P(StoreContract, AWatchEndsWithItsHandle) {
  Watched seen;
  auto never = this->store().watch("", this->head(), seen.callback());
  never.reset();
  std::unique_ptr<Watch> once;
  int events = 0;
  once = this->store().watch("", this->head(), [&](WatchEvent) {
    ++events;
    once.reset();
  });
  this->put("a", "1");
  this->put("a", "2");
  EXPECT_TRUE(this->fixture_.wait([&] { return events > 0; }));
  this->settle();
  EXPECT_EQ(events, 1);
  EXPECT_EQ(seen.text(), "");
}

TYPED_TEST_P(StoreContract, AWatchFromTooLongAgoIsCompacted) {
  Revision start = this->head();
  for (std::size_t i = 0; i < this->kLogRevisions * 12; ++i) this->put("a", std::to_string(i));
  Watched old, future, recent;
  auto first = this->store().watch("", start, old.callback());
  auto second = this->store().watch("", this->head() + 1000, future.callback());
  auto third = this->store().watch("", this->head() - this->kLogRevisions / 2, recent.callback());
  EXPECT_TRUE(this->fixture_.wait([&] { return old.compacted && future.compacted; }));
  this->put("a", "new");
  EXPECT_TRUE(this->fixture_.wait(
      [&] { return recent.transactions.size() >= this->kLogRevisions / 2 + 1; }));
  EXPECT_EQ(recent.transactions.back().front().value, "new");
  EXPECT_TRUE(old.transactions.empty());
}

TYPED_TEST_P(StoreContract, CommitsInFlightCompleteInOrder) {
  std::vector<int> order;
  Revision last = this->head();
  for (int i = 0; i < 500; ++i) {
    Txn txn{{{.key = "k" + std::to_string(i % 7), .value = std::to_string(i)}}};
    if (i % 10 == 3) txn.writes[0].if_revision = 1'000'000'000'000;
    if (i % 10 == 7) txn.writes.clear();
    this->store().commit(std::move(txn), [&, i](Result<Revision> result) {
      order.push_back(i);
      EXPECT_EQ(result.has_value(), i % 10 != 3 && i % 10 != 7);
      if (!result) return;
      EXPECT_GT(*result, last);
      last = *result;
    });
  }
  EXPECT_TRUE(this->fixture_.wait([&] { return order.size() == 500; }));
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TYPED_TEST_P(StoreContract, ALeaseHasOneOwnerUntilItEnds) {
  using std::chrono::seconds;
  EXPECT_TRUE(this->acquire("leader", "one", seconds(3)).value());
  EXPECT_FALSE(this->acquire("leader", "two", seconds(3)).value());
  EXPECT_TRUE(this->acquire("other", "two", seconds(3)).value());
  this->fixture_.pass(seconds(2));
  EXPECT_TRUE(this->acquire("leader", "one", seconds(3)).value()) << "renewed";
  this->fixture_.pass(seconds(2));
  EXPECT_FALSE(this->acquire("leader", "two", seconds(3)).value());
  EXPECT_TRUE(this->release("leader", "two")) << "not its lease: nothing happens";
  EXPECT_FALSE(this->acquire("leader", "two", seconds(3)).value());
  EXPECT_TRUE(this->release("leader", "one"));
  EXPECT_TRUE(this->acquire("leader", "two", seconds(3)).value());
  this->fixture_.pass(seconds(4));
  EXPECT_TRUE(this->acquire("leader", "one", seconds(3)).value()) << "expired";
}

// A store is a map: random transactions, many in flight, against std::map.
template <class Test>
class ModelRun {
 public:
  ModelRun(Store& store, Revision start, std::uint64_t seed) : store_(store), random_(seed) {
    head_ = start;
    watch_ = store_.watch("m/", start, [this](WatchEvent event) { mirror(event); });
  }

  void step() {
    switch (pick(8)) {
      case 0:
        return check_get(key());
      case 1:
        return check_range();
      default:
        return check_commit();
    }
  }
  bool done() const {
    return asked_ == answered_ &&
           std::ranges::equal(mirror_, model_, [](const auto& seen, const auto& wanted) {
             return seen.first == wanted.first && seen.second == wanted.second.first;
           });
  }
  std::string difference() const {
    return std::to_string(answered_) + " of " + std::to_string(asked_) + " answered; mirror has " +
           std::to_string(mirror_.size()) + " keys, model " + std::to_string(model_.size());
  }

 private:
  using Map = std::map<std::string, std::pair<std::string, std::uint64_t>>;  // value, write number

  std::size_t pick(std::size_t n) { return random_() % n; }
  std::string key() { return "m/" + std::string(1 + pick(2), static_cast<char>('a' + pick(6))); }

  // The store's revision of a write is known only when it has completed, so the model numbers
  // writes itself and learns the revision of each number on completion.
  Revision revision_of(const Map& map, const std::string& name) {
    auto found = map.find(name);
    return found == map.end() ? 0 : revisions_.at(found->second.second);
  }

  bool known(const std::string& name) {
    auto found = model_.find(name);
    return found == model_.end() || revisions_.contains(found->second.second);
  }

  void check_commit() {
    Txn txn;
    std::map<std::string, bool> used;
    bool holds = true;
    for (std::size_t i = 0, n = 1 + pick(4); i < n; ++i) {
      Write write{.key = key()};
      if (!used.try_emplace(write.key).second) continue;
      if (pick(4) != 0) write.value = std::to_string(random_() % 1000);
      if (pick(3) == 0 && known(write.key)) {
        Revision now = revision_of(model_, write.key);
        write.if_revision = pick(4) == 0 ? now + 1 : now;
        holds = holds && *write.if_revision == now;
      }
      txn.writes.push_back(std::move(write));
    }
    const std::uint64_t number = ++last_number_;
    bool changes = false;
    if (holds) {
      for (const Write& write : txn.writes) {
        if (write.value) {
          model_[write.key] = {*write.value, number};
          changes = true;
        } else if (model_.erase(write.key) > 0) {
          changes = true;
        }
      }
    }
    ++asked_;
    store_.commit(std::move(txn), [this, holds, changes, number](Result<Revision> result) {
      ++answered_;
      ASSERT_EQ(result.has_value(), holds) << (result ? "" : result.error().message);
      if (!result) return;
      if (changes) {
        ASSERT_GT(*result, head_);
        head_ = *result;
      }
      revisions_[number] = *result;
    });
  }

  void check_get(const std::string& name) {
    ++asked_;
    store_.get(name, [this, expected = model_, name](Result<KeyValue> result) {
      ++answered_;
      auto found = expected.find(name);
      ASSERT_EQ(result.has_value(), found != expected.end());
      if (!result) return;
      EXPECT_EQ(result->value, found->second.first);
      EXPECT_EQ(result->revision, revision_of(expected, name));
    });
  }

  void check_range() {
    ++asked_;
    std::string prefix = pick(2) ? "m/" : key(), after = pick(2) ? "" : key();
    std::size_t limit = 1 + pick(8);
    auto check = [this, expected = model_, prefix, after, limit](Result<Page> page) {
      ++answered_;
      ASSERT_TRUE(page);
      std::vector<KeyValue> wanted;
      for (const auto& [name, value] : expected)
        if (name.starts_with(prefix) && name > after)
          wanted.push_back({name, value.first, revision_of(expected, name)});
      EXPECT_EQ(page->more, wanted.size() > limit);
      wanted.resize(std::min(wanted.size(), limit));
      EXPECT_EQ(page->items, wanted);
    };
    store_.range(prefix, after, limit, check);
  }

  // Built from the watch alone.
  void mirror(const WatchEvent& event) {
    ASSERT_EQ(event.kind, WatchEvent::Kind::kChanges);
    for (const Change& change : event.changes) {
      ASSERT_GE(change.revision, mirrored_);
      mirrored_ = change.revision;
      if (change.value)
        mirror_[change.key] = *change.value;
      else
        EXPECT_EQ(mirror_.erase(change.key), 1u);
    }
  }

  Store& store_;
  std::mt19937_64 random_;
  Map model_;
  std::map<std::string, std::string> mirror_;
  std::map<std::uint64_t, Revision> revisions_;
  std::uint64_t last_number_ = 0;
  Revision head_ = 0, mirrored_ = 0;
  std::size_t asked_ = 0, answered_ = 0;
  std::unique_ptr<Watch> watch_;
};

TYPED_TEST_P(StoreContract, BehavesAsAMap) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::vector<Write> clear;
    for (const KeyValue& item : this->range("m/").value().items) clear.push_back({.key = item.key});
    if (!clear.empty()) ASSERT_TRUE(this->commit(clear));
    ModelRun<TypeParam> run(this->store(), this->head(), seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 200; ++i) {
      run.step();
      if (random() % 5 == 0) this->settle();
    }
    ASSERT_TRUE(this->fixture_.wait([&] { return run.done(); })) << run.difference();
  }
}

REGISTER_TYPED_TEST_SUITE_P(StoreContract, WhatWasCommittedIsRead, ConditionsNameTheRevisionSeen,
                            ATransactionIsAllOrNothing, WhatChangesNothingMakesNoRevision,
                            RefusesWhatIsTooLargeOrNotAKey, RangesArePagedInKeyOrder,
                            AWatchGetsThePastThenTheFuture, AWatchEndsWithItsHandle,
                            AWatchFromTooLongAgoIsCompacted, CommitsInFlightCompleteInOrder,
                            ALeaseHasOneOwnerUntilItEnds, BehavesAsAMap);

}  // namespace chorok::ports
