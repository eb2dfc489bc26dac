// SHA-256, of a text or of a stream as it passes (uploads of images); and with a key.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace chorok::crypto {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // Lower-case hex. The object then begins anew.
  std::string finish_hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view bytes);
// RFC 2104, as lower-case hex.
std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);

}  // namespace chorok::crypto
