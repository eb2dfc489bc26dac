// What a struct looks like at run time: one table a type, with the name, the place, the
// documentation and the limits of every field. The JSON codec, the OpenAPI document, `chorok
// explain` and the tables of the CLI all walk these tables, so a field is described once, in the
// .cc beside its struct, and headers stay plain structs.
//
//   struct Disk {
//     std::string name;
//     Mib size;
//     static const Type& type();
//   };
//
//   const Type& Disk::type() {
//     static const Type kType = describe<Disk>("Disk", "A virtual disk.")
//         .field("name", &Disk::name, "Unique in the VM.", {.pattern = Pattern::kName})
//         .field("size", &Disk::size, "Capacity.", {.min = 1, .required = true});
//     return kType;
//   }
//
// An enum gets the same by `const Type& enum_type(const MyEnum*)`, found by argument-dependent
// lookup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/units.h"

namespace chorok {

// What a string may hold. Checked on decoding; shown in the schema.
enum class Pattern : std::uint8_t {
  kText,  // any UTF-8 without control characters other than newline and tab
  kName,  // a-z A-Z 0-9 . _ - , starts with a letter or digit: names of things
  kId,    // letters, digits and '-': what Chorok gave out itself
  kPath,  // relative path without `..`, no control characters
  kMac,   // aa:bb:cc:dd:ee:ff
  kAny,   // any UTF-8; for values nobody parses
};

struct Limits {
  double min = -std::numeric_limits<double>::infinity();  // numbers
  double max = std::numeric_limits<double>::infinity();
  std::size_t max_length = 256;  // bytes of a string (1 MiB at most anyway)
  std::size_t max_count = 256;   // elements of a list or map
  Pattern pattern = Pattern::kText;
  bool required = false;  // decoding fails when it is missing
  bool read_only =
      false;            // set by Chorok; ignored on input, so that what was read can be sent back
  bool secret = false;  // never encoded unless asked (passwords, tokens)
};

enum class Kind : std::uint8_t {
  kBool,
  kInt,
  kDouble,
  kString,
  kEnum,
  kStruct,
  kList,
  kMap,
  kOptional,
  kTime,
  kDuration
};

struct Type;
using TypeFn = const Type& (*)();

struct Field {
  std::string_view name;
  std::string_view doc;
  std::size_t offset = 0;
  TypeFn type = nullptr;
  Limits limits;
};

struct EnumValue {
  std::int64_t value;
  std::string_view name;
  std::string_view doc;
};

// How to reach into a container or a number of one concrete C++ type.
struct Access {
  // kInt, kEnum, kTime, kDuration (ns)
  std::int64_t (*get_int)(const void*) = nullptr;
  void (*set_int)(void*, std::int64_t) = nullptr;
  // kDouble
  double (*get_double)(const void*) = nullptr;
  void (*set_double)(void*, double) = nullptr;
  // kList, kMap, kOptional: visits elements in order (key empty unless map)
  std::size_t (*count)(const void*) = nullptr;
  const void* (*at)(const void*, std::size_t) = nullptr;  // kList, kOptional
  void* (*append)(void*,
                  std::string_view key) = nullptr;  // kList, kMap, kOptional: a new element to fill
  void (*clear)(void*) = nullptr;
  void (*erase)(void*, std::string_view key) = nullptr;  // kMap
  void (*visit)(const void*, void* context,
                void (*)(void*, std::string_view key, const void*)) = nullptr;  // kMap
};

struct Type {
  Kind kind = Kind::kStruct;
  std::string name;
  std::string_view doc;
  std::string_view unit;                                            // of a quantity
  std::vector<Field> fields;                                        // kStruct
  std::vector<EnumValue> values;                                    // kEnum
  TypeFn element = nullptr;                                         // kList, kMap, kOptional
  std::int64_t int_min = std::numeric_limits<std::int64_t>::min();  // what the C++ type can hold
  std::int64_t int_max = std::numeric_limits<std::int64_t>::max();
  Access access;
  const void* prototype =
      nullptr;  // kStruct: a default-constructed object, for the fields' defaults

