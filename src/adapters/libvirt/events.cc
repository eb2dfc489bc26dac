// What libvirt tells by itself, turned into "this domain changed" and into news for whoever waits
// for a job. Runs on libvirt's event thread, so nothing here may block.
#include <libvirt/libvirt.h>

#include <array>

#include "adapters/libvirt/core.h"

namespace chorok::adapters::libvirt {

namespace {

using CoreRef = std::weak_ptr<Core>;

void free_ref(void* opaque) {
  delete static_cast<CoreRef*>(opaque);
}

std::string uuid_of(virDomainPtr domain) {
  std::array<char, VIR_UUID_STRING_BUFLEN> text{};
  if (virDomainGetUUIDString(domain, text.data()) < 0) return {};
  return text.data();
}

// Calls `tell` with the news of a domain that somebody waits for, then wakes them.
template <class F>
void add_news(Core& core, const std::string& uuid, F tell) {
  std::lock_guard lock(core.news_mutex());
  if (!core.has_news(uuid)) return;
  tell(core.news(uuid));
  core.news_arrived().notify_all();
}

template <class F>
void with_core(virDomainPtr domain, void* opaque, F body) {
  auto core = static_cast<CoreRef*>(opaque)->lock();
  if (core == nullptr) return;
  std::string uuid = uuid_of(domain);
  if (!uuid.empty()) body(*core, uuid);
}

int on_lifecycle(virConnectPtr, virDomainPtr domain, int, int, void* opaque) {
  with_core(domain, opaque, [](Core& core, const std::string& uuid) { core.changed(uuid); });
  return 0;
}

void on_plain(virConnectPtr, virDomainPtr domain, void* opaque) {
  with_core(domain, opaque, [](Core& core, const std::string& uuid) { core.changed(uuid); });
}

void on_device_removed(virConnectPtr, virDomainPtr domain, const char* alias, void* opaque) {
  with_core(domain, opaque, [&](Core& core, const std::string& uuid) {
    add_news(core, uuid, [&](JobNews& news) { news.removed_devices.insert(alias); });
    core.changed(uuid);
  });
}

void on_device_added(virConnectPtr, virDomainPtr domain, const char*, void* opaque) {
  with_core(domain, opaque, [](Core& core, const std::string& uuid) { core.changed(uuid); });
}

void on_agent(virConnectPtr, virDomainPtr domain, int, int, void* opaque) {
  with_core(domain, opaque, [](Core& core, const std::string& uuid) { core.changed(uuid); });
}

void on_memory_size(virConnectPtr, virDomainPtr domain, const char*, unsigned long long,
                    void* opaque) {
  with_core(domain, opaque, [](Core& core, const std::string& uuid) { core.changed(uuid); });
}

void on_metadata(virConnectPtr, virDomainPtr domain, int, const char*, void* opaque) {
  with_core(domain, opaque, [](Core& core, const std::string& uuid) { core.changed(uuid); });
}

void on_iteration(virConnectPtr, virDomainPtr domain, int iteration, void* opaque) {
  with_core(domain, opaque, [&](Core& core, const std::string& uuid) {
    add_news(core, uuid, [&](JobNews& news) { news.rounds = iteration; });
  });
}

void on_job_completed(virConnectPtr, virDomainPtr domain, virTypedParameterPtr params, int count,
                      void* opaque) {
  with_core(domain, opaque, [&](Core& core, const std::string& uuid) {
    add_news(core, uuid, [&](JobNews& news) {
      news.completed = true;
      for (int i = 0; i < count; ++i)
        if (params[i].type == VIR_TYPED_PARAM_ULLONG)
          news.fields[params[i].field] = params[i].value.ul;
    });
    core.changed(uuid);
  });
}

void on_block_job(virConnectPtr, virDomainPtr domain, const char* disk, int, int status,
                  void* opaque) {
  with_core(domain, opaque, [&](Core& core, const std::string& uuid) {
    add_news(core, uuid, [&](JobNews& news) { news.block_jobs[disk] = status; });
    core.changed(uuid);
  });
}

struct Subscription {
  int event;
  virConnectDomainEventGenericCallback callback;
};

// Libvirt takes callbacks of every shape as one type and calls each by its own.
template <class F>
virConnectDomainEventGenericCallback any(F* callback) {
  return reinterpret_cast<virConnectDomainEventGenericCallback>(
      reinterpret_cast<void (*)()>(callback));
}

}  // namespace

std::vector<int> register_events(const std::shared_ptr<Core>& core, virConnectPtr connection) {
  const Subscription wanted[] = {
      {VIR_DOMAIN_EVENT_ID_LIFECYCLE, any(on_lifecycle)},
      {VIR_DOMAIN_EVENT_ID_REBOOT, any(on_plain)},
      {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, any(on_device_removed)},
      {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, any(on_device_added)},
      {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, any(on_agent)},
      {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, any(on_metadata)},
      {VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, any(on_memory_size)},
      {VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, any(on_iteration)},
      {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, any(on_job_completed)},
      {VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, any(on_block_job)},
  };
  std::vector<int> ids;
  for (const Subscription& each : wanted) {
    auto* ref = new CoreRef(core);
    int id = virConnectDomainEventRegisterAny(connection, nullptr, each.event, each.callback, ref,
                                              free_ref);
    if (id < 0) {
      delete ref;
    } else {
      ids.push_back(id);
    }
  }
  return ids;
}

}  // namespace chorok::adapters::libvirt
