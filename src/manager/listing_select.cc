#include "manager/listing_select.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "model/task.h"

namespace chorok::manager {
namespace {

constexpr std::size_t kItemsMax = 64;  // of one selector; more is a program gone wrong

// The struct below lists and optionals, or the type itself.
const Type& inner(const Type& type) {
  const Type* t = &type;
  while (t->kind == Kind::kOptional || t->kind == Kind::kList) t = &t->element();
  return *t;
}

Result<const Field*> find_field(const Type& type, std::string_view name, std::string_view param) {
  if (type.kind == Kind::kStruct) {
    const Field* field = type.find(name);
    if (field != nullptr && !field->limits.secret) return field;
  }
  std::vector<std::string_view> known;
  for (const Field& field : type.fields)
    if (!field.limits.secret) known.push_back(field.name);
  std::string_view near = nearest(name, known);
  return fail(Code::kInvalid,
              near.empty()
                  ? fmt::format("{} has no field '{}'", type.name, name)
                  : fmt::format("{} has no field '{}'; did you mean '{}'?", type.name, name, near),
              fmt::format("?{}", param));
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// At commas outside of parentheses.
Result<std::vector<std::string_view>> split_items(std::string_view text, std::string_view param) {
  std::vector<std::string_view> out;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    std::string_view item = trim(text.substr(begin, i - begin));
    if (!item.empty()) out.push_back(item);
    begin = i + 1;
  }
  if (depth != 0)
    return fail(Code::kInvalid, "a parenthesis is missing", fmt::format("?{}", param));
  if (out.size() > kItemsMax)
    return fail(Code::kInvalid, fmt::format("at most {} conditions", kItemsMax),
                fmt::format("?{}", param));
  return out;
}

bool value_equals(const Type& type, const void* at, std::string_view text) {
  auto number_is = [&](auto value) {
    decltype(value) wanted{};
    auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), wanted);
    return bad == std::errc() && end == text.data() + text.size() && wanted == value;
  };
  switch (type.kind) {
    case Kind::kBool:
      return text == (type.access.get_int(at) != 0 ? "true" : "false");
    case Kind::kInt:
      return number_is(type.access.get_int(at));
    case Kind::kDouble:
      return number_is(type.access.get_double(at));
    case Kind::kDuration:
      return number_is(seconds(Duration(type.access.get_int(at))));
    case Kind::kString:
      return *static_cast<const std::string*>(at) == text;
    case Kind::kEnum:
      return enum_name(type, type.access.get_int(at)) == text;
    case Kind::kTime:
      return json::format_time(Time(Duration(type.access.get_int(at)))) == text;
    case Kind::kOptional:
      return type.access.count(at) > 0 && value_equals(type.element(), type.access.at(at, 0), text);
    case Kind::kList:
      for (std::size_t i = 0, n = type.access.count(at); i < n; ++i)
        if (value_equals(type.element(), type.access.at(at, i), text)) return true;
      return false;
    case Kind::kStruct:
    case Kind::kMap:
      return false;
  }
  return false;
}

Result<> check_enum_value(const Type& type, std::string_view value) {
  const Type& leaf = inner(type);
  if (leaf.kind != Kind::kEnum) return {};
  std::vector<std::string_view> known;
  for (const EnumValue& each : leaf.values) known.push_back(each.name);
  if (std::ranges::find(known, value) != known.end()) return {};
  return fail(Code::kInvalid, fmt::format("'{}' is not one of {}", value, fmt::join(known, ", ")),
              "?field");
}

int compare(const Type& type, const void* a, const void* b) {
  if (a == nullptr || b == nullptr) return (a != nullptr) - (b != nullptr);
  auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  switch (type.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kEnum:
    case Kind::kTime:
    case Kind::kDuration:
      return order(type.access.get_int(a), type.access.get_int(b));
    case Kind::kDouble:
      return order(type.access.get_double(a), type.access.get_double(b));
    case Kind::kString:
      return order(*static_cast<const std::string*>(a), *static_cast<const std::string*>(b));
    case Kind::kList:
    case Kind::kMap:
      return order(type.access.count(a), type.access.count(b));
    case Kind::kOptional:
      if (type.access.count(a) == 0 || type.access.count(b) == 0)
        return order(type.access.count(a), type.access.count(b));
      return compare(type.element(), type.access.at(a, 0), type.access.at(b, 0));
    case Kind::kStruct:
      return 0;
  }
  return 0;
}

}  // namespace

