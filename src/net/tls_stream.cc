// TLS as a ByteStream over a ByteStream. OpenSSL sees a BIO that reads from what has arrived and
// appends to what is to be sent; this code moves the two. TLS 1.3 never reads in order to write, so
// reading and writing are apart.
#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

#include "net/idle_buffer.h"
#include "net/tls.h"
#include "net/tls_internal.h"

namespace chorok::net {

namespace {

constexpr std::size_t kRecordBytes = 16 * 1024;  // the largest TLS record's plain text
constexpr std::size_t kFlushBytes = 128 * 1024;  // one write of eight records: few system calls
constexpr std::size_t kIdleWriteBytes = 512;     // what is kept for the next record

// The two sides of OpenSSL's BIO.
struct Wire {
  std::string_view arrived;
  bool is_ended = false;
  std::string to_send;
};

int wire_write(BIO* bio, const char* data, int size) {
  static_cast<Wire*>(BIO_get_data(bio))->to_send.append(data, static_cast<std::size_t>(size));
  return size;
}

int wire_read(BIO* bio, char* data, int size) {
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t count = std::min(wire->arrived.size(), static_cast<std::size_t>(size));
  if (count == 0) {
    if (wire->is_ended) return 0;
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(data, wire->arrived.data(), count);
  wire->arrived.remove_prefix(count);
  return static_cast<int>(count);
}

long wire_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return static_cast<Wire*>(BIO_get_data(bio))->is_ended ? 1 : 0;
  return 0;
}

BIO_METHOD* wire_method() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "chorok wire");
    BIO_meth_set_write(m, wire_write);
    BIO_meth_set_read(m, wire_read);
    BIO_meth_set_ctrl(m, wire_ctrl);
    return m;
  }();
  return method;
}

