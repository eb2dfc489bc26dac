// What the store holds, as records.
#include <cstdlib>

#include "manager/engine.h"

namespace chorok::manager {
namespace {

template <class T>
Result<bool> load_as(Inventory& inventory, std::string_view kind, const ports::KeyValue& item) {
  if (kind != Record<T>::kKind) return false;
  auto record = TRY(json::decode<T>(item.value, {.stored = true}));
  std::string id = Record<T>::id(record);
  inventory.table<T>().exchange(id, std::make_shared<const T>(std::move(record)));
  return true;
}

}  // namespace

Result<> Engine::load_record(const ports::KeyValue& item) {
  std::string_view key = item.key;
  std::string_view kind = key.substr(0, key.find('/'));
  if (key == kTermKey) {
    term_ = std::strtoull(item.value.c_str(), nullptr, 10);
    return {};
  }
  bool known = TRY(load_as<model::Vm>(inventory_, kind, item)) ||
               TRY(load_as<model::Host>(inventory_, kind, item)) ||
               TRY(load_as<model::Datastore>(inventory_, kind, item)) ||
               TRY(load_as<model::Network>(inventory_, kind, item)) ||
               TRY(load_as<model::Cluster>(inventory_, kind, item)) ||
               TRY(load_as<model::Pool>(inventory_, kind, item)) ||
               TRY(load_as<model::Rule>(inventory_, kind, item)) ||
               TRY(load_as<model::Task>(inventory_, kind, item)) ||
               TRY(load_as<model::Operation>(inventory_, kind, item)) ||
               TRY(load_as<model::Event>(inventory_, kind, item)) ||
               TRY(load_as<model::AuditEntry>(inventory_, kind, item)) ||
               TRY(load_as<model::User>(inventory_, kind, item)) ||
               TRY(load_as<model::Token>(inventory_, kind, item)) ||
               TRY(load_as<model::Alarm>(inventory_, kind, item)) ||
               TRY(load_as<model::Webhook>(inventory_, kind, item)) ||
               TRY(load_as<model::Beat>(inventory_, kind, item)) ||
               TRY(load_as<KeptAnswer>(inventory_, kind, item));
  if (!known)
    log_.warn("the store holds '{}', which this version does not know; it is left alone", item.key);
  return {};
}

}  // namespace chorok::manager
