#include "crypto/seal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

namespace chorok::crypto {
namespace {

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;
constexpr std::string_view kFormat = "chs1:";

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Unexpected file_error(const std::string& path, std::string_view what) {
  return fail(Code::kFailedPrecondition, fmt::format("The sealing key {} {}.", path, what));
}

Result<> write_key_file(const std::string& path, const std::string& text) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  Descriptor file{::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)};
  const bool written =
      file.fd >= 0 &&
      ::write(file.fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fsync(file.fd) == 0;
  if (!written) return file_error(path, fmt::format("cannot be written: {}", std::strerror(errno)));
  // The name must be on disk too, before anything is sealed with the key.
  Descriptor parent{
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (parent.fd < 0 || ::fsync(parent.fd) != 0)
    return file_error(path, fmt::format("cannot be written: {}", std::strerror(errno)));
  return {};
}

}  // namespace

SealingKey::SealingKey(std::string key)
    : key_(std::move(key)), id_(sha256_hex("chorok seal key id" + key_).substr(0, 8)) {}

SealingKey::~SealingKey() {
  wipe(key_);
}

SealingKey SealingKey::generate() {
  std::string key(kKeyBytes, '\0');
  random_bytes(key.data(), key.size());
  return SealingKey(std::move(key));
}

Result<SealingKey> SealingKey::load(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    if (errno == ENOENT)
      return fail(Code::kNotFound, fmt::format("There is no sealing key {}.", path));
    return file_error(path, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  struct stat status{};
  if (::fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode))
    return file_error(path, "is not a file");
  if ((status.st_mode & 077) != 0)
    return file_error(path, fmt::format("can be read by others: run chmod 600 {}", path));
  std::string text(256, '\0');
  const ssize_t size = ::read(file.fd, text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  auto key = from_hex(text);
  wipe(text);
  if (!key || key->size() != kKeyBytes) return file_error(path, "is not 64 hex digits");
  return SealingKey(std::move(*key));
}

Result<SealingKey> SealingKey::load_or_create(const std::string& path) {
  auto loaded = load(path);
  if (loaded || loaded.error().code != Code::kNotFound) return loaded;
  SealingKey key = generate();
  TRY(write_key_file(path, to_hex(key.key_) + "\n"));
  return key;
}

std::string SealingKey::seal(std::string_view secret, std::string_view place) const {
  std::string nonce(kNonceBytes, '\0'), sealed(secret.size(), '\0'), tag(kTagBytes, '\0');
  random_bytes(nonce.data(), nonce.size());
  Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool done =
      cipher &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key_), bytes(nonce)) ==
          1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes(place),
                        static_cast<int>(place.size())) == 1 &&
      EVP_EncryptUpdate(cipher.get(), bytes(sealed), &size, bytes(secret),
                        static_cast<int>(secret.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), bytes(tag), &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1;
  CHOROK_ASSERT(done);
  return fmt::format("{}{}:{}", kFormat, id_, to_base64(nonce + sealed + tag));
}

Result<std::string> SealingKey::open(std::string_view sealed, std::string_view place) const {
  const Error damaged{Code::kFailedPrecondition,
                      fmt::format("The sealed secret of {} is damaged: set it again.", place),
                      {}};
  if (!sealed.starts_with(kFormat)) return Unexpected(damaged);
  sealed.remove_prefix(kFormat.size());
  const std::size_t colon = sealed.find(':');
  if (colon == std::string_view::npos) return Unexpected(damaged);
  if (sealed.substr(0, colon) != id_)
    return fail(
        Code::kFailedPrecondition,
        fmt::format("The secret of {} was sealed with key {}, and the key here is {}: bring "
                    "that key back, or set the secret again.",
                    place, sealed.substr(0, colon), id_));
  const auto decoded = from_base64(sealed.substr(colon + 1));
  if (!decoded || decoded->size() < kNonceBytes + kTagBytes) return Unexpected(damaged);
  std::string_view all = *decoded;
  const std::string_view nonce = all.substr(0, kNonceBytes);
  std::string tag(all.substr(all.size() - kTagBytes));
  const std::string_view text = all.substr(kNonceBytes, all.size() - kNonceBytes - kTagBytes);
  std::string secret(text.size(), '\0');
  Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  unsigned char rest[kTagBytes];
  const bool done =
      cipher &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key_), bytes(nonce)) ==
          1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes(place),
                        static_cast<int>(place.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), bytes(secret), &size, bytes(text),
                        static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), rest, &size) == 1;
  if (!done) return Unexpected(damaged);
  return secret;
}

}  // namespace chorok::crypto
