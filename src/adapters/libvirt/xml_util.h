// Short words for building and reading pugixml trees.
#pragma once

#include <pugixml.hpp>
#include <string>
#include <string_view>

namespace chorok::adapters::libvirt::xml {

using Node = pugi::xml_node;

inline Node add(Node parent, const char* name) {
  return parent.append_child(name);
}
inline Node add(Node parent, const char* name, const std::string& text) {
  Node child = parent.append_child(name);
  child.text().set(text.c_str());
  return child;
}
inline Node add(Node parent, const char* name, std::int64_t number, const char* unit = nullptr) {
  Node child = add(parent, name, std::to_string(number));
  if (unit != nullptr) child.append_attribute("unit").set_value(unit);
  return child;
}
// Sets attributes in order; returns the node so that calls chain.
inline Node with(Node node, const char* name, const std::string& value) {
  pugi::xml_attribute attribute = node.attribute(name);
  if (!attribute) attribute = node.append_attribute(name);
  attribute.set_value(value.c_str());
  return node;
}
inline Node with(Node node, const char* name, std::int64_t value) {
  return with(node, name, std::to_string(value));
}
// The child of that name, made when missing.
inline Node child(Node parent, const char* name) {
  Node found = parent.child(name);
  return found ? found : parent.append_child(name);
}
inline std::string_view attribute(Node node, const char* name) {
  return node.attribute(name).value();
}
inline bool is(Node node, const char* name, std::string_view value) {
  return attribute(node, name) == value;
}

struct StringWriter final : pugi::xml_writer {
  std::string text;
  void write(const void* data, std::size_t size) override {
    text.append(static_cast<const char*>(data), size);
  }
};
inline std::string print(Node node) {
  StringWriter writer;
  node.print(writer, "  ", pugi::format_indent | pugi::format_no_declaration);
  return std::move(writer.text);
}

}  // namespace chorok::adapters::libvirt::xml
