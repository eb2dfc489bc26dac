#include "cli/patch.h"

#include "cli/schema.h"

namespace chorok::cli {

Value merge_patch(const Value& before, const Value& after) {
  Value patch = Value::object();
  for (const Member& member : before.members())
    if (!after.find(member.key)) patch.member(member.key) = Value{};
  for (const Member& member : after.members()) {
    const Value* old = before.find(member.key);
    if (old && *old == member.value) continue;
    bool nests = old && old->is_object() && member.value.is_object();
    patch.member(member.key) = nests ? merge_patch(*old, member.value) : member.value;
  }
  return patch;
}

Value writable_part(const Type& type, const Value& object) {
  if (type.kind == Kind::kList) {
    Value out = Value::list();
    for (const Value& item : object.items()) out.push(writable_part(unwrap(type.element()), item));
    return out;
  }
  if (type.kind != Kind::kStruct) return object;
  Value out = Value::object();
  for (const Field& field : type.fields)
    if (const Value* value = object.find(field.name); value && !field.limits.read_only)
      out.member(field.name) = writable_part(unwrap(field.type()), *value);
  return out;
}

}  // namespace chorok::cli
