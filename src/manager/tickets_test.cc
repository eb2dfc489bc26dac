#include "manager/tickets.h"

#include <gtest/gtest.h>

#include "net/asio_loop.h"

namespace chorok::manager {
namespace {

struct TicketsTest : testing::Test {
  net::AsioLoop loop;
  Tickets tickets{loop.executor(), 2};
};

TEST_F(TicketsTest, WorkOnceForOneHostAndPurpose) {
  auto owner = tickets.issue(TicketKind::kStream, "h-1").value();
  EXPECT_EQ(owner->id().size(), 32U);
  EXPECT_FALSE(tickets.take(TicketKind::kStream, owner->id(), "h-2"));
  EXPECT_FALSE(tickets.take(TicketKind::kTransfer, owner->id(), "h-1"));
  EXPECT_FALSE(tickets.take(TicketKind::kStream, "", "h-1"));
  EXPECT_EQ(tickets.take(TicketKind::kStream, owner->id(), "h-1").value(), owner->share());
  EXPECT_FALSE(tickets.take(TicketKind::kStream, owner->id(), "h-1"));
}

TEST_F(TicketsTest, EndWithTheirOwner) {
  auto owner = tickets.issue(TicketKind::kStream, "h-1").value();
  const std::string id = owner->id();
  auto meeting = owner->share();
  owner.reset();
  EXPECT_TRUE(meeting->over);
  EXPECT_TRUE(meeting->failed);
  EXPECT_FALSE(tickets.take(TicketKind::kStream, id, "h-1"));
}

TEST_F(TicketsTest, AreFew) {
  auto a = tickets.issue(TicketKind::kStream, "h-1").value();
  auto b = tickets.issue(TicketKind::kStream, "h-1").value();
  EXPECT_EQ(tickets.issue(TicketKind::kStream, "h-1").error().code, Code::kExhausted);
  a.reset();
  EXPECT_TRUE(tickets.issue(TicketKind::kStream, "h-1"));
}

TEST(TicketOwner, MayOutliveTheTickets) {
  net::AsioLoop loop;
  std::unique_ptr<Tickets::Owner> owner;
  {
    Tickets tickets(loop.executor());
    owner = tickets.issue(TicketKind::kTransfer, "h-1").value();
  }
  owner.reset();
}

}  // namespace
}  // namespace chorok::manager