Result<FieldPath> FieldPath::parse(const Type& type, std::string_view path,
                                   std::string_view param) {
  FieldPath out;
  const Type* here = &type;
  std::string_view rest = path;
  do {
    std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    const Type& owner = here->kind == Kind::kOptional ? here->element() : *here;
    const Field* field = TRY(find_field(owner, name, param));
    out.steps_.push_back(field);
    here = &field->type();
  } while (!rest.empty());
  out.leaf_ = here;
  return out;
}

const void* FieldPath::at(const void* object) const {
  const void* here = object;
  const Type* type = nullptr;
  for (const Field* step : steps_) {
    if (type != nullptr && type->kind == Kind::kOptional) {
      if (type->access.count(here) == 0) return nullptr;
      here = type->access.at(here, 0);
    }
    here = field_at(*step, here);
    type = &step->type();
  }
  return here;
}

const model::Meta* meta_of(const Type& type, const void* object) {
  if (type.fields.empty() || type.fields[0].name != "meta") return nullptr;
  return static_cast<const model::Meta*>(field_at(type.fields[0], object));
}

std::string_view display_name(const Type& type, const void* object) {
  if (const model::Meta* meta = meta_of(type, object)) return meta->name;
  if (&type == &model::Task::type()) return static_cast<const model::Task*>(object)->target_name;
  if (&type == &model::Event::type()) return static_cast<const model::Event*>(object)->subject_name;
  return {};
}

bool glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++p, ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<Selector::LabelRule> Selector::parse_label(std::string_view item) {
  LabelRule rule;
  for (auto [word, op] : {std::pair{std::string_view(" notin ("), LabelOp::kNotIn},
                          std::pair{std::string_view(" in ("), LabelOp::kIn}}) {
    std::size_t at = item.find(word);
    if (at == std::string_view::npos || !item.ends_with(')')) continue;
    rule.key = trim(item.substr(0, at));
    rule.op = op;
    std::string_view list = item.substr(at + word.size());
    list.remove_suffix(1);
    for (std::string_view value : TRY(split_items(list, "labels"))) rule.values.emplace_back(value);
    return rule;
  }
  if (std::size_t at = item.find('='); at != std::string_view::npos) {
    bool negated = at > 0 && item[at - 1] == '!';
    rule.key = trim(item.substr(0, negated ? at - 1 : at));
    std::string_view value = item.substr(at + 1);
    if (value.starts_with('=')) value.remove_prefix(1);  // a==b, as some write it
    rule.values.emplace_back(trim(value));
    rule.op = negated ? LabelOp::kNotIn : LabelOp::kIn;
  } else if (item.starts_with('!')) {
    rule.key = trim(item.substr(1));
    rule.op = LabelOp::kMissing;
  } else {
    rule.key = item;
    rule.op = LabelOp::kExists;
  }
  if (rule.key.empty())
    return fail(Code::kInvalid,
                fmt::format("'{}' names no label; write KEY=VALUE, KEY!=VALUE, KEY or !KEY", item),
                "?labels");
  return rule;
}

Result<> Selector::add_labels(const Type& type, std::string_view text) {
  if (type.find("meta") == nullptr)
    return fail(Code::kInvalid, fmt::format("a {} has no labels", type.name), "?labels");
  for (std::string_view item : TRY(split_items(text, "labels")))
    labels_.push_back(TRY(parse_label(item)));
  return {};
}

