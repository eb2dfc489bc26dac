// Lists of records: selected, sorted, projected, page by page at one revision. The JSON of a row is
// kept by record and projection and shared with every answer that shows it, so a list of 20,000
// rows is written from pieces without encoding one of them again.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "manager/engine.h"
#include "manager/listing_select.h"
#include "model/verbs.h"

namespace chorok::manager {

// A kind's table, free of its type.
struct KindTable {
  using Object = std::shared_ptr<const void>;
  std::string_view kind;
  std::size_t (*size)(const Inventory&);
  // By name where all have one, else by id.
  void (*visit)(const Inventory&, const std::function<void(const Object&)>&);
  Object (*resolve)(const Inventory&, std::string_view ref);  // null: no such thing
};
// Asserts that there is such a kind.
const KindTable& table_of(std::string_view kind);

struct ListingSettings {
  std::size_t page_default = 100;
  std::size_t page_max = 1000;
  // A listing that goes on after this long has been forgotten by its reader.
  Duration snapshot_life = std::chrono::minutes(5);
  std::size_t snapshots_max = 64;
  // Projections whose rows are kept: the console's and the CLI's tables are few.
  std::size_t projections_max = 16;
  std::size_t cache_bytes_max = 48 << 20;
  std::size_t rows_max = 200'000;  // of one answer
};

struct ListRequest {
  const model::ResourceKind* kind = nullptr;
  std::string owner;                 // who asks: a continued list is its owner's only
  std::optional<std::size_t> limit;  // 0: everything
  std::string resume;                // the `continue` of the page before
  std::string labels;
  std::vector<std::string> fields;
  std::string name;
  std::string sort;
  std::string projection;
};

class Listing {
 public:
  using Piece = std::shared_ptr<const std::string>;
  using Visible = std::function<bool(const void* object)>;

  Listing(Engine& engine, ListingSettings settings);
  ~Listing();
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;

  // The body of the answer, in pieces. kConflict: `resume` is not known any more, list again.
  Result<std::vector<Piece>> list(const ListRequest& request, const Visible& visible);

  std::size_t cached_bytes() const { return cached_bytes_; }
  std::size_t snapshots() const { return snapshots_.size(); }

 private:
  using Rows = std::vector<KindTable::Object>;
  struct Snapshot {
    std::string owner;
    std::string_view kind;
    std::uint64_t revision = 0;
    Rows rows;
    Time made{};
  };
  struct CachedRow {
    KindTable::Object object;  // kept, so that its address stays its own
    Piece piece;
  };
  struct Columns {
    std::string key;
    const Type* type = nullptr;
    Projection projection;
    std::unordered_map<const void*, CachedRow> rows;
    std::size_t bytes = 0;
  };

  Result<Rows> select(const ListRequest& request, const Visible& visible) const;
  Result<std::vector<Piece>> resume(const ListRequest& request);
  Result<std::vector<Piece>> page(const ListRequest& request, std::shared_ptr<Snapshot> snapshot,
                                  std::size_t offset, std::string id);
  Result<Columns*> columns(const ListRequest& request);
  Piece row(Columns& columns, const KindTable::Object& object);
  void make_room(Columns& used, std::size_t live);
  std::string keep(std::shared_ptr<Snapshot> snapshot);
  void expire();

  Engine& engine_;
  ListingSettings settings_;
  std::list<Columns> columns_;  // last used first
  std::size_t cached_bytes_ = 0;
  std::unordered_map<std::string, std::shared_ptr<Snapshot>> snapshots_;
  TimerId expiry_ = 0;
};

}  // namespace chorok::manager
