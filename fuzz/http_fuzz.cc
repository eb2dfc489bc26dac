// Any bytes to the HTTP server, whole and in parts: it must answer or close, never crash, hang, or
// answer in a form that its own client's parser refuses. The first byte chooses how the rest is
// cut.
#include <cstdint>
#include <cstdlib>

#include "net/asio_loop.h"
#include "net/http.h"
#include "net/message_parser.h"
#include "net/sse.h"

namespace {

using namespace chorok;
using namespace chorok::net;

awaitable<Response> answer(Request& request) {
  if (request.reader != nullptr) {
    char bytes[64];
    for (;;) {
      auto count = co_await request.reader->read_some(bytes);
      if (!count) co_return Response::problem(count.error());
      if (*count == 0) break;
    }
  }
  if (request.path == "/stream") {
    co_return Response::stream("text/plain", [](BodySink& sink) -> Async<> {
      CO_TRY(co_await sink.write(format_sse({"1", "e", "data", {}})));
      co_return Result<>{};
    });
  }
  // A header made from input must not be able to break out of its line.
  co_return Response{200, {{"X-Query", format_query(request.query)}, {"X-Body", request.body}}, ""};
}

HttpLimits small_limits() {
  HttpLimits limits;
  limits.header_bytes_max = 1024;
  limits.header_count_max = 16;
  limits.body_bytes_max = 512;
  return limits;
}

awaitable<void> feed(std::shared_ptr<ByteStream> peer, std::string bytes, std::size_t part) {
  for (std::size_t at = 0; at < bytes.size(); at += part) {
    if (!co_await peer->write_all(std::string_view(bytes).substr(at, part))) break;
  }
  co_await peer->shutdown();
}

awaitable<void> collect(std::shared_ptr<ByteStream> peer, std::string& answers) {
  char bytes[1024];
  for (;;) {
    auto count = co_await peer->read_some(bytes);
    if (!count || *count == 0) co_return;
    answers.append(bytes, *count);
  }
}

void check_answers(const std::string& answers) {
  ReadBuffer buffer;
  auto into = buffer.prepare(answers.size());
  std::copy(answers.begin(), answers.end(), into.begin());
  buffer.commit(answers.size());
  if (buffer.is_empty()) return;
  // HEAD cannot be told from GET here: only the first answer's head is certain.
  MessageParser parser(MessageParser::Kind::kResponse, {64 * 1024, 100});
  auto head = parser.parse_head(buffer);
  if (!head || !*head) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t part = data[0] == 0 ? size : data[0];
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string answers;
  {
    AsioLoop loop;
    HttpServer server(loop.executor(), answer, small_limits(), [](const Request& request) {
      return BodyPolicy{512, request.path == "/upload"};
    });
    auto [near, far] = make_pipe(loop.executor(), 256);
    std::shared_ptr<ByteStream> peer = std::move(near);
    spawn(loop.executor(), server.serve(std::move(far)), "serve");
    spawn(loop.executor(), feed(peer, bytes, part), "feed");
    spawn(loop.executor(), collect(peer, answers), "collect");
    loop.run(true);
    if (server.stats().connections != 0) std::abort();
  }
  check_answers(answers);
  (void)parse_target(bytes);
  (void)parse_url(bytes);
  return 0;
}
