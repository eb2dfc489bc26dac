#include "agent/entitlements.h"

#include <fmt/format.h>

#include <tuple>

#include "agent/flow.h"
#include "base/expiring.h"
#include "base/json.h"

namespace chorok::agent {

Entitlements::Entitlements(Loop& loop, ports::Hypervisor& hypervisor, EntitlementsSettings settings)
    : loop_(loop), hypervisor_(hypervisor), settings_(settings) {
  load();
  changed("");
}

Entitlements::~Entitlements() {
  *alive_ = false;
  loop_.cancel(timer_);
}

// What cannot be read is as if it had never come: the manager says it anew.
void Entitlements::load() {
  if (settings_.medium == nullptr) return;
  const auto text = settings_.medium->read();
  if (!text || text->empty()) return;
  auto request = json::decode<model::EnforceRequest>(*text, {.stored = true});
  if (!request) {
    log_.warn("what VMs are to get is damaged and is waited for: {}", request.error().message);
    return;
  }
  set(std::move(*request));
}

// A full disk does not keep a host from doing what it is told now.
void Entitlements::keep(const model::EnforceRequest& request) {
  if (settings_.medium == nullptr) return;
  if (auto kept = settings_.medium->replace(json::encode(request)); !kept)
    log_.warn("what VMs are to get is not kept: {}", kept.error().message);
}

void Entitlements::set(model::EnforceRequest request) {
  term_ = request.term;
  sequence_ = request.sequence;
  vms_.clear();
  for (model::VmEnforcement& vm : request.vms) {
    std::string uuid = vm.uuid;
    vms_.insert_or_assign(std::move(uuid), std::move(vm));
  }
}

void Entitlements::take(model::EnforceRequest request, Done<Result<model::EnforceAnswer>> done) {
  if (std::tie(request.term, request.sequence) < std::tie(term_, sequence_))
    return done(fail(
        Code::kConflict,
        fmt::format("number {} of term {} is in force here, which is newer", sequence_, term_)));
  keep(request);
  set(std::move(request));
  auto round = std::make_shared<Round>();
  round->open = vms_.size();
  round->done = std::move(done);
  if (vms_.empty()) return round->done(std::move(round->answer));
  for (const auto& [uuid, vm] : vms_) jobs_.push_back({uuid, round});
  pump();
}

void Entitlements::changed(const std::string& uuid) {
  if (uuid.empty()) {
    for (const auto& [each, vm] : vms_) changed_.insert(each);
  } else if (vms_.contains(uuid)) {
    changed_.insert(uuid);
  }
  if (changed_.empty() || timer_ != 0) return;
  timer_ = loop_.after(settings_.settle, [this] {
    timer_ = 0;
    begin_changed();
  });
}

void Entitlements::begin_changed() {
  for (const std::string& uuid : std::exchange(changed_, {})) jobs_.push_back({uuid, nullptr});
  pump();
}

void Entitlements::pump() {
  while (running_ < settings_.side_by_side && !jobs_.empty()) {
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    const auto vm = vms_.find(job.uuid);
    if (vm == vms_.end()) {  // a newer word says nothing of it
      finished(job, std::vector<std::string>());
      continue;
    }
    ++running_;
    auto then = [this, job = std::move(job),
                 alive = alive_](Result<std::vector<std::string>> result) {
      if (!*alive) return;
      --running_;
      finished(job, std::move(result));
      pump();
    };
    hypervisor_.enforce(vm->second, expiring<std::vector<std::string>>(loop_, settings_.timeout,
                                                                       "libvirt", std::move(then)));
  }
}

void Entitlements::finished(const Job& job, Result<std::vector<std::string>> result) {
  // Not there or not running: it is told again when it is. Of the end of what kept it from it now
  // (a job, libvirtd that was away) nothing may ever tell.
  const bool later = !result && (result.error().code == Code::kNotFound ||
                                 result.error().code == Code::kFailedPrecondition);
  if (!result && result.error().code != Code::kNotFound && vms_.contains(job.uuid))
    loop_.after(settings_.retry, [this, uuid = job.uuid, alive = alive_] {
      if (*alive) changed(uuid);
    });
  if (!result && !later) {
    log_.warn("VM {} does not get what it is entitled to: {}", job.uuid, result.error().message);
    result = std::vector<std::string>{result.error().message};
  }
  if (job.round == nullptr) return;
  if (result)
    for (std::string& problem : *result)
      job.round->answer.problems.push_back({job.uuid, std::move(problem)});
  if (--job.round->open == 0) job.round->done(std::move(job.round->answer));
}

}  // namespace chorok::agent
