#include "agent/streams.h"

#include <fmt/format.h>

#include <deque>
#include <mutex>
#include <thread>

#include "agent/datastore_files.h"
#include "crypto/sha256.h"

namespace chorok::agent {
namespace {

// One console or screen and its WebSocket. Each direction is one coroutine; they share the pump.
struct Pump : std::enable_shared_from_this<Pump> {
  Pump(const net::Executor& executor, std::unique_ptr<ports::ConsoleStream> guest_end,
       std::shared_ptr<net::WebSocket> viewer_end, std::size_t most)
      : guest(std::move(guest_end)),
        viewer(std::move(viewer_end)),
        unsent_max(most),
        changed(executor) {}

  void start(const net::Executor& executor);
  net::awaitable<void> send();
  net::awaitable<void> receive();
  void end(std::string why);

  std::unique_ptr<ports::ConsoleStream> guest;
  std::shared_ptr<net::WebSocket> viewer;
  std::size_t unsent_max;
  std::string unsent;
  bool ended = false;
  std::string reason;
  net::AsyncEvent changed;
};

void Pump::start(const net::Executor& executor) {
  std::weak_ptr<Pump> weak = shared_from_this();
  guest->on_data([weak](std::span<const char> bytes) {
    auto pump = weak.lock();
    if (!pump || pump->ended) return;
    if (pump->unsent.size() + bytes.size() > pump->unsent_max)
      return pump->end("too slow for what the guest says");
    pump->unsent.append(bytes.data(), bytes.size());
    pump->changed.notify_all();
  });
  guest->on_close([weak](Error why) {
    if (auto pump = weak.lock()) pump->end(why.message);
  });
  net::spawn(executor, send(), "stream to viewer");
  net::spawn(executor, receive(), "stream to guest");
}

void Pump::end(std::string why) {
  if (std::exchange(ended, true)) return;
  // A close frame carries at most 123 bytes of reason (RFC 6455, 5.5).
  reason = why.substr(0, 123);
  changed.notify_all();
}

net::awaitable<void> Pump::send() {
  auto self = shared_from_this();
  for (;;) {
    while (unsent.empty() && !ended) co_await changed.wait();
    if (unsent.empty()) break;
    // Waits while the viewer's queue is full.
    if (!co_await viewer->send_binary(std::exchange(unsent, {}))) break;
  }
  end("the viewer is gone");
  co_await viewer->close(net::close_code::kNormal, reason);
}

net::awaitable<void> Pump::receive() {
  auto self = shared_from_this();
  while (!ended) {
    auto message = co_await viewer->receive();
    if (!message) break;
    if (!ended) guest->write(std::move(message->data));
  }
  end("the viewer closed");
  guest.reset();
}

}  // namespace

// Threads hold it, and may outlive the streams: `loop` is null then.
struct NetStreams::State {
  State(Loop& on, net::Executor with, ports::Hypervisor& hypervisor_port, ManagerLink& way,
        StreamSettings set)
      : loop(&on),
        executor(std::move(with)),
        hypervisor(hypervisor_port),
        link(way),
        settings(set) {}

  void post(Work work) {
    std::lock_guard lock(mutex);
    if (loop) loop->post(std::move(work));
  }
  net::Async<> open(std::unique_ptr<ports::ConsoleStream> guest, std::string ticket);

  std::mutex mutex;
  Loop* loop;  // guarded by mutex
  net::Executor executor;
  ports::Hypervisor& hypervisor;
  ManagerLink& link;
  StreamSettings settings;
  int transfers = 0;
};

net::Async<> NetStreams::State::open(std::unique_ptr<ports::ConsoleStream> guest,
                                     std::string ticket) {
  auto client = link.client;
  auto viewer = CO_TRY(co_await client->open_websocket(
      link.at("wss", "/agent/v1/stream/" + net::percent_encode(ticket))));
  std::make_shared<Pump>(executor, std::move(guest), std::move(viewer), settings.unsent_max)
      ->start(executor);
  co_return Result<>();
}

NetStreams::NetStreams(Loop& loop, net::Executor executor, ports::Hypervisor& hypervisor,
                       ManagerLink& link, StreamSettings settings)
    : state_(std::make_shared<State>(loop, std::move(executor), hypervisor, link, settings)) {}

NetStreams::~NetStreams() {
  std::lock_guard lock(state_->mutex);
  state_->loop = nullptr;
}

void NetStreams::open(model::StreamRequest request, Done<Result<>> done) {
  auto opened = [state = state_, ticket = request.ticket, done = std::move(done)](
                    Result<std::unique_ptr<ports::ConsoleStream>> guest) mutable {
    if (!guest) return done(Unexpected(std::move(guest).error()));
    net::spawn(
        state->executor,
        [](std::shared_ptr<State> held, std::unique_ptr<ports::ConsoleStream> stream,
           std::string with, Done<Result<>> then) -> net::awaitable<void> {
          then(co_await held->open(std::move(stream), std::move(with)));
        }(state, std::move(*guest), std::move(ticket), std::move(done)),
        "stream.open");
  };
  if (request.kind == "console")
    return state_->hypervisor.console(std::move(request.uuid), std::move(opened));
  if (request.kind == "vnc")
    return state_->hypervisor.vnc(std::move(request.uuid), std::move(opened));
  state_->post([opened = std::move(opened), kind = request.kind]() mutable {
    opened(fail(Code::kInvalid, fmt::format("there is no stream '{}'", kind), "/kind"));
  });
}

template <class T, class Job>
void NetStreams::run_apart(Job job, Done<Result<T>> done) {
  std::thread([state = state_, job = std::move(job), done = std::move(done)]() mutable {
    Result<T> result = job();
    state->post([result = std::move(result), done = std::move(done)]() mutable {
      done(std::move(result));
    });
  }).detach();
}

void NetStreams::receive(model::FileRequest request, std::string root,
                         Done<Result<model::FileInfo>> done) {
  if (state_->transfers >= state_->settings.transfers_max)
    return state_->post([done = std::move(done)]() mutable {
      done(fail(Code::kExhausted, "this host receives files already; try again when it is done"));
    });
  ++state_->transfers;
  net::ClientRequest fetch;
  fetch.url = state_->link.at("https", "/agent/v1/transfer/" + net::percent_encode(request.ticket));
  fetch.timeout = state_->settings.transfer_timeout;
  auto job = [fetch = std::move(fetch), tls = state_->link.tls, request = std::move(request),
              root = std::move(root)]() mutable {
    return fetch_file(std::move(fetch), std::move(tls), request, root);
  };
  auto counted = [state = state_, done = std::move(done)](Result<model::FileInfo> info) mutable {
    --state->transfers;
    done(std::move(info));
  };
  run_apart<model::FileInfo>(std::move(job), std::move(counted));
}

void NetStreams::list(model::FileRequest request, std::string root,
                      Done<Result<model::FileList>> done) {
  run_apart<model::FileList>([request = std::move(request),
                              root = std::move(root)] { return list_files(root, request.path); },
                             std::move(done));
}

void NetStreams::remove(model::FileRequest request, std::string root, Done<Result<>> done) {
  run_apart<void>([request = std::move(request),
                   root = std::move(root)] { return remove_file_beneath(root, request.path); },
                  std::move(done));
}

}  // namespace chorok::agent
