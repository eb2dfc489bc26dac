// Changes as they happen, over SSE, from a revision on.
#include <fmt/format.h>

#include <charconv>
#include <deque>
#include <set>

#include "manager/api_core.h"
#include "net/sse.h"

namespace chorok::manager {
namespace {

// One reader: what has changed and is not written yet. The engine's watcher fills it, the
// connection's coroutine empties it.
struct Reader {
  explicit Reader(const net::Executor& executor) : changed(executor) {}
  std::set<std::string, std::less<>> kinds;  // empty: all
  Caller caller;
  std::string bearer;
  Time checked{};  // when the token was last seen to be good
  std::deque<std::shared_ptr<const std::string>> queue;
  std::size_t queued_bytes = 0;
  std::uint64_t revision = 0;  // of the last change looked at
  bool is_too_slow = false;
  bool is_closed = false;
  net::AsyncEvent changed;
};

// Encoded once, however many readers there are: their watchers are called one after the other.
std::shared_ptr<const std::string> event_of(ApiCore& core, const Notice& notice) {
  if (core.encoded_revision == notice.revision && core.encoded_event) return core.encoded_event;
  std::string data = fmt::format(R"({{"kind":"{}","id":{})", notice.kind, json::quoted(notice.id));
  if (notice.object != nullptr) {
    data += ",\"object\":";
    json::encode_to(data, *notice.type, notice.object.get());
  }
  data += '}';
  core.encoded_revision = notice.revision;
  core.encoded_event = std::make_shared<const std::string>(
      net::format_sse({.id = std::to_string(notice.revision),
                       .event = notice.object != nullptr ? "put" : "delete",
                       .data = std::move(data)}));
  return core.encoded_event;
}

// Of a deletion only the id is told, so it goes to everybody who may see some of the kind; ids are
// random and say nothing.
bool may_see(const ApiCore& core, const Caller& caller, const Notice& notice) {
  if (model::find_resource_kind(notice.kind) == nullptr) return false;
  if (notice.object == nullptr) {
    const bool is_private = notice.kind == "user" || notice.kind == "token" ||
                            notice.kind == "audit" || notice.kind == "webhook";
    return !is_private || caller.role_on("") == model::Role::kAdmin;
  }
  auto sees = visible_to(core, caller, notice.kind);
  return !sees || sees(notice.object.get());
}

void take(ApiCore& core, Reader& reader, const Notice& notice) {
  reader.revision = notice.revision;
  if (reader.is_too_slow || reader.is_closed) return;
  if (!reader.kinds.empty() && !reader.kinds.contains(notice.kind)) return;
  if (!may_see(core, reader.caller, notice)) return;
  auto event = event_of(core, notice);
  reader.queued_bytes += event->size();
  if (reader.queued_bytes > core.settings.watch_queue_bytes_max) {
    reader.is_too_slow = true;
    reader.queue.clear();
  } else {
    reader.queue.push_back(std::move(event));
  }
  reader.changed.notify_all();
}

Result<std::set<std::string, std::less<>>> parse_kinds(std::string_view text) {
  std::set<std::string, std::less<>> out;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const model::ResourceKind* kind = model::find_resource_kind(item);
    if (kind != nullptr) {
      out.emplace(kind->kind);
      continue;
    }
    std::vector<std::string_view> known;
    for (const model::ResourceKind& each : model::resource_kinds()) known.push_back(each.kind);
    std::string_view near = nearest(item, known);
    return fail(Code::kInvalid,
                near.empty() ? fmt::format("there is no kind '{}'", item)
                             : fmt::format("there is no kind '{}'; did you mean '{}'?", item, near),
                "?kinds");
  }
  return out;
}

Result<std::optional<std::uint64_t>> parse_since(const net::Request& request) {
  std::string_view text = net::last_event_id(request);
  if (text.empty())
    if (const std::string* since = request.query_value("since")) text = *since;
  if (text.empty()) return std::nullopt;
  std::uint64_t revision = 0;
  auto [at, bad] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (bad != std::errc() || at != text.data() + text.size())
    return fail(Code::kInvalid, fmt::format("'{}' is not a revision", text.substr(0, 40)),
                "?since");
  return revision;
}

// Ends the engine's watch with the connection.
class Watching {
 public:
  Watching(ApiCore& core, std::uint64_t id) : core_(core), id_(id) { ++core_.watchers; }
  ~Watching() {
    if (!*alive_) return;
    --core_.watchers;
    core_.engine.unwatch(id_);
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

 private:
  ApiCore& core_;
  std::uint64_t id_;
  std::shared_ptr<bool> alive_ = core_.alive;
};

// A watch lasts for days; the token behind it, and what it may, do not.
Result<> check_token(ApiCore& core, Reader& reader) {
  if (reader.bearer.empty() || core.engine.now() - reader.checked < core.settings.heartbeat)
    return {};
  reader.checked = core.engine.now();
  reader.caller = TRY(core.accounts.authenticate(reader.bearer, reader.caller.peer));
  return {};
}

net::Async<> write_events(ApiCore& core, Reader& reader, net::BodySink& sink) {
  // The revision to go on from, even when nothing happens for long: an event without data is not
  // shown to the client, but its id is kept. Not before what is still queued below it.
  auto beat = [&] {
    return reader.queue.empty() ? fmt::format(":\nid: {}\n\n", reader.revision) : ":\n\n";
  };
  CO_TRY(co_await sink.write(beat()));
  while (!reader.is_closed) {
    if (reader.is_too_slow)
      co_return fail(Code::kExhausted, "the reader of this watch is too slow");
    // An orderly end: the client comes again and is told 401.
    if (!check_token(core, reader)) break;
    if (reader.queue.empty()) {
      const bool is_woken = co_await reader.changed.wait_for(core.settings.heartbeat);
      if (!is_woken && reader.queue.empty()) CO_TRY(co_await sink.write(beat()));
      continue;
    }
    std::string batch;
    while (!reader.queue.empty() && batch.size() < 64 * 1024) {
      batch += *reader.queue.front();
      reader.queued_bytes -= reader.queue.front()->size();
      reader.queue.pop_front();
    }
    CO_TRY(co_await sink.write(batch));
  }
  co_return Result<>{};
}

}  // namespace

net::Async<net::Response> watch(Call& call) {
  ApiCore& core = call.core;
  if (core.watchers >= core.settings.watchers_max)
    co_return fail(Code::kExhausted, "too many watch already; try again later");
  auto reader = std::make_shared<Reader>(core.executor);
  reader->kinds = CO_TRY(parse_kinds(call.value("kinds")));
  reader->caller = call.caller;
  reader->bearer = call.bearer;
  reader->checked = core.engine.now();
  const auto since = CO_TRY(parse_since(call.request));
  reader->revision = since.value_or(core.engine.revision());
  auto write = [&core, reader](net::BodySink& sink) -> net::Async<> {
    auto kept = reader;  // the lambda goes before what runs in it
    ApiCore& shared = core;
    auto id = shared.engine.watch(
        kept->revision, [&shared, kept](const Notice& notice) { take(shared, *kept, notice); });
    if (!id) {
      const std::string gone =
          net::format_sse({.id = fmt::format("{}", shared.engine.revision()),
                           .event = "compacted",
                           .data = fmt::format(R"({{"revision":{}}})", shared.engine.revision())});
      co_return co_await sink.write(gone);
    }
    Watching watching(shared, *id);
    sink.on_close([kept] {
      kept->is_closed = true;
      kept->changed.notify_all();
    });
    co_return co_await write_events(shared, *kept, sink);
  };
  co_return net::sse_response(std::move(write));
}

}  // namespace chorok::manager
