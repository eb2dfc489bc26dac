// One-use tickets that join a person's connection to one that an agent opens for it: a console, a
// display, the bytes of an upload. Whoever waits for the agent owns the ticket; the agent's request
// takes it. A ticket names the host that may take it, so a stolen one is of no use elsewhere.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/http.h"
#include "net/websocket.h"

namespace chorok::manager {

enum class TicketKind : std::uint8_t { kStream, kTransfer };

// What both sides share. Lives as long as either.
struct Meeting {
  explicit Meeting(const net::Executor& executor) : changed(executor) {}

  std::shared_ptr<net::WebSocket> socket;  // of the agent
  net::BodySink* sink = nullptr;           // of the agent; its to wait until `over`
  std::optional<std::uint64_t> length;     // of a transfer
  Error error;                             // why it ended, if it did not end well
  bool failed = false;
  bool over = false;  // the owner needs socket and sink no more
  net::AsyncEvent changed;

  void finish(std::optional<Error> why = std::nullopt);
};

class Tickets {
 public:
  explicit Tickets(const net::Executor& executor, std::size_t max = 256)
      : executor_(executor), max_(max) {}

  struct Entry {
    TicketKind kind;
    std::string host;
    std::shared_ptr<Meeting> meeting;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  // Ends the ticket with itself.
  class Owner {
   public:
    Owner(std::weak_ptr<Entries> entries, std::string id, std::shared_ptr<Meeting> meeting)
        : entries_(std::move(entries)), id_(std::move(id)), meeting_(std::move(meeting)) {}
    ~Owner();
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    const std::string& id() const { return id_; }
    Meeting& meeting() { return *meeting_; }
    std::shared_ptr<Meeting> share() const { return meeting_; }

   private:
    std::weak_ptr<Entries> entries_;  // a request may outlive the API when the program ends
    std::string id_;
    std::shared_ptr<Meeting> meeting_;
  };

  // kExhausted: too many wait already.
  Result<std::unique_ptr<Owner>> issue(TicketKind kind, std::string host);
  // Once. kNotFound whatever is wrong with it: nothing is told to who guesses.
  Result<std::shared_ptr<Meeting>> take(TicketKind kind, std::string_view id,
                                        std::string_view host);

 private:
  net::Executor executor_;
  std::size_t max_;
  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
};

}  // namespace chorok::manager