  const Field* find(std::string_view field_name) const;
};

template <class T>
const Type& type_of();

// A pointer to the field of an object, typed by Field::type.
inline const void* field_at(const Field& field, const void* object) {
  return static_cast<const std::byte*>(object) + field.offset;
}
inline void* field_at(const Field& field, void* object) {
  return static_cast<std::byte*>(object) + field.offset;
}

// Whether two objects of this type hold the same values. Doubles compare by value, so NaN differs
// from itself.
bool equal(const Type& type, const void* a, const void* b);
template <class T>
bool equal(const T& a, const T& b) {
  return equal(type_of<T>(), &a, &b);
}

// The name of an enum's value, or "?" for one that has none.
std::string_view enum_name(const Type& type, std::int64_t value);
template <class E>
  requires std::is_enum_v<E>
std::string_view name_of(E value) {
  return enum_name(type_of<E>(), static_cast<std::int64_t>(value));
}

// The value nearest to what was typed, or empty when nothing is near: for "did you mean".
std::string_view nearest(std::string_view typed, const std::vector<std::string_view>& known);

// ---- How the tables are made
// -------------------------------------------------------------------------------------

template <class T>
class Describe {
 public:
  Describe(std::string_view name, std::string_view doc) {
    type_.kind = Kind::kStruct;
    type_.name = name;
    type_.doc = doc;
    static const T kPrototype{};
    type_.prototype = &kPrototype;
  }
  template <class M>
  Describe&& field(std::string_view name, M T::* member, std::string_view doc,
                   Limits limits = {}) && {
    alignas(T) static const std::byte zeros[sizeof(T)] = {};
    const T* base = reinterpret_cast<const T*>(zeros);
    auto offset =
        static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&(base->*member)) - zeros);
    type_.fields.push_back(Field{name, doc, offset, &type_of<M>, limits});
    return std::move(*this);
  }
  // NOLINTNEXTLINE(google-explicit-constructor): `static const Type kType = describe<T>()...` is
  // the idiom
  operator Type() && { return std::move(type_); }

 private:
  Type type_;
};

template <class T>
Describe<T> describe(std::string_view name, std::string_view doc) {
  return Describe<T>(name, doc);
}

template <class E>
Type describe_enum(std::string_view name, std::string_view doc, std::vector<EnumValue> values) {
  Type type;
  type.kind = Kind::kEnum;
  type.name = name;
  type.doc = doc;
  type.values = std::move(values);
  type.access.get_int = [](const void* p) {
    return static_cast<std::int64_t>(*static_cast<const E*>(p));
  };
  type.access.set_int = [](void* p, std::int64_t v) { *static_cast<E*>(p) = static_cast<E>(v); };
  return type;
}

