// Libvirt's reference-counted objects as values that free themselves. Internal to this folder: it
// is the only one that includes libvirt's headers.
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace chorok::adapters::libvirt {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using Connection = std::shared_ptr<virConnect>;  // shared by the workers
using Domain = std::unique_ptr<virDomain, Freer<virDomainFree>>;
using Snapshot = std::unique_ptr<virDomainSnapshot, Freer<virDomainSnapshotFree>>;
using Stream = std::unique_ptr<virStream, Freer<virStreamFree>>;

inline Connection own_connection(virConnectPtr raw) {
  return raw == nullptr ? nullptr : Connection(raw, [](virConnectPtr c) { virConnectClose(c); });
}

// A string that libvirt allocated; empty for null.
inline std::string take_string(char* text) {
  if (text == nullptr) return {};
  std::string copy(text);
  std::free(text);
  return copy;
}

// A growing list of typed parameters for one call.
class TypedParams {
 public:
  TypedParams() = default;
  ~TypedParams() { virTypedParamsFree(params_, count_); }
  TypedParams(const TypedParams&) = delete;
  TypedParams& operator=(const TypedParams&) = delete;

  void add_string(const char* name, const std::string& value) {
    virTypedParamsAddString(&params_, &count_, &max_, name, value.c_str());
  }
  void add_int(const char* name, int value) {
    virTypedParamsAddInt(&params_, &count_, &max_, name, value);
  }
  void add_ullong(const char* name, unsigned long long value) {
    virTypedParamsAddULLong(&params_, &count_, &max_, name, value);
  }
  void add_llong(const char* name, long long value) {
    virTypedParamsAddLLong(&params_, &count_, &max_, name, value);
  }
  virTypedParameterPtr data() const { return params_; }
  int size() const { return count_; }
  virTypedParameterPtr* out() { return &params_; }
  int* out_size() { return &count_; }

 private:
  virTypedParameterPtr params_ = nullptr;
  int count_ = 0;
  int max_ = 0;
};

}  // namespace chorok::adapters::libvirt
