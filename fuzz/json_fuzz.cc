// The JSON decoder, as request bodies, agents' messages and stored records reach it. The first byte
// chooses the type and the strictness. What is decoded must encode to something that decodes to the
// same; an error must point into the document; a merge must end well.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "model/host.h"
#include "model/protocol.h"
#include "model/task.h"
#include "model/vm.h"

using namespace chorok;

namespace {

template <class T>
void feed(std::string_view text, bool stored) {
  const json::DecodeOptions options{.max_bytes = 1 << 16, .stored = stored};
  T merged{};
  (void)json::merge(type_of<T>(), &merged, text, options);
  const Result<T> decoded = json::decode<T>(text, options);
  if (!decoded) {
    const std::string& field = decoded.error().field;
    CHOROK_ASSERT(field.empty() || field.front() == '/');
    CHOROK_ASSERT(!decoded.error().message.empty());
    return;
  }
  // As it is stored: with secrets and read-only fields.
  const std::string first = json::encode(*decoded, {.secrets = true});
  const Result<T> again = json::decode<T>(first, {.max_bytes = 1 << 24, .stored = true});
  CHOROK_ASSERT(again.has_value());
  CHOROK_ASSERT(json::encode(*again, {.secrets = true}) == first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const bool stored = (data[0] & 0x80) != 0;
  switch (data[0] % 4) {
    case 0:
      feed<model::Vm>(text, stored);
      break;
    case 1:
      feed<model::Host>(text, stored);
      break;
    case 2:
      feed<model::Task>(text, stored);
      break;
    default:
      feed<model::Cluster>(text, stored);
  }
  return 0;
}
