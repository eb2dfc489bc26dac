#include "manager/tickets.h"

#include "crypto/random.h"

namespace chorok::manager {

void Meeting::finish(std::optional<Error> why) {
  if (over) return;
  over = true;
  failed = why.has_value();
  if (why) error = std::move(*why);
  changed.notify_all();
}

Tickets::Owner::~Owner() {
  if (auto entries = entries_.lock()) entries->erase(id_);
  meeting_->finish(Error{Code::kCancelled, "the other side is gone", {}});
}

Result<std::unique_ptr<Tickets::Owner>> Tickets::issue(TicketKind kind, std::string host) {
  if (entries_->size() >= max_)
    return fail(Code::kExhausted, "too many consoles and uploads wait for their host already");
  std::string id = crypto::random_text(32);
  auto meeting = std::make_shared<Meeting>(executor_);
  (*entries_)[id] = Entry{kind, std::move(host), meeting};
  return std::make_unique<Owner>(entries_, std::move(id), std::move(meeting));
}

Result<std::shared_ptr<Meeting>> Tickets::take(TicketKind kind, std::string_view id,
                                               std::string_view host) {
  auto it = entries_->find(id);
  if (it == entries_->end() || it->second.kind != kind || it->second.host != host)
    return fail(Code::kNotFound, "there is no such ticket");
  auto meeting = std::move(it->second.meeting);
  entries_->erase(it);
  return meeting;
}

}  // namespace chorok::manager
