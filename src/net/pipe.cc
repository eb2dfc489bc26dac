// The in-memory ByteStream.
#include <algorithm>
#include <deque>

#include "net/byte_stream.h"

namespace chorok::net {

namespace {

struct Direction {
  explicit Direction(const Executor& executor, std::size_t bytes_max)
      : changed(executor), capacity(bytes_max) {}
  std::string bytes;
  std::size_t begin = 0;
  bool is_ended = false;      // the writer will write no more
  bool is_abandoned = false;  // the reader will read no more
  AsyncEvent changed;
  std::size_t capacity;
  std::size_t size() const { return bytes.size() - begin; }
};

class PipeEnd final : public ByteStream {
 public:
  PipeEnd(Executor executor, std::shared_ptr<Direction> in, std::shared_ptr<Direction> out)
      : executor_(std::move(executor)), in_(std::move(in)), out_(std::move(out)) {}
  ~PipeEnd() override { close(); }

  Async<std::size_t> read_some(std::span<char> into) override {
    auto in = in_;
    while (in->size() == 0 && !in->is_ended && !in->is_abandoned) co_await in->changed.wait();
    if (in->is_abandoned) co_return fail(Code::kCancelled, "the pipe is closed");
    const std::size_t count = std::min(into.size(), in->size());
    std::copy_n(in->bytes.data() + in->begin, count, into.data());
    in->begin += count;
    if (in->begin == in->bytes.size()) {
      in->bytes.clear();
      in->begin = 0;
    }
    in->changed.notify_all();
    co_return count;
  }

  Async<> write_all(std::span<const std::string_view> pieces) override {
    auto out = out_;
    for (std::string_view piece : pieces) {
      while (!piece.empty()) {
        while (out->size() >= out->capacity && !out->is_ended && !out->is_abandoned) {
          co_await out->changed.wait();
        }
        if (out->is_ended) co_return fail(Code::kCancelled, "the pipe is closed");
        if (out->is_abandoned) co_return fail(Code::kUnavailable, "the other end is closed");
        const std::size_t count = std::min(piece.size(), out->capacity - out->size());
        if (out->begin > out->capacity) {
          out->bytes.erase(0, out->begin);
          out->begin = 0;
        }
        out->bytes.append(piece.substr(0, count));
        piece.remove_prefix(count);
        out->changed.notify_all();
      }
    }
    co_return Result<>{};
  }
  using ByteStream::write_all;

  Async<> shutdown() override {
    out_->is_ended = true;
    out_->changed.notify_all();
    co_return Result<>{};
  }

  void close() noexcept override {
    in_->is_abandoned = true;
    out_->is_ended = true;
    in_->changed.notify_all();
    out_->changed.notify_all();
  }

  Executor executor() const override { return executor_; }
  std::string peer() const override { return "pipe"; }

 private:
  Executor executor_;
  std::shared_ptr<Direction> in_;
  std::shared_ptr<Direction> out_;
};

}  // namespace

std::pair<StreamPtr, StreamPtr> make_pipe(const Executor& executor, std::size_t capacity_bytes) {
  auto there = std::make_shared<Direction>(executor, capacity_bytes);
  auto back = std::make_shared<Direction>(executor, capacity_bytes);
  return {std::make_unique<PipeEnd>(executor, there, back),
          std::make_unique<PipeEnd>(executor, back, there)};
}

}  // namespace chorok::net