Result<> Selector::add_fields(const Type& type, std::string_view text) {
  for (std::string_view item : TRY(split_items(text, "field"))) {
    std::size_t at = item.find('=');
    if (at == std::string_view::npos || at == 0)
      return fail(Code::kInvalid, fmt::format("'{}': write PATH=VALUE or PATH!=VALUE", item),
                  "?field");
    FieldRule rule;
    rule.negated = item[at - 1] == '!';
    rule.path =
        TRY(FieldPath::parse(type, trim(item.substr(0, rule.negated ? at - 1 : at)), "field"));
    rule.value = trim(item.substr(at + 1));
    TRY(check_enum_value(rule.path.type(), rule.value));
    fields_.push_back(std::move(rule));
  }
  return {};
}

bool Selector::matches(const Type& type, const void* object) const {
  for (const std::string& glob : names_)
    if (!glob_match(glob, display_name(type, object))) return false;
  for (const LabelRule& rule : labels_) {
    const auto& labels = meta_of(type, object)->labels;
    auto found = labels.find(rule.key);
    bool has = found != labels.end();
    bool in = has && std::ranges::find(rule.values, found->second) != rule.values.end();
    bool holds = rule.op == LabelOp::kIn       ? in
                 : rule.op == LabelOp::kNotIn  ? !in
                 : rule.op == LabelOp::kExists ? has
                                               : !has;
    if (!holds) return false;
  }
  for (const FieldRule& rule : fields_) {
    const void* at = rule.path.at(object);
    bool same = at != nullptr && value_equals(rule.path.type(), at, rule.value);
    if (same == rule.negated) return false;
  }
  return true;
}

Result<> Order::parse(const Type& type, std::string_view text) {
  for (std::string_view item : TRY(split_items(text, "sort"))) {
    Key key;
    key.descending = item.starts_with('-');
    if (key.descending) item.remove_prefix(1);
    key.path = TRY(FieldPath::parse(type, item, "sort"));
    keys_.push_back(std::move(key));
  }
  return {};
}

bool Order::less(const void* a, const void* b) const {
  for (const Key& key : keys_) {
    int order = compare(key.path.type(), key.path.at(a), key.path.at(b));
    if (order != 0) return key.descending ? order > 0 : order < 0;
  }
  return false;
}

Result<> Projection::parse(const Type& type, std::string_view text) {
  for (std::string_view item : TRY(split_items(text, "fields"))) TRY(add(type, item));
  return {};
}

Result<> Projection::add(const Type& type, std::string_view path) {
  Node* node = &root_;
  const Type* here = &type;
  std::string_view rest = path;
  bool is_new = false;
  do {
    std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    const Field* field = TRY(find_field(*here, name, "fields"));
    auto it = std::ranges::find(node->children, field, &Node::field);
    is_new = it == node->children.end();
    if (!is_new && it->children.empty()) return {};  // the whole of it is shown already
    if (is_new) {
      node->children.push_back({field, {}});
      it = node->children.end() - 1;
    }
    node = &*it;
    here = &inner(field->type());
  } while (!rest.empty());
  if (!is_new) node->children.clear();
  return {};
}

void Projection::encode_to(std::string& out, const Type& type, const void* object) const {
  encode_node(out, root_, type, object);
}

void Projection::encode_node(std::string& out, const Node& node, const Type& type,
                             const void* object) {
  if (node.children.empty()) return json::encode_to(out, type, object);
  if (type.kind == Kind::kOptional) {
    if (type.access.count(object) == 0) {
      out += "null";
      return;
    }
    return encode_node(out, node, type.element(), type.access.at(object, 0));
  }
  if (type.kind == Kind::kList) {
    out += '[';
    for (std::size_t i = 0, n = type.access.count(object); i < n; ++i) {
      if (i > 0) out += ',';
      encode_node(out, node, type.element(), type.access.at(object, i));
    }
    out += ']';
    return;
  }
  out += '{';
  bool first = true;
  for (const Node& child : node.children) {
    if (!first) out += ',';
    first = false;
    out += '"';
    out += child.field->name;
    out += "\":";
    encode_node(out, child, child.field->type(), field_at(*child.field, object));
  }
  out += '}';
}

}  // namespace chorok::manager
