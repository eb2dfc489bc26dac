#include "adapters/redfish/resources.h"

namespace chorok::adapters::redfish {

const Type& Ref::type() {
  static const Type kType =
      describe<Ref>("Ref", "A link.").field("@odata.id", &Ref::path, "Path.", {.max_length = 512});
  return kType;
}
const Type& RootLinks::type() {
  static const Type kType =
      describe<RootLinks>("RootLinks", "").field("Sessions", &RootLinks::sessions, "");
  return kType;
}
const Type& ServiceRoot::type() {
  static const Type kType = describe<ServiceRoot>("ServiceRoot", "")
                                .field("Systems", &ServiceRoot::systems, "")
                                .field("Links", &ServiceRoot::links, "");
  return kType;
}
const Type& Collection::type() {
  static const Type kType =
      describe<Collection>("Collection", "").field("Members", &Collection::members, "");
  return kType;
}
const Type& ResetAction::type() {
  static const Type kType =
      describe<ResetAction>("ResetAction", "")
          .field("target", &ResetAction::target, "Path.", {.max_length = 512})
          .field("ResetType@Redfish.AllowableValues", &ResetAction::allowed, "")
          .field("@Redfish.ActionInfo", &ResetAction::info, "Path.", {.max_length = 512});
  return kType;
}
const Type& SystemActions::type() {
  static const Type kType = describe<SystemActions>("SystemActions", "")
                                .field("#ComputerSystem.Reset", &SystemActions::reset, "");
  return kType;
}
const Type& SystemLinks::type() {
  static const Type kType =
      describe<SystemLinks>("SystemLinks", "").field("Chassis", &SystemLinks::chassis, "");
  return kType;
}
const Type& System::type() {
  static const Type kType = describe<System>("System", "A computer.")
                                .field("@odata.id", &System::path, "", {.max_length = 512})
                                .field("PowerState", &System::power_state, "")
                                .field("Manufacturer", &System::manufacturer, "")
                                .field("Model", &System::model, "")
                                .field("Links", &System::links, "")
                                .field("Actions", &System::actions, "");
  return kType;
}
const Type& ActionParameter::type() {
  static const Type kType = describe<ActionParameter>("ActionParameter", "")
                                .field("Name", &ActionParameter::name, "")
                                .field("AllowableValues", &ActionParameter::allowed, "");
  return kType;
}
const Type& ActionInfo::type() {
  static const Type kType =
      describe<ActionInfo>("ActionInfo", "").field("Parameters", &ActionInfo::parameters, "");
  return kType;
}
const Type& Chassis::type() {
  static const Type kType = describe<Chassis>("Chassis", "")
                                .field("Power", &Chassis::power, "")
                                .field("EnvironmentMetrics", &Chassis::environment, "");
  return kType;
}
const Type& Sensor::type() {
  static const Type kType = describe<Sensor>("Sensor", "").field("Reading", &Sensor::reading, "");
  return kType;
}
const Type& EnvironmentMetrics::type() {
  static const Type kType = describe<EnvironmentMetrics>("EnvironmentMetrics", "")
                                .field("PowerWatts", &EnvironmentMetrics::watts, "");
  return kType;
}
const Type& PowerControl::type() {
  static const Type kType = describe<PowerControl>("PowerControl", "")
                                .field("PowerConsumedWatts", &PowerControl::watts, "");
  return kType;
}
const Type& ChassisPower::type() {
  static const Type kType =
      describe<ChassisPower>("Power", "").field("PowerControl", &ChassisPower::controls, "");
  return kType;
}
const Type& ResetRequest::type() {
  static const Type kType =
      describe<ResetRequest>("ResetRequest", "").field("ResetType", &ResetRequest::kind, "");
  return kType;
}
const Type& LoginRequest::type() {
  static const Type kType = describe<LoginRequest>("LoginRequest", "")
                                .field("UserName", &LoginRequest::user, "")
                                .field("Password", &LoginRequest::password, "", {.secret = true});
  return kType;
}

}  // namespace chorok::adapters::redfish
