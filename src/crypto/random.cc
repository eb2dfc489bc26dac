#include "crypto/random.h"

#include <openssl/rand.h>

#include "base/result.h"
#include "crypto/encoding.h"

namespace chorok::crypto {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
static_assert(kAlphabet.size() == 32);
constexpr std::size_t kIdLength = 10;

}  // namespace

void random_bytes(void* out, std::size_t size) {
  CHOROK_ASSERT(RAND_bytes(static_cast<unsigned char*>(out), static_cast<int>(size)) == 1);
}

std::string random_text(std::size_t length) {
  std::string text(length, '\0');
  random_bytes(text.data(), text.size());
  for (char& c : text) c = kAlphabet[static_cast<unsigned char>(c) % kAlphabet.size()];
  return text;
}

std::string random_id(std::string_view prefix) {
  return std::string(prefix) + "-" + random_text(kIdLength);
}

std::string uuid_v4() {
  std::array<unsigned char, 16> bytes{};
  random_bytes(bytes.data(), bytes.size());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string text = to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (std::size_t dash : {8u, 13u, 18u, 23u}) text.insert(dash, 1, '-');
  return text;
}

}  // namespace chorok::crypto
