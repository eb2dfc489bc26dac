#include "manager/references.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "manager/listing.h"

namespace chorok::manager {
namespace {

// Of a transaction's 100 keys; the rest is for what it was made for.
constexpr std::size_t kForgottenMax = 80;
constexpr std::size_t kSuggestionsMax = 500;

// The place of a path like "restart/after" in an object. References stand in structs alone.
struct Spot {
  const Type* type;
  void* at;
};
Spot spot(const Type& root, void* object, std::string_view path) {
  Spot now{&root, object};
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    const Field* field = now.type->find(name);
    CHOROK_ASSERT(field != nullptr);
    now = {&field->type(), field_at(*field, now.at)};
  }
  return now;
}

std::string nearest_name(const Inventory& inventory, std::string_view kind, std::string_view ref) {
  const Type& type = model::find_resource_kind(kind)->type();
  std::vector<std::string_view> names;
  table_of(kind).visit(inventory, [&](const KindTable::Object& object) {
    if (names.size() < kSuggestionsMax) names.push_back(meta_of(type, object.get())->name);
  });
  return std::string(nearest(ref, names));
}

class Resolver {
 public:
  Resolver(std::string_view target, const Inventory& inventory)
      : target_(target), inventory_(inventory) {}

  std::optional<std::string> id_of(const std::string& ref) const {
    const auto object = table_of(target_).resolve(inventory_, ref);
    if (object == nullptr) return std::nullopt;
    return meta_of(model::find_resource_kind(target_)->type(), object.get())->id;
  }
  model::Problem missing(const std::string& ref, std::string field) const {
    const std::string close = nearest_name(inventory_, target_, ref);
    return {std::string(to_string(Code::kNotFound)),
            fmt::format("there is no {} '{}'{}", target_, ref,
                        close.empty() ? "" : fmt::format("; did you mean '{}'?", close)),
            std::move(field)};
  }

  void one(std::string& ref, const std::string* before, std::string field, Problems& out) const {
    if (ref.empty()) return;
    if (auto id = id_of(ref)) {
      ref = std::move(*id);
    } else if (before != nullptr && *before == ref) {
      ref.clear();
    } else {
      out.push_back(missing(ref, std::move(field)));
    }
  }

  void list(std::vector<std::string>& refs, const std::vector<std::string>* before,
            const std::string& field, Problems& out) const {
    std::vector<std::string> ids;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      const auto id = id_of(refs[i]);
      const bool was_there =
          before != nullptr && std::ranges::find(*before, refs[i]) != before->end();
      if (!id && !was_there) out.push_back(missing(refs[i], fmt::format("{}/{}", field, i)));
      if (id && seen.insert(*id).second) ids.push_back(*id);
    }
    refs = std::move(ids);
  }

 private:
  std::string_view target_;
  const Inventory& inventory_;
};

// One record less in a list of ids.
template <class T>
bool take_out(T& record, std::vector<std::string> T::* ids, const std::string& id) {
  return std::erase(record.*ids, id) > 0;
}

void forget_in_rules(Engine& engine, Changes& changes, std::vector<std::string> model::Rule::* ids,
                     std::string_view kind, const std::string& id, const std::string& name) {
  for (const auto& [rule_id, rule] : engine.inventory().rules().all()) {
    if (changes.items().size() >= kForgottenMax) return;
    model::Rule changed = *rule;
    if (!take_out(changed, ids, id)) continue;
    model::Event event;
    event.kind = "rule.changed";
    event.subject_kind = "rule";
    event.subject = rule_id;
    event.subject_name = rule->meta.name;
    event.message = fmt::format("{} '{}' was deleted and is no longer in it", kind, name);
    changes.put(std::move(changed));
    engine.add_event(changes, std::move(event));
  }
}

}  // namespace

Problems resolve_references(std::string_view kind, const Type& type, void* object,
                            const void* before, const Inventory& inventory) {
  Problems problems;
  for (const model::Reference& reference : model::references()) {
    if (reference.kind != kind) continue;
    const Resolver resolver(reference.target, inventory);
    const Spot now = spot(type, object, reference.path);
    const void* then =
        before == nullptr ? nullptr : spot(type, const_cast<void*>(before), reference.path).at;
    const std::string field = fmt::format("/{}", reference.path);
    if (now.type->kind == Kind::kString)
      resolver.one(*static_cast<std::string*>(now.at), static_cast<const std::string*>(then), field,
                   problems);
    else
      resolver.list(*static_cast<std::vector<std::string>*>(now.at),
                    static_cast<const std::vector<std::string>*>(then), field, problems);
  }
  return problems;
}

void forget_vm(Engine& engine, Changes& changes, const std::string& id, const std::string& name) {
  forget_in_rules(engine, changes, &model::Rule::vms, "VM", id, name);
  for (const auto& [vm_id, vm] : engine.inventory().vms().all()) {
    if (changes.items().size() >= kForgottenMax) return;
    if (vm_id == id || std::ranges::find(vm->restart.after, id) == vm->restart.after.end())
      continue;
    model::Vm changed = *vm;
    std::erase(changed.restart.after, id);
    changes.put(std::move(changed));
  }
}

void forget_host(Engine& engine, Changes& changes, const std::string& id, const std::string& name) {
  forget_in_rules(engine, changes, &model::Rule::hosts, "host", id, name);
}

std::vector<std::string> rules_of(const Inventory& inventory, const std::string& vm) {
  std::vector<std::string> names;
  for (const auto& [name, rule] : inventory.rules().by_name())
    if (std::ranges::find(rule->vms, vm) != rule->vms.end()) names.push_back(name);
  return names;
}

}  // namespace chorok::manager
