#include "simulation/streams.h"

#include <fmt/format.h>

#include "crypto/sha256.h"
#include "manager/http_await.h"
#include "net/websocket.h"

namespace chorok::simulation {
namespace {

// One console of a fake guest, joined to a WebSocket end.
struct ConsolePump : std::enable_shared_from_this<ConsolePump> {
  ConsolePump(const net::Executor& executor, std::unique_ptr<ports::ConsoleStream> stream,
              std::shared_ptr<net::WebSocket> end)
      : guest(std::move(stream)), socket(std::move(end)), changed(executor) {}

  void start(const net::Executor& executor) {
    std::weak_ptr<ConsolePump> weak = shared_from_this();
    guest->on_data([weak](std::span<const char> bytes) {
      auto self = weak.lock();
      if (self == nullptr) return;
      self->unsent.append(bytes.data(), bytes.size());
      self->changed.notify_all();
    });
    guest->on_close([weak](Error) {
      auto self = weak.lock();
      if (self == nullptr) return;
      self->is_over = true;
      self->changed.notify_all();
    });
    net::spawn(executor, send(shared_from_this()), "simulated console");
    net::spawn(executor, receive(shared_from_this()), "simulated console input");
  }
  static net::awaitable<void> send(std::shared_ptr<ConsolePump> self) {
    for (;;) {
      while (self->unsent.empty() && !self->is_over) co_await self->changed.wait();
      if (self->unsent.empty()) break;
      if (!co_await self->socket->send_binary(std::exchange(self->unsent, {}))) break;
    }
    co_await self->socket->close();
  }
  static net::awaitable<void> receive(std::shared_ptr<ConsolePump> self) {
    while (auto message = co_await self->socket->receive())
      if (!self->is_over) self->guest->write(std::move(message->data));
    self->is_over = true;
    self->changed.notify_all();
    self->guest.reset();
  }

  std::unique_ptr<ports::ConsoleStream> guest;
  std::shared_ptr<net::WebSocket> socket;
  std::string unsent;
  bool is_over = false;
  net::AsyncEvent changed;
};

// Where the bytes of an upload end: counted and hashed.
class HashSink final : public net::BodySink {
 public:
  explicit HashSink(const net::Executor& executor) : executor_(executor) {}
  net::Async<> write(std::string_view bytes) override {
    hash.update(bytes);
    size += bytes.size();
    co_return Result<>{};
  }
  bool is_closed() const override { return false; }
  void on_close(std::function<void()>) override {}
  net::Executor executor() const override { return executor_; }
  crypto::Sha256 hash;
  std::uint64_t size = 0;

 private:
  net::Executor executor_;
};

}  // namespace

Streams::Streams(const net::Executor& executor, sim::FakeWorld& world, sim::HostIndex index,
                 ports::Hypervisor& hypervisor, manager::Tickets& tickets, std::string host)
    : executor_(executor),
      world_(world),
      index_(index),
      hypervisor_(hypervisor),
      tickets_(tickets),
      host_(std::move(host)) {}

void Streams::open(model::StreamRequest request, Done<Result<>> done) {
  auto opened = [this, ticket = request.ticket, done = std::move(done)](
                    Result<std::unique_ptr<ports::ConsoleStream>> guest) mutable {
    if (!guest) return done(Unexpected(guest.error()));
    done(join(ticket, std::move(*guest)));
  };
  if (request.kind == "vnc") return hypervisor_.vnc(request.uuid, std::move(opened));
  hypervisor_.console(request.uuid, std::move(opened));
}

void Streams::receive(model::FileRequest request, std::string root,
                      Done<Result<model::FileInfo>> done) {
  auto work = [](Streams* self, model::FileRequest asked, std::string beneath,
                 Done<Result<model::FileInfo>> then) -> net::awaitable<void> {
    then(co_await self->fetch(std::move(asked), std::move(beneath)));
  };
  net::spawn(executor_, work(this, std::move(request), std::move(root), std::move(done)),
             "simulated upload");
}

void Streams::list(model::FileRequest request, std::string root,
                   Done<Result<model::FileList>> done) {
  model::FileList list;
  const std::string beneath = request.path.empty() ? root : root + "/" + request.path;
  for (const std::string& path : world_.files().list(index_, beneath)) {
    const sim::FakeFile* file = world_.files().find(index_, path);
    if (file == nullptr) continue;
    list.items.push_back({.path = path.substr(root.size() + 1),
                          .size = static_cast<std::uint64_t>(file->allocated.value) << 20,
                          .format = std::string(name_of(file->format))});
  }
  done(std::move(list));
}

void Streams::remove(model::FileRequest request, std::string root, Done<Result<>> done) {
  if (!world_.files().remove(index_, root + "/" + request.path))
    return done(fail(Code::kNotFound, fmt::format("there is no file '{}'", request.path)));
  done({});
}

Result<> Streams::join(const std::string& ticket, std::unique_ptr<ports::ConsoleStream> guest) {
  auto meeting = TRY(tickets_.take(manager::TicketKind::kStream, ticket, host_));
  auto [here, there] = net::make_pipe(executor_);
  meeting->socket = net::WebSocket::create(std::move(there), net::WebSocketRole::kServer);
  meeting->changed.notify_all();
  auto end = net::WebSocket::create(std::move(here), net::WebSocketRole::kClient);
  std::make_shared<ConsolePump>(executor_, std::move(guest), std::move(end))->start(executor_);
  return {};
}

net::Async<model::FileInfo> Streams::fetch(model::FileRequest request, std::string root) {
  auto meeting = CO_TRY(tickets_.take(manager::TicketKind::kTransfer, request.ticket, host_));
  HashSink sink(executor_);
  meeting->sink = &sink;
  meeting->changed.notify_all();
  while (!meeting->over) co_await meeting->changed.wait();
  meeting->sink = nullptr;
  if (meeting->failed) co_return Unexpected(meeting->error);
  model::FileInfo info{.path = request.path, .size = sink.size, .sha256 = sink.hash.finish_hex()};
  if (!request.sha256.empty() && request.sha256 != info.sha256)
    co_return fail(Code::kInvalid, "the checksum is another one: the file was not stored");
  sim::FakeFile file;
  file.capacity = file.allocated = Mib{static_cast<std::int64_t>((info.size >> 20) + 1)};
  CO_TRY(world_.files().make(index_, root + "/" + request.path, file));
  co_return info;
}

}  // namespace chorok::simulation
