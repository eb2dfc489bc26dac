// The few resources of Redfish that are read, and the few fields of them. What is not described
// here is skipped; a field of another type than the standard gives it is an error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/reflect.h"

namespace chorok::adapters::redfish {

struct Ref {
  std::string path;
  static const Type& type();
};
struct RootLinks {
  Ref sessions;
  static const Type& type();
};
struct ServiceRoot {
  Ref systems;
  RootLinks links;
  static const Type& type();
};
struct Collection {
  std::vector<Ref> members;
  static const Type& type();
};

struct ResetAction {
  std::string target;
  std::vector<std::string> allowed;
  std::string info;  // path of an ActionInfo, where newer services say it
  static const Type& type();
};
struct SystemActions {
  ResetAction reset;
  static const Type& type();
};
struct SystemLinks {
  std::vector<Ref> chassis;
  static const Type& type();
};
struct System {
  std::string path;
  std::string power_state;
  std::string manufacturer;
  std::string model;
  SystemLinks links;
  SystemActions actions;
  static const Type& type();
};
struct ActionParameter {
  std::string name;
  std::vector<std::string> allowed;
  static const Type& type();
};
struct ActionInfo {
  std::vector<ActionParameter> parameters;
  static const Type& type();
};

struct Chassis {
  Ref power;
  Ref environment;
  static const Type& type();
};
struct Sensor {
  std::optional<double> reading;
  static const Type& type();
};
struct EnvironmentMetrics {
  Sensor watts;
  static const Type& type();
};
struct PowerControl {
  std::optional<double> watts;
  static const Type& type();
};
struct ChassisPower {
  std::vector<PowerControl> controls;
  static const Type& type();
};

struct ResetRequest {
  std::string kind;
  static const Type& type();
};
struct LoginRequest {
  std::string user;
  std::string password;
  static const Type& type();
};

}  // namespace chorok::adapters::redfish
