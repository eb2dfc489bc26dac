#include "simulation/ways.h"

#include <utility>

#include "agent/dialer.h"
#include "base/log.h"
#include "crypto/x509.h"
#include "sim/memory_channel.h"

namespace chorok::simulation {
namespace {

class MemoryWay final : public Way {
 public:
  MemoryWay(Loop& loop, std::shared_ptr<Door> door, std::string host, agent::AgentCore& core)
      : loop_(loop), door_(std::move(door)), host_(std::move(host)), core_(core) {
    core_.on_detached([this](const Error&) {
      timer_ = loop_.after(std::chrono::seconds(1), [this] { dial(); });
    });
    dial();
  }
  ~MemoryWay() override {
    loop_.cancel(timer_);
    core_.on_detached(nullptr);
    if (link_ != nullptr) link_->cut("the host has no power");
  }

 private:
  void dial() {
    if (!door_->knows(host_)) return;
    link_ = sim::MemoryLink::create(loop_, {}, sim::Random(1).fork(host_));
    std::shared_ptr<ports::Channel> here = link_->take_a();
    std::shared_ptr<ports::Channel> there = link_->take_b();
    door_->attach(host_, std::move(here));
    core_.attach(std::move(there));
  }

  Loop& loop_;
  std::shared_ptr<Door> door_;
  std::string host_;
  agent::AgentCore& core_;
  TimerId timer_ = 0;
  std::shared_ptr<sim::MemoryLink> link_;  // the newest; its ends do not keep it
};

class DialedWay final : public Way {
 public:
  DialedWay(const net::Executor& executor, agent::ManagerLink link, agent::AgentCore& core)
      : link_(std::move(link)), dialer_(executor, core, link_) {
    dialer_.start();
  }

 private:
  agent::ManagerLink link_;
  agent::Dialer dialer_;
};

Result<std::unique_ptr<Way>> dial(net::AsioLoop& loop, const std::string& url,
                                  const std::string& folder, agent::AgentCore& core) {
  const agent::Pki own = TRY(agent::load_pki(folder));
  auto link = TRY(agent::ManagerLink::create(loop.executor(), url, own));
  return std::make_unique<DialedWay>(loop.executor(), std::move(link), core);
}

}  // namespace

MakeWay ways_in_memory(Loop& loop, Door door) {
  return [&loop, door = std::make_shared<Door>(std::move(door))](const std::string& host,
                                                                 agent::AgentCore& core) {
    return std::make_unique<MemoryWay>(loop, door, host, core);
  };
}

MakeWay ways_over_tls(net::AsioLoop& loop, std::string url, std::string folder) {
  return [&loop, url = std::move(url), folder = std::move(folder)](
             const std::string& host, agent::AgentCore& core) -> std::unique_ptr<Way> {
    auto way = dial(loop, url, folder + "/" + host, core);
    if (way) return std::move(*way);
    Log("sim").error("{} cannot dial: {}", host, way.error().message);
    return nullptr;
  };
}

Result<> save_identity(const std::string& folder, const manager::Pki& pki, Time now,
                       model::Host& host) {
  auto made = TRY(crypto::make_key_and_csr(host.meta.name));
  const agent::Pki own{.key = made.key_pem,
                       .certificate = TRY(pki.sign_agent(made.csr_pem, host.meta.id, {}, now)),
                       .ca = pki.ca_pem()};
  const auto info = TRY(crypto::certificate_info(own.certificate));
  host.certificate_serial = info.serial;
  host.certificate_expires = info.not_after;
  return agent::save_pki(folder + "/" + host.meta.id, own);
}

}  // namespace chorok::simulation