class TlsStream final : public ByteStream {
 public:
  TlsStream(StreamPtr next, std::shared_ptr<SSL_CTX> context)
      : next_(std::move(next)),
        context_(std::move(context)),
        ssl_(SSL_new(context_.get())),
        flushed_(next_->executor()) {
    BIO* bio = BIO_new(wire_method());
    BIO_set_data(bio, &wire_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
  }

  SSL* ssl() { return ssl_.get(); }

  Async<> handshake(bool is_server) {
    is_server ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    for (;;) {
      ERR_clear_error();
      const int result = SSL_do_handshake(ssl_.get());
      const int why = SSL_get_error(ssl_.get(), result);
      Error error = why == SSL_ERROR_WANT_READ || result == 1 ? Error{} : failure("TLS handshake");
      auto flushed = co_await flush();  // also the alert that tells the peer what was wrong
      if (result != 1 && why != SSL_ERROR_WANT_READ) co_return Unexpected(error);
      if (!flushed) co_return flushed;
      if (result == 1) co_return Result<>{};
      CO_TRY(co_await fill());
    }
  }

  void describe_peer(const std::string& pinned_ca) {
    X509* leaf = SSL_get0_peer_certificate(ssl_.get());
    if (leaf == nullptr) return;
    auto described = std::make_shared<PeerCertificate>(describe_certificate(leaf));
    auto* chain = SSL_get0_verified_chain(ssl_.get());
    X509* ca = !pinned_ca.empty()       ? find_ca(SSL_get_peer_cert_chain(ssl_.get()), pinned_ca)
               : sk_X509_num(chain) > 0 ? sk_X509_value(chain, sk_X509_num(chain) - 1)
                                        : nullptr;
    if (ca != nullptr) described->issuer_pem = pem_of(ca);
    certificate_ = std::move(described);
  }

  Async<std::size_t> read_some(std::span<char> into) override {
    for (;;) {
      ERR_clear_error();
      std::size_t count = 0;
      const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
      const int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
      Error error = why == SSL_ERROR_SSL ? failure("reading from " + peer()) : Error{};
      if (!wire_.to_send.empty()) CO_TRY(co_await flush());  // the answer to a key update
      if (result == 1) co_return count;
      if (why == SSL_ERROR_ZERO_RETURN) co_return 0;
      if (why != SSL_ERROR_WANT_READ) co_return Unexpected(error);
      CO_TRY(co_await fill());
    }
  }

  // Small pieces are gathered into full records: a list of thousands of rows must not become
  // thousands of them.
  Async<> write_all(std::span<const std::string_view> pieces) override {
    std::string record;
    for (std::string_view piece : pieces) {
      while (!piece.empty()) {
        if (record.empty() && piece.size() >= kRecordBytes) {
          CO_TRY(encrypt(piece.substr(0, kRecordBytes)));
          piece.remove_prefix(kRecordBytes);
        } else {
          const std::size_t count = std::min(piece.size(), kRecordBytes - record.size());
          record.append(piece.substr(0, count));
          piece.remove_prefix(count);
          if (record.size() < kRecordBytes) continue;
          CO_TRY(encrypt(record));
          record.clear();
        }
        if (wire_.to_send.size() >= kFlushBytes) CO_TRY(co_await flush());
      }
    }
    if (!record.empty()) CO_TRY(encrypt(record));
    co_return co_await flush();
  }
  using ByteStream::write_all;

  Async<> shutdown() override {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    CO_TRY(co_await flush());
    co_return co_await next_->shutdown();
  }

  void close() noexcept override { next_->close(); }
  Executor executor() const override { return next_->executor(); }
  std::string peer() const override { return next_->peer(); }
  std::shared_ptr<const PeerCertificate> peer_certificate() const override { return certificate_; }
  bool is_encrypted() const override { return true; }

 private:
  Result<> encrypt(std::string_view plain) {
    ERR_clear_error();
    std::size_t written = 0;
    if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written) == 1) return {};
    return Unexpected(failure("writing to " + peer()));
  }

  // Only the reader calls this, and only when OpenSSL has used up what arrived before.
  Async<> fill() {
    if (wire_.is_ended) co_return fail(Code::kUnavailable, peer() + " closed the connection");
    wire_.arrived = buffer_.take(CO_TRY(co_await next_->read_some(buffer_.next())));
    wire_.is_ended = wire_.arrived.empty();
    co_return Result<>{};
  }

  Async<> flush() {
    while (!wire_.to_send.empty() || is_flushing_) {
      if (is_flushing_) {
        co_await flushed_.wait();
        continue;
      }
      is_flushing_ = true;
      sending_.swap(wire_.to_send);
      auto result = co_await next_->write_all(std::string_view(sending_));
      sending_.clear();
      if (sending_.capacity() > kIdleWriteBytes && wire_.to_send.empty()) sending_.shrink_to_fit();
      is_flushing_ = false;
      flushed_.notify_all();
      if (!result) co_return result;
    }
    co_return Result<>{};
  }

  Error failure(std::string_view what) {
    const long verified = SSL_get_verify_result(ssl_.get());
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
      ERR_clear_error();
      return Error{Code::kUnauthenticated,
                   fmt::format("{}: the certificate of {} was refused: {}", what, peer(),
                               X509_verify_cert_error_string(verified)),
                   {}};
    }
    const bool is_refused =
        reason >= SSL_R_SSLV3_ALERT_BAD_CERTIFICATE && reason <= SSL_R_TLSV1_ALERT_UNKNOWN_CA;
    if (wire_.is_ended) ERR_clear_error();
    if (wire_.is_ended && !is_refused) {
      return Error{
          Code::kUnavailable, fmt::format("{}: {} closed the connection", what, peer()), {}};
    }
    return take_openssl_error(is_refused || reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED
                                  ? Code::kUnauthenticated
                                  : Code::kUnavailable,
                              what);
  }

  StreamPtr next_;
  std::shared_ptr<SSL_CTX> context_;
  Wire wire_;
  SslPtr ssl_;
  AsyncEvent flushed_;
  IdleBuffer buffer_;
  std::string sending_;
  bool is_flushing_ = false;
  std::shared_ptr<const PeerCertificate> certificate_;
};

Async<StreamPtr> finish_handshake(std::unique_ptr<TlsStream> stream, bool is_server,
                                  std::string pinned_ca, TlsHandshakeSettings settings) {
  Deadline deadline(stream->executor(), [&] { stream->close(); });
  deadline.set(settings.timeout);
  auto result = co_await stream->handshake(is_server);
  if (!result) {
    stream->close();
    if (deadline.has_expired()) {
      co_return fail(Code::kTimeout, stream->peer() + " did not finish the TLS handshake in time");
    }
    co_return Unexpected(result.error());
  }
  stream->describe_peer(pinned_ca);
  co_return std::move(stream);
}

bool set_peer_name(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1) return true;
  ERR_clear_error();
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

Async<StreamPtr> tls_accept(StreamPtr stream, std::shared_ptr<TlsServerContext> context,
                            TlsHandshakeSettings settings) {
  auto tls = std::make_unique<TlsStream>(std::move(stream), context->handle());
  co_return co_await finish_handshake(std::move(tls), true, {}, settings);
}

Async<StreamPtr> tls_connect(StreamPtr stream, std::shared_ptr<TlsClientContext> context,
                             std::string host, TlsHandshakeSettings settings) {
  auto tls = std::make_unique<TlsStream>(std::move(stream), context->handle());
  if (host.empty() || !set_peer_name(tls->ssl(), host)) {
    co_return fail(Code::kInvalid, "'" + host + "' is not a host name");
  }
  co_return co_await finish_handshake(std::move(tls), false, context->fingerprint(), settings);
}

}  // namespace chorok::net
