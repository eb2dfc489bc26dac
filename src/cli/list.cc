// ls and show, once and with --watch.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "cli/flags.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/session.h"
#include "cli/yaml.h"

namespace chorok::cli {
namespace {

class Lister {
 public:
  Lister(Session& session, const Invocation& call)
      : session_(session), call_(call), kind_(*call.command->kind) {
    Output output = session.options().output;
    is_log_ = !log_time().empty() && !call.has("sort");
    chosen_ = split_commas(call.value("columns"));
    for (std::string& path : chosen_) std::ranges::replace(path, '.', '/');
    columns_.assign(chosen_.begin(), chosen_.end());
    if (!columns_.empty()) return;
    columns_ = kind_.columns;
    if (output == Output::kWide || output == Output::kCsv)
      columns_.insert(columns_.end(), kind_.wide.begin(), kind_.wide.end());
  }

  Result<int> run() {
    if (session_.options().watch) return watch();
    Value answer = TRY(fetch());
    const bool is_rows = !session_.is_structured() && !session_.options().quiet;
    if (kind_.kind == "cluster" && is_rows && chosen_.empty()) TRY(count_in_clusters(answer));
    bool is_table = !session_.is_structured() && session_.options().output != Output::kCsv;
    const auto& items = answer.get("items").items();
    if (items.empty() && is_table)
      session_.note(fmt::format("there are no {}\n", kind_.plural));
    else
      print(answer, !call_.on("no-headers"));
    auto total = static_cast<std::size_t>(answer.get("total").integer());
    if (is_log_ && is_table && total > items.size())
      session_.note(fmt::format("the last {} of {}; --limit 0 shows all\n", items.size(), total));
    return exit_code::kOk;
  }

 private:
  // What only grows is shown like a log: the newest, in order of time, the last one lowest.
  static constexpr std::string_view kLogRows = "100";
  static constexpr std::size_t kCatchUpRows = 1000;
  static constexpr auto kFetchEvery = std::chrono::milliseconds(500);
  std::string_view log_time() const {
    if (kind_.kind == "task") return "created";
    return kind_.type().find("time") != nullptr ? "time" : "";
  }

  bool is_filtered() const {
    return call_.has("selector") || call_.has("field") || call_.has("name") || call_.has("sort") ||
           (call_.has("limit") && (!is_log_ || repaints())) || (leaves_out_cleared() && repaints());
  }
  bool leaves_out_cleared() const { return kind_.kind == "alarm" && !call_.on("all"); }

  // `log_rows`: how many of a log, or 0: as many as were asked for.
  Result<Value> fetch(std::size_t log_rows = 0) {
    Query query;
    if (call_.has("selector")) query.emplace_back("labels", call_.value("selector"));
    for (const std::string& field : call_.values("field")) query.emplace_back("field", field);
    if (leaves_out_cleared()) query.emplace_back("field", "state!=cleared");
    for (const char* name : {"name", "sort"})
      if (call_.has(name)) query.emplace_back(name, call_.value(name));
    if (is_log_) query.emplace_back("sort", fmt::format("-{}", log_time()));
    if (is_log_ && log_rows > 0)
      query.emplace_back("limit", fmt::format("{}", log_rows));
    else if (call_.has("limit") || is_log_)
      query.emplace_back("limit", call_.has("limit") ? call_.value("limit") : kLogRows);
    // A table needs a few fields of each row, and 20,000 whole VMs are 40 MB.
    if (!session_.is_structured() && !session_.options().watch)
      query.emplace_back("fields", fmt::format("{}", fmt::join(fields(), ",")));
    Value answer = TRY(TRY(session_.api())->list(kind_.plural, std::move(query)));
    if (is_log_ && answer.get("items").is_list())
      std::ranges::reverse(answer.member("items").edit_items());
    fetched_ = std::chrono::steady_clock::now();
    return answer;
  }

  // How many hosts and VMs each has; what the caller may not see is not counted.
  Result<> count_in_clusters(Value& answer) {
    Api& api = *TRY(session_.api());
    const Value hosts = TRY(api.list("hosts", {{"fields", "cluster"}}));
    for (Value& cluster : answer.member("items").edit_items()) {
      std::int64_t count = 0;
      for (const Value& host : hosts.get("items").items())
        count += host.get("cluster").text() == id_of(cluster) ? 1 : 0;
      cluster.member("hosts") = count;
      // Its first row is the cluster itself.
      if (auto use = api.get(ref_path("clusters", id_of(cluster), "use")))
        cluster.member("vms") = use->get("rows/0/vms");
    }
    const auto after = std::min<std::ptrdiff_t>(1, std::ssize(columns_));
    columns_.insert(columns_.begin() + after, {"hosts", "vms"});
    return {};
  }

