#include "cli/session.h"

#include <fmt/format.h>

#include "cli/text.h"
#include "cli/yaml.h"

namespace chorok::cli {

Session::Session(Terminal& terminal, Options options)
    : terminal_(terminal), options_(std::move(options)) {}

void Session::note(std::string_view text) {
  if (!options_.quiet) terminal_.err(text);
}

void Session::out_value(const Value& value) {
  out(options_.output == Output::kYaml ? to_yaml(value) : to_json(value, true) + "\n");
}

std::string Session::config_path() const {
  if (std::string path = terminal_.env("CHOROK_CONFIG"); !path.empty()) return path;
  std::string base = terminal_.env("XDG_CONFIG_HOME");
  if (base.empty()) base = terminal_.env("HOME") + "/.config";
  return base + "/chorok/config.json";
}

namespace {

std::string first_of(std::initializer_list<std::string> candidates) {
  for (const std::string& candidate : candidates)
    if (!candidate.empty()) return candidate;
  return {};
}

Result<const ContextConfig*> chosen_context(const Config& config, const std::string& name,
                                            const std::string& url) {
  if (!name.empty()) {
    if (const auto* context = config.find(name)) return context;
    return usage_fail(fmt::format("there is no context '{}' in the configuration", name),
                      "--context");
  }
  return url.empty() ? config.find(config.current) : config.find_url(url);
}

}  // namespace

Result<Connection> Session::connection() const {
  Config config = TRY(load_config(config_path()));
  std::string url = first_of({options_.url, terminal_.env("CHOROK_URL")});
  while (url.ends_with('/')) url.pop_back();
  std::string name = first_of({options_.context, terminal_.env("CHOROK_CONTEXT")});
  const ContextConfig* context = TRY(chosen_context(config, name, url));
  Connection connection;
  connection.url = url.empty() && context ? context->url : url;
  if (connection.url.empty())
    return fail(Code::kUnauthenticated, "no manager is known: none was logged in to");
  connection.token = first_of({options_.token, terminal_.env("CHOROK_TOKEN")});
  if (connection.token.empty() && context) connection.token = context->token;
  if (std::string file = first_of({options_.ca_file, terminal_.env("CHOROK_CA")}); !file.empty())
    connection.ca_pem = TRY(read_file(file));
  else if (context)
    connection.ca_pem = context->ca;
  return connection;
}

Result<Api*> Session::api(std::optional<Duration> timeout) {
  if (!api_) {
    Connection connection = TRY(this->connection());
    if (timeout) connection.timeout = *timeout;
    api_ = TRY(Api::create(std::move(connection)));
  }
  return api_.get();
}

std::string Session::url() const {
  if (api_) return api_->connection().url;
  auto found = connection();
  return found ? found->url : std::string{};
}

Circumstances Session::circumstances() const {
  return {.url = url(),
          .answered = api_ && api_->has_answered(),
          .stale = api_ && api_->last_status() == 412,
          .advice = advice_,
          .colours = wants_colours(terminal_, terminal_.err_is_terminal())};
}

Query Session::change_query(Query query) const {
  if (options_.dry_run) query.emplace_back("dry_run", "true");
  return query;
}

int Session::tell_dry_run(std::string_view what, const Value& answer) {
  bool ok = answer.get("ok").boolean();
  if (is_structured()) {
    out_value(answer);
    return ok ? exit_code::kOk : exit_code::kFailed;
  }
  std::string text = fmt::format("{}: dry run, nothing was changed: {}\n", what,
                                 coloured(ok ? "this would be done" : "this would be refused",
                                          ok ? Tone::kGood : Tone::kBad, colours()));
  if (auto message = answer.get("message").text(); ok && !message.empty())
    text += fmt::format("  {}\n", printable(message));
  for (const Value& problem : answer.get("problems").items()) {
    text += fmt::format("  - {}", printable(problem.get("message").text()));
    if (auto field = problem.get("field").text(); !field.empty())
      text += fmt::format(" (field {})", printable(field));
    text += '\n';
  }
  out(text);
  return ok ? exit_code::kOk : exit_code::kFailed;
}

Result<> no_table(const Session& session) {
  if (session.options().output != Output::kCsv) return {};
  return usage_fail("what it answers is no list that CSV could hold: ask for json or yaml",
                    "--output");
}

Result<Output> output_from_text(std::string_view text) {
  if (text.empty() || text == "table") return Output::kTable;
  if (text == "wide") return Output::kWide;
  if (text == "json") return Output::kJson;
  if (text == "yaml") return Output::kYaml;
  if (text == "csv") return Output::kCsv;
  return usage_fail(fmt::format("'{}' is no output: table, wide, json, yaml or csv", text),
                    "--output");
}

}  // namespace chorok::cli
