#include "manager/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "crypto/random.h"

namespace chorok::manager {
namespace {

template <class T>
KindTable make_table() {
  KindTable out;
  out.kind = Record<T>::kKind;
  out.size = [](const Inventory& inventory) { return inventory.table<T>().size(); };
  out.visit = [](const Inventory& inventory,
                 const std::function<void(const KindTable::Object&)>& fn) {
    const Table<T>& table = inventory.table<T>();
    const bool all_named = table.by_name().size() == table.size();
    for (const auto& [key, record] : all_named ? table.by_name() : table.all()) fn(record);
  };
  out.resolve = [](const Inventory& inventory, std::string_view ref) -> KindTable::Object {
    return inventory.table<T>().resolve(ref);
  };
  return out;
}

const Listing::Piece& end_of_list() {
  static const Listing::Piece kEnd = std::make_shared<const std::string>("]}");
  return kEnd;
}

// Rows that are equal keep their order.
template <class Less>
void sort_rows(std::vector<KindTable::Object>& rows, Less less) {
  std::vector<std::uint32_t> places(rows.size());
  std::iota(places.begin(), places.end(), 0);
  std::ranges::sort(places, [&](std::uint32_t a, std::uint32_t b) {
    if (less(rows[a].get(), rows[b].get())) return true;
    return !less(rows[b].get(), rows[a].get()) && a < b;
  });
  std::vector<KindTable::Object> sorted;
  sorted.reserve(rows.size());
  for (std::uint32_t place : places) sorted.push_back(std::move(rows[place]));
  rows = std::move(sorted);
}

// Two words and a pointer in the map, the shared string's own words.
constexpr std::size_t kRowOverhead = 160;

}  // namespace

const KindTable& table_of(std::string_view kind) {
  static const std::vector<KindTable> kTables = {
      make_table<model::Vm>(),      make_table<model::Host>(),    make_table<model::Datastore>(),
      make_table<model::Network>(), make_table<model::Cluster>(), make_table<model::Pool>(),
      make_table<model::Rule>(),    make_table<model::Task>(),    make_table<model::Event>(),
      make_table<model::User>(),    make_table<model::Token>(),   make_table<model::AuditEntry>(),
      make_table<model::Alarm>(),   make_table<model::Webhook>()};
  auto it = std::ranges::find(kTables, kind, &KindTable::kind);
  CHOROK_ASSERT(it != kTables.end());
  return *it;
}

Listing::Listing(Engine& engine, ListingSettings settings) : engine_(engine), settings_(settings) {}

Listing::~Listing() {
  engine_.loop().cancel(expiry_);
}

Result<std::vector<Listing::Piece>> Listing::list(const ListRequest& request,
                                                  const Visible& visible) {
  if (!request.resume.empty()) return resume(request);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->owner = request.owner;
  snapshot->kind = request.kind->kind;
  snapshot->revision = engine_.revision();
  snapshot->made = engine_.now();
  snapshot->rows = TRY(select(request, visible));
  return page(request, std::move(snapshot), 0, {});
}

Result<Listing::Rows> Listing::select(const ListRequest& request, const Visible& visible) const {
  const Type& type = request.kind->type();
  Selector selector;
  if (!request.labels.empty()) TRY(selector.add_labels(type, request.labels));
  for (const std::string& field : request.fields) TRY(selector.add_fields(type, field));
  if (!request.name.empty()) selector.add_name(request.name);
  Order order;
  TRY(order.parse(type, request.sort));

  const KindTable& table = table_of(request.kind->kind);
  Rows rows;
  rows.reserve(table.size(engine_.inventory()));
  table.visit(engine_.inventory(), [&](const KindTable::Object& object) {
    if (visible && !visible(object.get())) return;
    if (!selector.empty() && !selector.matches(type, object.get())) return;
    rows.push_back(object);
  });
  if (!order.empty()) {
    sort_rows(rows, [&](const void* a, const void* b) { return order.less(a, b); });
  } else if (&type == &model::Task::type()) {
    sort_rows(rows, [](const void* a, const void* b) {
      return static_cast<const model::Task*>(a)->created <
             static_cast<const model::Task*>(b)->created;
    });
  }
  return rows;
}

// "ID.OFFSET"
Result<std::vector<Listing::Piece>> Listing::resume(const ListRequest& request) {
  const std::string& text = request.resume;
  std::size_t dot = text.find('.');
  std::size_t offset = 0;
  const char* end = text.data() + text.size();
  bool is_well_formed = dot != std::string::npos;
  if (is_well_formed) {
    auto [at, bad] = std::from_chars(text.data() + dot + 1, end, offset);
    is_well_formed = bad == std::errc() && at == end;
  }
  if (!is_well_formed)
    return fail(Code::kInvalid, "this is not what an earlier page answered", "?continue");
  std::string id = text.substr(0, dot);
  auto it = snapshots_.find(id);
  bool is_known = it != snapshots_.end() && it->second->owner == request.owner &&
                  it->second->kind == request.kind->kind && offset <= it->second->rows.size();
  if (!is_known)
    return fail(Code::kConflict, "this list is not kept any more; list again", "?continue");
  return page(request, it->second, offset, id);
}

Result<std::vector<Listing::Piece>> Listing::page(const ListRequest& request,
                                                  std::shared_ptr<Snapshot> snapshot,
                                                  std::size_t offset, std::string id) {
  std::size_t limit = request.limit.value_or(settings_.page_default);
  if (limit == 0) limit = settings_.rows_max;
  Columns* shown = TRY(columns(request));
  const Rows& rows = snapshot->rows;
  const std::size_t end = std::min(rows.size(), offset + limit);
  std::string next;
  if (end < rows.size()) {
    if (id.empty()) id = keep(snapshot);
    next = fmt::format("{}.{}", id, end);
  }
  std::vector<Piece> pieces;
  pieces.reserve(end - offset + 3);
  std::string head = fmt::format(R"({{"revision":{},"total":{},"continue":"{}","items":[)",
                                 snapshot->revision, rows.size(), next);
  for (std::size_t i = offset; i < end; ++i) {
    Piece piece = row(*shown, rows[i]);
    if (i > offset) {
      pieces.push_back(std::move(piece));
    } else {
      head += std::string_view(*piece).substr(1);  // a row begins with its comma
      pieces.push_back(std::make_shared<const std::string>(std::move(head)));
    }
  }
  if (pieces.empty()) pieces.push_back(std::make_shared<const std::string>(std::move(head)));
  pieces.push_back(end_of_list());
  make_room(*shown, table_of(request.kind->kind).size(engine_.inventory()));
  return pieces;
}

Result<Listing::Columns*> Listing::columns(const ListRequest& request) {
  std::string key = fmt::format("{}?{}", request.kind->kind, request.projection);
  for (auto it = columns_.begin(); it != columns_.end(); ++it)
    if (it->key == key) {
      columns_.splice(columns_.begin(), columns_, it);
      return &columns_.front();
    }
  Columns fresh;
  fresh.key = std::move(key);
  fresh.type = &request.kind->type();
  TRY(fresh.projection.parse(*fresh.type, request.projection));
  columns_.push_front(std::move(fresh));
  return &columns_.front();
}

Listing::Piece Listing::row(Columns& columns, const KindTable::Object& object) {
  // Whole records are large and read seldom: not worth their memory.
  const bool is_kept = !columns.projection.whole();
  if (is_kept)
    if (auto it = columns.rows.find(object.get()); it != columns.rows.end())
      return it->second.piece;
  std::string text = ",";
  columns.projection.encode_to(text, *columns.type, object.get());
  text.shrink_to_fit();
  auto piece = std::make_shared<const std::string>(std::move(text));
  if (!is_kept) return piece;
  std::size_t bytes = piece->size() + kRowOverhead;
  columns.bytes += bytes;
  cached_bytes_ += bytes;
  columns.rows.emplace(object.get(), CachedRow{object, piece});
  return piece;
}

// Rows of records that have changed since are dropped once they are as many as the others.
void Listing::make_room(Columns& used, std::size_t live) {
  auto drop_rows = [&](Columns& columns) {
    cached_bytes_ -= columns.bytes;
    columns.bytes = 0;
    columns.rows = {};
  };
  if (used.rows.size() > 2 * live + 64) drop_rows(used);
  while (columns_.size() > settings_.projections_max ||
         (cached_bytes_ > settings_.cache_bytes_max && columns_.size() > 1)) {
    drop_rows(columns_.back());
    columns_.pop_back();
  }
  if (cached_bytes_ > settings_.cache_bytes_max) drop_rows(columns_.front());
}

std::string Listing::keep(std::shared_ptr<Snapshot> snapshot) {
  if (snapshots_.size() >= settings_.snapshots_max)
    snapshots_.erase(std::ranges::min_element(
        snapshots_, {}, [](const auto& entry) { return entry.second->made; }));
  std::string id = crypto::random_text(16);
  snapshots_[id] = std::move(snapshot);
  if (expiry_ == 0) expiry_ = engine_.loop().after(settings_.snapshot_life, [this] { expire(); });
  return id;
}

// One timer while there are snapshots, none otherwise.
void Listing::expire() {
  expiry_ = 0;
  std::erase_if(snapshots_, [&](const auto& entry) {
    return engine_.now() - entry.second->made >= settings_.snapshot_life;
  });
  if (!snapshots_.empty())
    expiry_ = engine_.loop().after(settings_.snapshot_life, [this] { expire(); });
}

}  // namespace chorok::manager