namespace detail {

template <class T>
struct TypeMaker;

template <class T>
concept SelfDescribed = requires {
  { T::type() } -> std::same_as<const Type&>;
};

template <class T>
Type make_int_type() {
  Type type;
  type.kind = Kind::kInt;
  type.name = "integer";
  type.int_min = static_cast<std::int64_t>(std::numeric_limits<T>::min());
  type.int_max = sizeof(T) == 8 ? std::numeric_limits<std::int64_t>::max()
                                : static_cast<std::int64_t>(std::numeric_limits<T>::max());
  type.access.get_int = [](const void* p) {
    return static_cast<std::int64_t>(*static_cast<const T*>(p));
  };
  type.access.set_int = [](void* p, std::int64_t v) { *static_cast<T*>(p) = static_cast<T>(v); };
  return type;
}

template <class T>
  requires std::is_integral_v<T>
struct TypeMaker<T> {
  static Type make() { return make_int_type<T>(); }
};

template <>
struct TypeMaker<bool> {
  static Type make() {
    Type type;
    type.kind = Kind::kBool;
    type.name = "boolean";
    type.access.get_int = [](const void* p) { return std::int64_t{*static_cast<const bool*>(p)}; };
    type.access.set_int = [](void* p, std::int64_t v) { *static_cast<bool*>(p) = v != 0; };
    return type;
  }
};

template <>
struct TypeMaker<double> {
  static Type make() {
    Type type;
    type.kind = Kind::kDouble;
    type.name = "number";
    type.access.get_double = [](const void* p) { return *static_cast<const double*>(p); };
    type.access.set_double = [](void* p, double v) { *static_cast<double*>(p) = v; };
    return type;
  }
};

template <>
struct TypeMaker<std::string> {
  static Type make() {
    Type type;
    type.kind = Kind::kString;
    type.name = "string";
    return type;
  }
};

template <class Tag, class Rep>
struct TypeMaker<Quantity<Tag, Rep>> {
  static Type make() {
    Type type = TypeMaker<Rep>::make();  // a Quantity is its number
    type.unit = Tag::kUnit;
    return type;
  }
};

template <>
struct TypeMaker<Time> {
  static Type make() {
    Type type;
    type.kind = Kind::kTime;
    type.name = "time";
    type.access.get_int = [](const void* p) {
      return static_cast<const Time*>(p)->time_since_epoch().count();
    };
    type.access.set_int = [](void* p, std::int64_t v) {
      *static_cast<Time*>(p) = Time(Duration(v));
    };
    return type;
  }
};

template <>
struct TypeMaker<Duration> {
  static Type make() {
    Type type;
    type.kind = Kind::kDuration;
    type.name = "seconds";
    type.unit = "s";
    type.access.get_int = [](const void* p) { return static_cast<const Duration*>(p)->count(); };
    type.access.set_int = [](void* p, std::int64_t v) { *static_cast<Duration*>(p) = Duration(v); };
    return type;
  }
};

template <class E>
struct TypeMaker<std::vector<E>> {
  static Type make() {
    using C = std::vector<E>;
    static_assert(!std::is_same_v<E, bool>, "vector<bool> has no addressable elements");
    Type type;
    type.kind = Kind::kList;
    type.name = "list";
    type.element = &type_of<E>;
    type.access.count = [](const void* p) { return static_cast<const C*>(p)->size(); };
    type.access.at = [](const void* p, std::size_t i) -> const void* {
      return &(*static_cast<const C*>(p))[i];
    };
    type.access.append = [](void* p, std::string_view) -> void* {
      return &static_cast<C*>(p)->emplace_back();
    };
    type.access.clear = [](void* p) { static_cast<C*>(p)->clear(); };
    return type;
  }
};

template <class E>
struct TypeMaker<std::map<std::string, E>> {
  static Type make() {
    using C = std::map<std::string, E>;
    Type type;
    type.kind = Kind::kMap;
    type.name = "map";
    type.element = &type_of<E>;
    type.access.count = [](const void* p) { return static_cast<const C*>(p)->size(); };
    type.access.append = [](void* p, std::string_view key) -> void* {
      return &(*static_cast<C*>(p))[std::string(key)];
    };
    type.access.clear = [](void* p) { static_cast<C*>(p)->clear(); };
    type.access.erase = [](void* p, std::string_view key) {
      static_cast<C*>(p)->erase(std::string(key));
    };
    type.access.visit = [](const void* p, void* context,
                           void (*fn)(void*, std::string_view, const void*)) {
      for (const auto& [key, value] : *static_cast<const C*>(p)) fn(context, key, &value);
    };
    return type;
  }
};

template <class E>
struct TypeMaker<std::optional<E>> {
  static Type make() {
    using C = std::optional<E>;
    Type type;
    type.kind = Kind::kOptional;
    type.name = "optional";
    type.element = &type_of<E>;
    type.access.count = [](const void* p) -> std::size_t {
      return static_cast<const C*>(p)->has_value() ? 1 : 0;
    };
    type.access.at = [](const void* p, std::size_t) -> const void* {
      return &**static_cast<const C*>(p);
    };
    type.access.append = [](void* p, std::string_view) -> void* {
      return &static_cast<C*>(p)->emplace();
    };
    type.access.clear = [](void* p) { static_cast<C*>(p)->reset(); };
    return type;
  }
};

}  // namespace detail

template <class T>
const Type& type_of() {
  if constexpr (detail::SelfDescribed<T>) {
    return T::type();
  } else if constexpr (std::is_enum_v<T>) {
    return enum_type(static_cast<const T*>(nullptr));
  } else {
    static const Type kType = detail::TypeMaker<T>::make();
    return kType;
  }
}

}  // namespace chorok
