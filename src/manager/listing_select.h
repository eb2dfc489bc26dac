// Selecting rows and columns of a list by the reflection tables: paths ("status/state"), label,
// field and name selectors, sorting, projections. Every path is checked when it is parsed, so that
// a typing error is an answer with a suggestion and not an empty list.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"
#include "model/common.h"

namespace chorok::manager {

// A field of a struct, or of a struct in it. Lists and maps end a path.
class FieldPath {
 public:
  static Result<FieldPath> parse(const Type& type, std::string_view path, std::string_view param);
  // Null behind an optional that is empty.
  const void* at(const void* object) const;
  const Type& type() const { return *leaf_; }

 private:
  std::vector<const Field*> steps_;
  const Type* leaf_ = nullptr;
};

// `meta` of a record, or null for kinds without one.
const model::Meta* meta_of(const Type& type, const void* object);
// What people call a record: meta.name, a task's target_name, an event's subject_name.
std::string_view display_name(const Type& type, const void* object);

// '*' stands for any text, '?' for one byte.
bool glob_match(std::string_view pattern, std::string_view text);

// Conditions that must all hold.
class Selector {
 public:
  // "a=b,c!=d,e,!f,g in (x,y),h notin (z)"
  Result<> add_labels(const Type& type, std::string_view text);
  // "status/state=on,spec/vcpus!=2"; for a list: one of its elements.
  Result<> add_fields(const Type& type, std::string_view text);
  void add_name(std::string_view glob) { names_.emplace_back(glob); }
  bool empty() const { return labels_.empty() && fields_.empty() && names_.empty(); }
  bool matches(const Type& type, const void* object) const;

 private:
  enum class LabelOp : std::uint8_t { kIn, kNotIn, kExists, kMissing };
  struct LabelRule {
    std::string key;
    LabelOp op;
    std::vector<std::string> values;
  };
  struct FieldRule {
    FieldPath path;
    std::string value;
    bool negated = false;
  };
  static Result<LabelRule> parse_label(std::string_view item);
  std::vector<LabelRule> labels_;
  std::vector<FieldRule> fields_;
  std::vector<std::string> names_;
};

// "-status/since,meta/name": by the first, then the second.
class Order {
 public:
  Result<> parse(const Type& type, std::string_view text);
  bool empty() const { return keys_.empty(); }
  bool less(const void* a, const void* b) const;

 private:
  struct Key {
    FieldPath path;
    bool descending = false;
  };
  std::vector<Key> keys_;
};

// Which fields of a record are shown; nested as in the record.
class Projection {
 public:
  // Empty text: all of them.
  Result<> parse(const Type& type, std::string_view text);
  bool whole() const { return root_.children.empty(); }
  void encode_to(std::string& out, const Type& type, const void* object) const;

 private:
  struct Node {
    const Field* field = nullptr;
    std::vector<Node> children;  // empty: the whole field
  };
  Result<> add(const Type& type, std::string_view path);
  static void encode_node(std::string& out, const Node& node, const Type& type, const void* object);
  Node root_;
};

}  // namespace chorok::manager