  std::vector<std::string_view> fields() const {
    if (kind_.kind == "cluster" && chosen_.empty() && !session_.options().quiet) {
      auto fields = columns_;
      if (std::ranges::find(fields, "meta/id") == fields.end()) fields.emplace_back("meta/id");
      return fields;
    }
    if (!session_.options().quiet) return columns_;
    return {name_path(kind_)};
  }

  void print(const Value& answer, bool titles) {
    if (session_.is_structured()) return session_.out_value(answer);
    print_rows(answer.get("items").items(), titles);
  }

  void print_rows(Value::List rows, bool titles) {
    if (!session_.options().quiet) show_names(session_, kind_, rows);
    if (session_.options().quiet) {
      for (const Value& row : rows)
        session_.out(fmt::format("{}\n", printable(row.get(name_path(kind_)).text())));
      return;
    }
    if (session_.options().output == Output::kCsv)
      return session_.out(make_csv(columns_, rows, titles));
    bool fits = session_.terminal().out_is_terminal();
    session_.out(render_table(make_table(kind_.type(), columns_, rows, session_.terminal().now()),
                              {.width = fits ? session_.terminal().width() : 0,
                               .colours = session_.colours(),
                               .titles = titles}));
  }

  // Events and audit entries are only added: what is new goes below. Everything else is painted
  // again on a terminal, and told line by line where it is none.
  bool repaints() const {
    return session_.terminal().out_is_terminal() && kind_.type().find("time") == nullptr &&
           !session_.is_structured();
  }

  Result<int> watch() {
    Api& api = *TRY(session_.api());
    std::int64_t since = 0;
    for (bool is_first = true;; is_first = false) {
      auto answer = is_first ? fetch() : fetch_again();
      if (answer) {
        since = answer->get("revision").integer();
        show(answer->get("items").items(), is_first);
      } else if (is_first || answer.error().code != Code::kUnavailable) {
        return std::unexpected(answer.error());
      }
      TRY(api.watch(kind_.kind, since, [&](const Change& change) {
        // Only the manager knows whether what has changed is still one of these.
        if (is_filtered()) return false;
        apply(change);
        repaints() ? paint() : tell(change);
        return true;
      }));
    }
  }

  // Where hosts come and go all the time, a filtered list is not asked for at each of them.
  Result<Value> fetch_again() {
    std::this_thread::sleep_until(fetched_ + kFetchEvery);
    return fetch(repaints() ? 0 : kCatchUpRows);
  }

  void show(Value::List now, bool is_first) {
    if (!is_first && !repaints()) tell_difference(now);
    rows_ = std::move(now);
    if (repaints()) return paint();
    if (!is_first) return;
    if (session_.is_structured())
      for (const Value& row : rows_) tell(Change{Change::What::kPut, {}, {}, row});
    else
      print_rows(rows_, !call_.on("no-headers"));
  }

  // What came to be seen, or went, while nobody told.
  void tell_difference(const Value::List& now) {
    std::map<std::string_view, const Value*> before;
    for (const Value& row : rows_) before.emplace(id_of(row), &row);
    // Of a log more is fetched than was shown: what is older was there all along.
    const std::string_view oldest =
        is_log_ && !rows_.empty() ? rows_.front().get(log_time()).text() : "";
    for (const Value& row : now) {
      const auto known = before.extract(id_of(row));
      const bool is_new =
          known ? !(*known.mapped() == row) : !is_log_ || row.get(log_time()).text() >= oldest;
      if (is_new) tell(Change{Change::What::kPut, {}, {}, row});
    }
    if (is_log_) return;  // what is not among them is older
    for (const auto& [id, row] : before)
      tell(Change{Change::What::kDelete, std::string(kind_.kind), std::string(id), {}});
  }

  void apply(const Change& change) {
    auto same = [&](const Value& row) { return id_of(row) == change.id; };
    auto it = std::ranges::find_if(rows_, same);
    if (change.what == Change::What::kDelete) {
      if (it != rows_.end()) rows_.erase(it);
    } else if (it != rows_.end()) {
      *it = change.object;
    } else {
      rows_.push_back(change.object);
    }
    if (is_log_ && rows_.size() > 2 * kCatchUpRows)
      rows_.erase(rows_.begin(), rows_.end() - static_cast<std::ptrdiff_t>(kCatchUpRows));
  }

