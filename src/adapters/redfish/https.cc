#include "adapters/redfish/https.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <mutex>
#include <utility>

namespace chorok::adapters::redfish {

namespace {

// The largest page of a service is its log; a system is some 20 KiB.
constexpr std::size_t kBodyMax = 1 << 20;
constexpr std::size_t kHeadersMax = 64 << 10;

struct Exchange {
  Reply reply;
  std::size_t header_bytes = 0;
  const std::atomic<bool>* stopping = nullptr;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  if (exchange.reply.body.size() + (size * count) > kBodyMax) return 0;  // ends the transfer
  exchange.reply.body.append(data, size * count);
  return size * count;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  std::string_view line(data, size * count);
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > kHeadersMax) return 0;
  std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
  if (name == "x-auth-token") exchange.reply.token = value;
  if (name == "location") exchange.reply.location = value;
  return line.size();
}

int on_progress(void* with, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return *static_cast<const Exchange*>(with)->stopping ? 1 : 0;
}

// Instead of a chain to a CA: exactly the certificate that a person has seen.
int check_pinned(X509_STORE_CTX* chain, void* wanted) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  const X509* leaf = X509_STORE_CTX_get0_cert(chain);
  if (leaf == nullptr || X509_digest(leaf, EVP_sha256(), digest.data(), &length) != 1) return 0;
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  if (hex == *static_cast<const std::string*>(wanted)) return 1;
  X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
  return 0;
}
CURLcode pin(CURL*, void* context, void* wanted) {
  SSL_CTX_set_cert_verify_callback(static_cast<SSL_CTX*>(context), check_pinned, wanted);
  return CURLE_OK;
}

struct Handle {
  CURL* curl = curl_easy_init();
  curl_slist* headers = nullptr;
  ~Handle() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
  }
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  template <class T>
  void set(CURLoption option, T value) const {
    curl_easy_setopt(curl, option, value);
  }
  void header(const std::string& line) { headers = curl_slist_append(headers, line.c_str()); }
};

void trust(const Handle& handle, const RedfishOptions& options, std::string& pinned) {
  handle.set(CURLOPT_SSL_VERIFYPEER, 1L);
  handle.set(CURLOPT_SSL_VERIFYHOST, 2L);
  handle.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) handle.set(CURLOPT_CAINFO, options.ca_file.c_str());
  if (pinned.empty()) return;
  handle.set(CURLOPT_SSL_VERIFYHOST, 0L);  // the certificate is known, whatever it is named
  handle.set(CURLOPT_SSL_CTX_FUNCTION, pin);
  handle.set(CURLOPT_SSL_CTX_DATA, &pinned);
}

Unexpected failure(const RedfishOptions& options, CURLcode code, bool sent) {
  const bool refused = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
  return fail(sent ? Code::kUnknown : Code::kUnavailable,
              fmt::format("BMC at {}: {}{}", options.address, curl_easy_strerror(code),
                          refused ? "; its certificate is not the one that was trusted" : ""));
}

}  // namespace

std::string plain_fingerprint(std::string_view text) {
  std::string plain;
  for (char c : text) {
    if (c == ':') continue;
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return {};
    plain += c;
  }
  return plain.size() == 64 ? plain : std::string();
}

Result<Reply> Https::send(const Request& request) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  Handle handle;
  if (handle.curl == nullptr) return fail(Code::kExhausted, "no memory for a request");
  Exchange exchange{.stopping = &stopping_};
  std::string pinned = plain_fingerprint(options_.fingerprint);
  const bool v6 = options_.address.contains(':');
  const std::string url = fmt::format("https://{}{}{}:{}{}", v6 ? "[" : "", options_.address,
                                      v6 ? "]" : "", options_.port, request.path);
  const auto limit_ms = std::chrono::ceil<std::chrono::milliseconds>(options_.call_limit).count();
  handle.set(CURLOPT_URL, url.c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, "https");
  handle.set(CURLOPT_PROXY, "");
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_FOLLOWLOCATION, 0L);
  handle.set(CURLOPT_TIMEOUT_MS, static_cast<long>(limit_ms));
  handle.set(CURLOPT_NOPROGRESS, 0L);
  handle.set(CURLOPT_XFERINFOFUNCTION, on_progress);
  handle.set(CURLOPT_XFERINFODATA, &exchange);
  handle.set(CURLOPT_WRITEFUNCTION, on_body);
  handle.set(CURLOPT_WRITEDATA, &exchange);
  handle.set(CURLOPT_HEADERFUNCTION, on_header);
  handle.set(CURLOPT_HEADERDATA, &exchange);
  trust(handle, options_, pinned);
  handle.header("Accept: application/json");
  handle.header("OData-Version: 4.0");
  handle.header("Expect:");
  if (!request.token.empty()) handle.header("X-Auth-Token: " + request.token);
  if (request.basic && request.token.empty()) {
    handle.set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    handle.set(CURLOPT_USERNAME, options_.user.c_str());
    handle.set(CURLOPT_PASSWORD, options_.password.c_str());
  }
  if (request.method == "POST") {
    handle.header("Content-Type: application/json");
    handle.set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    handle.set(CURLOPT_COPYPOSTFIELDS, request.body.c_str());
  } else {
    handle.set(CURLOPT_CUSTOMREQUEST, std::string(request.method).c_str());
  }
  handle.set(CURLOPT_HTTPHEADER, handle.headers);
  if (stopping_) return fail(Code::kCancelled, "the program is stopping");
  const CURLcode code = curl_easy_perform(handle.curl);
  long sent = 0;
  long status = 0;
  curl_easy_getinfo(handle.curl, CURLINFO_REQUEST_SIZE, &sent);
  curl_easy_getinfo(handle.curl, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_ABORTED_BY_CALLBACK) return fail(Code::kCancelled, "the program is stopping");
  if (code != CURLE_OK) return failure(options_, code, sent > 0);
  exchange.reply.status = static_cast<int>(status);
  return std::move(exchange.reply);
}

}  // namespace chorok::adapters::redfish
