// What a connection reads into: little while it waits, since a thousand agents hold a thousand of
// these, more while reads fill it. Not for other folders.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace chorok::net {

class IdleBuffer {
 public:
  // For the next read; what the one before it brought is gone.
  std::span<char> next() {
    if (last_ == bytes_.size())
      hold(bytes_.empty()                  ? kIdleBytes
           : bytes_.size() < kMessageBytes ? kMessageBytes
                                           : kBulkBytes);
    else if (bytes_.size() <= kMessageBytes || last_ < kTrickleBytes)
      hold(kIdleBytes);
    return bytes_;
  }
  // The bytes that the read has brought.
  std::string_view take(std::size_t count) {
    last_ = count;
    return std::string_view(bytes_).substr(0, count);
  }

 private:
  static constexpr std::size_t kIdleBytes = 1024;         // most requests and answers fit
  static constexpr std::size_t kMessageBytes = 8 * 1024;  // and an agent's report this
  static constexpr std::size_t kBulkBytes = 64 * 1024;    // uploads: few system calls
  static constexpr std::size_t kTrickleBytes = 4 * 1024;  // no bulk any more

  void hold(std::size_t bytes) {
    if (bytes_.size() != bytes) bytes_ = std::string(bytes, '\0');
  }

  std::string bytes_;
  std::size_t last_ = 0;
};

}  // namespace chorok::net
