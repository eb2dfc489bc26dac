#include "model/common.h"

namespace chorok::model {

const Type& Meta::type() {
  static const Type kType =
      describe<Meta>("Meta", "What everything in the inventory has.")
          .field("id", &Meta::id, "Given by Chorok; never changes, never reused.",
                 {.pattern = Pattern::kId, .read_only = true})
          .field("name", &Meta::name, "What people call it; unique within its kind.",
                 {.max_length = 63, .pattern = Pattern::kName, .required = true})
          .field("labels", &Meta::labels, "Free key=value pairs to select by.",
                 {.max_length = 256, .max_count = 64})
          .field("folder", &Meta::folder,
                 "Path in the inventory tree; roles are granted on folders.",
                 {.max_length = 256, .pattern = Pattern::kPath})
          .field("notes", &Meta::notes, "Free text for people.", {.max_length = 4096})
          .field("created", &Meta::created, "When it was made.", {.read_only = true})
          .field("modified", &Meta::modified, "When it last changed.", {.read_only = true})
          .field("revision", &Meta::revision, "Counts changes; send it as If-Match.",
                 {.read_only = true});
  return kType;
}

const Type& Problem::type() {
  static const Type kType =
      describe<Problem>("Problem", "What went wrong.")
          .field("code", &Problem::code, "Stable name of the kind of error.")
          .field("message", &Problem::message, "What happened and what to do.",
                 {.max_length = 4096})
          .field("field", &Problem::field, "JSON pointer to the cause in the request.");
  return kType;
}

}  // namespace chorok::model
