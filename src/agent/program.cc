#include "agent/program.h"

#include <fmt/format.h>
#include <net/if.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "agent/files.h"
#include "agent/join.h"
#include "base/json.h"
#include "crypto/x509.h"

namespace chorok::agent {
namespace {

// Certificates live for months; twice a day is often enough to notice, and rare enough not to be.
constexpr Duration kCertificateCheck = std::chrono::hours(12);

// In this network namespace, which /sys need not show.
model::NetworkReach network_reach(const model::Network& network) {
  model::NetworkReach reach{.network = network.meta.id, .reachable = true, .message = {}};
  if (network.kind == model::NetworkKind::kNat) return reach;  // libvirt checks when a VM starts
  if (::if_nametoindex(network.bridge.c_str()) == 0) {
    reach.reachable = false;
    reach.message = fmt::format("this host has no bridge '{}'", network.bridge);
  }
  return reach;
}

// libvirtd keeps the certificate that it began with; this tells it to read its own files again. It
// goes on with the old one where that fails, for the third of its life that is left.
void let_libvirtd_reread_certificate() {
  std::thread([] {
    const char* command[] = {"virt-admin",        "-c",       "libvirtd:///system",
                             "server-update-tls", "libvirtd", nullptr};
    pid_t child = 0;
    int status = -1;
    if (::posix_spawnp(&child, command[0], nullptr, nullptr, const_cast<char**>(command),
                       environ) == 0)
      ::waitpid(child, &status, 0);
    if (status != 0)
      Log("agent").warn("libvirtd did not take the new certificate: restart it within a month");
  }).detach();
}

}  // namespace

void notify_systemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || !*path) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  (void)::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  ::close(fd);
}

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id");
  if (!text) return "unknown";
  return text->substr(0, text->find('\n'));
}

Program::Program(net::AsioLoop& loop, ports::Hypervisor& hypervisor, ports::Storage& storage,
                 AgentSettings settings, std::string config_folder,
                 std::vector<ports::PowerMeter*> meters, ports::HostStandby* standby)
    : loop_(loop),
      hypervisor_(hypervisor),
      storage_(storage),
      settings_(std::move(settings)),
      config_folder_(std::move(config_folder)),
      meters_(std::move(meters)),
      standby_(standby) {}

Program::~Program() = default;

void Program::stop() {
  dialer_.reset();
  core_->stop("the agent stops");
  write_status(false, "the agent was stopped");
}

Result<> Program::start() {
  TRY(make_folder(settings_.state, 0700));
  medium_ = TRY(open_journal_file(settings_.state + "/journal"));
  journal_ = TRY(Journal::open(*medium_));
  if (journal_->damaged_lines() > 0)
    log_.warn("{} lines of the journal are damaged and were skipped", journal_->damaged_lines());
  spool_ = TRY(open_journal_file(settings_.state + "/telemetry"));
  entitlements_ = TRY(open_journal_file(settings_.state + "/entitlements"));
  const Pki pki = TRY(load_pki(config_folder_));
  link_ = TRY(ManagerLink::create(loop_.executor(), settings_.url, pki));
  streams_ = std::make_unique<NetStreams>(loop_, loop_.executor(), hypervisor_, link_);
  CoreSettings core;
  core.target_uri = libvirt_target_uri(pki_folder(config_folder_));
  core.observer.network_reach = network_reach;
  core.telemetry.medium = spool_.get();
  core.entitlements.medium = entitlements_.get();
  core.telemetry.meters = meters_;
  core.departure.host = standby_;
  const AgentIdentity identity{.host = settings_.host,
                               .boot_id = boot_id(),
                               .version = CHOROK_VERSION,
                               .address = settings_.address};
  core_ = std::make_unique<AgentCore>(loop_, hypervisor_, storage_, *journal_, identity,
                                      streams_.get(), std::move(core));
  dialer_ = std::make_unique<Dialer>(loop_.executor(), *core_, link_);
  dialer_->on_change(
      [this](bool connected, const std::string& words) { write_status(connected, words); });
  write_status(false, "not connected yet");
  dialer_->start();
  net::spawn(loop_.executor(), keep_certificate(), "certificate");
  return {};
}

void Program::write_status(bool connected, const std::string& words) {
  const std::string text = fmt::format("{} {} {}\n", connected ? "connected" : "disconnected",
                                       json::format_time(loop_.now()), words);
  // For `chorok-agent status`; a full disk must not stop the agent.
  (void)write_file(settings_.state + "/status", text, 0644);
}

net::awaitable<void> Program::keep_certificate() {
  for (;;) {
    if (auto renewed = co_await renew_certificate(); !renewed)
      log_.warn("the certificate is due for renewal: {}", renewed.error().message);
    co_await net::sleep_for(kCertificateCheck);
  }
}

net::Async<> Program::renew_certificate() {
  const Pki present = CO_TRY(load_pki(config_folder_));
  const auto info = CO_TRY(crypto::certificate_info(present.certificate));
  if (loop_.now() < info.renew_at()) co_return Result<>();
  auto client = link_.client;
  const Pki fresh = CO_TRY(co_await renew(*client, settings_, present));
  CO_TRY(save_pki(config_folder_, fresh));
  // What is connected stays so; the next connection shows the new one.
  const std::string url = link_.url.to_string();
  link_ = CO_TRY(ManagerLink::create(loop_.executor(), url, fresh));
  let_libvirtd_reread_certificate();
  log_.info("the certificate was renewed");
  co_return Result<>();
}

}  // namespace chorok::agent