  void tell(const Change& change) {
    bool is_gone = change.what == Change::What::kDelete;
    if (session_.is_structured()) {
      Value line = Value::object({{"event", is_gone ? "delete" : "put"},
                                  {"kind", kind_.kind},
                                  {"id", is_gone ? Value(change.id) : Value(id_of(change.object))},
                                  {"object", change.object}});
      bool yaml = session_.options().output == Output::kYaml;
      return session_.out(yaml ? "---\n" + to_yaml(line) : to_json(line) + "\n");
    }
    if (is_gone)
      session_.note(fmt::format("{} {} is gone\n", kind_.kind, change.id));
    else
      print_rows({change.object}, false);
  }

  void paint() {
    std::size_t height = session_.terminal().height();
    std::size_t room = height > 3 ? height - 2 : rows_.size();
    const auto count = static_cast<std::ptrdiff_t>(std::min(room, rows_.size()));
    const auto from = is_log_ ? rows_.end() - count : rows_.begin();  // a log's newest are lowest
    Value::List shown(from, from + count);
    session_.out("\x1b[H\x1b[2J");
    print_rows(shown, true);
    if (rows_.size() > room) session_.out(fmt::format("… and {} more", rows_.size() - room));
  }

  Session& session_;
  const Invocation& call_;
  const model::ResourceKind& kind_;
  bool is_log_ = false;
  std::vector<std::string> chosen_;
  std::vector<std::string_view> columns_;
  Value::List rows_;
  std::chrono::steady_clock::time_point fetched_;
};

void show_objects(Session& session, const model::ResourceKind& kind, Value::List objects) {
  const Options& options = session.options();
  if (options.output == Output::kJson)
    return session.out_value(objects.size() == 1 ? objects[0] : Value(objects));
  if (options.output == Output::kCsv) {
    auto columns = kind.columns;
    columns.insert(columns.end(), kind.wide.begin(), kind.wide.end());
    return session.out(make_csv(columns, objects, true));
  }
  bool fits = session.terminal().out_is_terminal();
  TableStyle style{.width = fits ? session.terminal().width() : 0, .colours = session.colours()};
  if (options.output != Output::kYaml) show_names(session, kind, objects);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    bool yaml = options.output == Output::kYaml;
    if (i > 0) session.out(yaml ? "---\n" : "\n");
    session.out(yaml ? to_yaml(objects[i])
                     : describe_object(kind.type(), objects[i], session.terminal().now(), style));
  }
}

Result<int> watch_object(Session& session, const model::ResourceKind& kind, Value object) {
  Api& api = *TRY(session.api());
  std::string id(id_of(object));
  bool repaints = session.terminal().out_is_terminal() && !session.is_structured();
  auto paint = [&](const Value& now) {
    if (repaints) session.out("\x1b[H\x1b[2J");
    show_objects(session, kind, {now});
  };
  for (bool is_first = true;; is_first = false) {
    // A change counts from the store's revision, which a list tells; an object's own is another.
    auto since = TRY(api.list(kind.plural, {{"limit", "1"}})).get("revision").integer();
    auto now = api.get(ref_path(kind.plural, id));
    if (!now && now.error().code == Code::kNotFound && !is_first) break;
    Value read = TRY(std::move(now));
    if (is_first || !(read == object)) paint(object = std::move(read));
    const WatchEnd end = TRY(api.watch(kind.kind, since, [&](const Change& change) {
      if (change.id != id) return true;
      if (change.what == Change::What::kPut) paint(object = change.object);
      return change.what != Change::What::kDelete;
    }));
    if (end == WatchEnd::kEnough) break;
  }
  session.note(fmt::format("{} is gone\n", id));
  return exit_code::kOk;
}

}  // namespace

Result<int> run_list(Session& session, const Invocation& call) {
  return Lister(session, call).run();
}

Result<int> run_show(Session& session, const Invocation& call) {
  const model::ResourceKind& kind = *call.command->kind;
  std::vector<std::string> names = call.args;
  if (names.empty()) names.push_back(TRY(only_name(session, kind)));
  Value::List objects;
  for (const std::string& name : names)
    objects.push_back(TRY(TRY(session.api())->get(ref_path(kind.plural, name))));
  if (session.options().watch && objects.size() == 1)
    return watch_object(session, kind, std::move(objects[0]));
  show_objects(session, kind, std::move(objects));
  return exit_code::kOk;
}

}  // namespace chorok::cli
