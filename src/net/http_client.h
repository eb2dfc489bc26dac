// The HTTP/1.1 client: keeps connections for reuse, streams bodies both ways, opens WebSockets.
// HttpClient is for coroutines; BlockingHttpClient is for programs such as the CLI that do one
// thing at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/tls.h"
#include "net/uri.h"
#include "net/websocket.h"

namespace chorok::net {

// The body of an upload: read_some gives 0 at the end; it may block shortly (a local file).
struct UploadBody {
  std::uint64_t length = 0;
  std::function<Result<std::size_t>(std::span<char>)> read_some;
  std::function<void(std::uint64_t sent_bytes)> progress;  // may be empty
};
Result<UploadBody> upload_from_file(const std::string& path);

struct ClientRequest {
  std::string method = "GET";
  Url url;
  Headers headers;  // Host, Content-Length and Connection are the client's own
  std::string body;
  std::optional<UploadBody> upload;  // instead of `body`; sent after 100-continue
  Duration timeout =
      std::chrono::seconds(30);  // to the end of the response, or of its head when streamed
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
  std::shared_ptr<const PeerCertificate> certificate;
  bool is_ok() const { return status >= 200 && status < 300; }
};

// A response whose body is still coming. Dropping it closes the connection.
class ClientStream {
 public:
  virtual ~ClientStream() = default;
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  virtual Async<std::size_t> read_some(std::span<char> into) = 0;  // 0 at the end
  virtual void close() noexcept = 0;
};

struct HttpClientSettings {
  std::shared_ptr<TlsClientContext> tls;  // needed for https and wss
  std::string unix_path;                  // connect there whatever the URL's host
  ConnectSettings connect;
  std::size_t idle_connections_max = 8;  // kept for reuse, over all servers
  Duration idle_timeout =
      std::chrono::seconds(30);  // below the server's 60 s, or it races its close
  std::uint64_t body_bytes_max =
      64 * 1024 * 1024;  // a list of 100,000 rows; larger bodies are streamed
  std::size_t header_bytes_max = 64 * 1024;
  Duration stall_timeout = std::chrono::seconds(60);  // for the peer to take a buffer of an upload
};

class HttpClient {
 public:
  explicit HttpClient(const Executor& executor, HttpClientSettings settings = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // An answer with any status is a success here; an Error means there was no answer. A request on a
  // kept connection that broke before a byte of the answer is repeated once when its method is
  // idempotent.
  Async<ClientResponse> send(ClientRequest request);
  Async<std::unique_ptr<ClientStream>> open_stream(ClientRequest request);
  // When the server answers with something else (a redirect to the leader, 401), that is an Error,
  // and the answer itself is in `refusal` if that is given. `settings.protocol` is asked for.
  Async<std::shared_ptr<WebSocket>> open_websocket(Url url, Headers headers = {},
                                                   WebSocketSettings settings = {},
                                                   ClientResponse* refusal = nullptr);
  void close_idle();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Owns a private event loop that runs only inside its calls.
class BlockingHttpClient {
 public:
  explicit BlockingHttpClient(HttpClientSettings settings = {});
  ~BlockingHttpClient();

  Result<ClientResponse> send(ClientRequest request);
  // Calls on_head once, then on_data for each part, until the end, an error, or until one of them
  // returns false. The loop stands still meanwhile, so both may send requests of their own.
  Result<> stream(ClientRequest request,
                  std::function<bool(int status, const Headers& headers)> on_head,
                  std::function<bool(std::string_view data)> on_data);
  HttpClient& client();
  Executor executor();
  // Runs a coroutine to its end on the private loop.
  template <class T>
  Result<T> run(Async<T> work) {
    std::optional<Result<T>> result;
    run_until_done(keep(std::move(work), result));
    if (!result) return fail(Code::kInternal, "the work ended without a result");
    return std::move(*result);
  }

 private:
  template <class T>
  static awaitable<void> keep(Async<T> work, std::optional<Result<T>>& result) {
    result.emplace(co_await std::move(work));
  }
  void run_until_done(awaitable<void> work);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chorok::net
