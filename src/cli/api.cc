#include "cli/api.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <thread>

#include "net/http_client.h"
#include "net/sse.h"

namespace chorok::cli {
namespace {

constexpr std::string_view kPrefix = "/api/v1";
// How long the manager may be away while somebody waits: a restart takes a second or two.
constexpr Duration kAwayMax = std::chrono::seconds(30);
constexpr Duration kRetryEvery = std::chrono::milliseconds(300);

std::string random_key() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return {};
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<net::HttpClientSettings> client_settings(const Connection& connection, const net::Url& url) {
  net::HttpClientSettings settings;
  settings.connect.timeout = std::min<Duration>(connection.timeout, settings.connect.timeout);
  if (url.is_secure())
    settings.tls = connection.fingerprint.empty()
                       ? TRY(net::TlsClientContext::with_ca(connection.ca_pem))
                       : TRY(net::TlsClientContext::with_fingerprint(connection.fingerprint));
  else if (!is_loopback(url.host))
    return fail(Code::kInvalid,
                fmt::format("{} is not encrypted: a token would be readable on its way; use https",
                            connection.url),
                "--url");
  return settings;
}

Result<Answer> to_answer(const net::ClientResponse& response) {
  if (!response.is_ok())
    return std::unexpected(net::error_from_problem(response.status, response.body));
  Answer answer{response.status, std::string(response.headers.get("ETag")), {}};
  if (response.body.empty()) return answer;
  auto body = parse_json(response.body);
  if (!body) return std::unexpected(body.error().within("the manager's answer"));
  answer.body = std::move(*body);
  return answer;
}

}  // namespace

std::string ref_path(std::string_view plural, std::string_view ref, std::string_view more) {
  std::string path = fmt::format("/{}/{}", plural, net::percent_encode(ref));
  return more.empty() ? path : fmt::format("{}/{}", path, more);
}

Api::~Api() = default;

Result<std::unique_ptr<Api>> Api::create(Connection connection) {
  while (connection.url.ends_with('/')) connection.url.pop_back();
  auto url = net::parse_url(connection.url);
  if (!url) return std::unexpected(Error{Code::kInvalid, url.error().message, "--url"});
  auto settings = TRY(client_settings(connection, *url));
  std::unique_ptr<Api> api(new Api);
  api->connection_ = std::move(connection);
  api->client_ = std::make_unique<net::BlockingHttpClient>(std::move(settings));
  return api;
}

std::string Api::full_url(std::string_view path, const Query& query) const {
  bool absolute = path.starts_with("/api/");
  std::string url = fmt::format("{}{}{}", connection_.url, absolute ? "" : kPrefix, path);
  if (!query.empty())
    url += (path.find('?') == std::string_view::npos ? "?" : "&") + net::format_query(query);
  return url;
}

namespace {

Result<net::ClientRequest> make_request(const Api& api, const Call& call) {
  net::ClientRequest request;
  request.method = call.method;
  request.url = TRY(net::parse_url(api.full_url(call.path, call.query)));
  request.timeout = api.connection().timeout;
  request.body = call.body;
  if (!api.connection().token.empty())
    request.headers.add("Authorization", "Bearer " + api.connection().token);
  request.headers.add("Accept", "application/json");
  if (!call.body.empty())
    request.headers.add("Content-Type", call.method == "PATCH" ? "application/merge-patch+json"
                                                               : "application/json");
  // One key a command: should the answer get lost, nothing is done twice.
  if (call.method == "POST") request.headers.add("Idempotency-Key", random_key());
  if (!call.if_match.empty()) request.headers.add("If-Match", call.if_match);
  return request;
}

}  // namespace

Result<Answer> Api::call(const Call& call) {
  auto response = TRY(client_->send(TRY(make_request(*this, call))));
  has_answered_ = true;
  last_status_ = response.status;
  if (response.certificate) server_ca_ = response.certificate->issuer_pem;
  return to_answer(response);
}

Result<Value> Api::get(std::string path, Query query) {
  return TRY(call({.path = std::move(path), .query = std::move(query)})).body;
}

Result<Value> Api::list(std::string_view plural, Query query) {
  bool has_limit = false;
  for (const auto& [key, value] : query) has_limit |= key == "limit";
  if (!has_limit) query.emplace_back("limit", "0");
  return get(fmt::format("/{}", plural), std::move(query));
}

Result<Answer> Api::upload(const std::string& path, Query query, net::UploadBody body,
                           const std::string& sha256) {
  auto request =
      TRY(make_request(*this, {.method = "PUT", .path = path, .query = std::move(query)}));
  request.headers.add("Content-Type", "application/octet-stream");
  if (!sha256.empty()) request.headers.add("X-Checksum-Sha256", sha256);
  request.upload = std::move(body);
  request.timeout = std::chrono::hours(24);  // a slow line and a large disk; a stall ends it sooner
  return to_answer(TRY(client_->send(std::move(request))));
}

namespace {

// Collects the body of an answer that is no success, to make an Error of it.
struct StreamHead {
  int status = 0;
  std::string problem;
  bool is_ok() const { return status >= 200 && status < 300; }
  Result<> check() const {
    if (status == 0 || is_ok()) return {};
    return std::unexpected(net::error_from_problem(status, problem));
  }
};

constexpr std::size_t kProblemMax = 64 * 1024;

}  // namespace

Result<> Api::download(const std::string& path, const std::function<bool(std::string_view)>& each) {
  StreamHead head;
  auto request = TRY(make_request(*this, {.path = path}));
  TRY(client_->stream(
      std::move(request),
      [&](int status, const net::Headers&) {
        head.status = status;
        return true;
      },
      [&](std::string_view data) {
        if (head.is_ok()) return each(data);
        head.problem += data.substr(0, kProblemMax);
        return head.problem.size() < kProblemMax;
      }));
  return head.check();
}

namespace {

Result<Change> to_change(const net::SseEvent& event) {
  Change change;
  Value data = TRY(parse_json(event.data));
  change.what = event.event == "delete" ? Change::What::kDelete : Change::What::kPut;
  change.kind = data.get("kind").text();
  change.id = data.get("id").text();
  if (Value* object = data.find("object") ? &data.member("object") : nullptr)
    change.object = std::move(*object);
  return change;
}

}  // namespace

Result<Api::StreamEnd> Api::watch_once(std::string_view kinds, std::string& since,
                                       const std::function<bool(const Change&)>& each,
                                       bool& progressed) {
  Query query = {{"kinds", std::string(kinds)}};
  if (!since.empty()) query.emplace_back("since", since);
  auto request = TRY(make_request(*this, {.path = "/watch", .query = std::move(query)}));
  request.headers.set("Accept", "text/event-stream");
  StreamHead head;
  net::SseParser parser(8 << 20);  // a host's record with all it holds
  Result<> parsed;
  bool wants_more = true;
  bool is_compacted = false;
  auto take = [&](std::string_view data) -> Result<bool> {
    TRY(parser.feed(data));
    while (auto event = parser.next()) {
      if (!event->id.empty()) since = event->id;
      is_compacted = event->event == "compacted";
      if (is_compacted) return false;
      if (event->event != "put" && event->event != "delete") continue;
      progressed = true;
      if (!each(TRY(to_change(*event)))) return false;
    }
    return true;
  };
  auto ended = client_->stream(
      std::move(request),
      [&](int status, const net::Headers&) {
        head.status = status;
        progressed = head.is_ok();
        return true;
      },
      [&](std::string_view data) {
        if (!head.is_ok()) {
          head.problem += data.substr(0, kProblemMax);
          return head.problem.size() < kProblemMax;
        }
        auto more = take(data);
        if (!more) parsed = std::unexpected(more.error());
        wants_more = more && *more;
        return wants_more;
      });
  TRY(head.check());
  TRY(std::move(parsed));
  if (is_compacted) return StreamEnd::kCompacted;
  if (!wants_more) return StreamEnd::kWanted;
  if (!ended && head.status == 0) return std::unexpected(ended.error());
  return StreamEnd::kBroken;
}

Result<WatchEnd> Api::watch(std::string_view kinds, std::int64_t since,
                            const std::function<bool(const Change&)>& each) {
  std::string from = since > 0 ? fmt::format("{}", since) : "";
  auto away_since = std::chrono::steady_clock::now();
  while (true) {
    bool progressed = false;
    auto end = watch_once(kinds, from, each, progressed);
    if (end && *end == StreamEnd::kWanted) return WatchEnd::kEnough;
    if (end && *end == StreamEnd::kCompacted) return WatchEnd::kCompacted;
    auto now = std::chrono::steady_clock::now();
    if (progressed) away_since = now;
    bool may_come_back =
        end || end.error().code == Code::kUnavailable || end.error().code == Code::kTimeout;
    if (!may_come_back || (!end && now - away_since > kAwayMax))
      return std::unexpected(end ? Error{} : end.error());
    std::this_thread::sleep_for(kRetryEvery);
  }
}

}  // namespace chorok::cli
