// SPDX-License-Identifier: Apache-2.0
// A TCP server on the loopback, with TLS or without, that behaves as a test tells it to, badly included: one thread per
// connection. And a certificate authority that issues what such a server shows.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "util/fd.h"

namespace memcrest::testing_support {

// Freed with their OpenSSL function.
struct FreeOpenssl {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
template <typename T>
using Openssl = std::unique_ptr<T, FreeOpenssl>;

struct Identity {
  Openssl<EVP_PKEY> key;
  Openssl<X509> certificate;
};

class TestCa {
 public:
  TestCa() : ca_(make("memcrest test CA", "", 3600, nullptr)) {}

  // `names`: as subjectAltName, "IP:127.0.0.1,DNS:x"; `seconds` until it ends.
  [[nodiscard]] Identity issue(const std::string& names, long seconds = 3600) const {
    return make("server", names, seconds, &ca_);
  }
  void write(const std::string& path) const {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "w"), std::fclose);
    if (!file || PEM_write_X509(file.get(), ca_.certificate.get()) != 1) {
      throw std::runtime_error("cannot write " + path);
    }
  }

 private:
  static Identity make(const char* name, const std::string& names, long seconds, const Identity* issuer) {
    Identity out{.key = Openssl<EVP_PKEY>(EVP_EC_gen("P-256")), .certificate = Openssl<X509>(X509_new())};
    X509* const x = out.certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), issuer == nullptr ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x), seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    const Identity& by = issuer == nullptr ? out : *issuer;
    X509_set_issuer_name(x, X509_get_subject_name(by.certificate.get()));
    X509_set_pubkey(x, out.key.get());
    X509V3_CTX context;
    X509V3_set_ctx(&context, by.certificate.get(), x, nullptr, nullptr, 0);
    const auto extend = [&](int kind, const char* value) {
      X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
      X509_add_ext(x, extension, -1);
      X509_EXTENSION_free(extension);
    };
    extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!names.empty()) {
      extend(NID_subject_alt_name, names.c_str());
    }
    if (X509_sign(x, by.key.get(), EVP_sha256()) == 0) {
      throw std::runtime_error("cannot sign a certificate");
    }
    return out;
  }

  Identity ca_;
};

class FakeHttps {
 public:
  // One connection, after its request's head was read. Everything ends early when the server is destroyed.
  class Connection {
   public:
    Connection(int fd, SSL* ssl, const std::atomic<bool>& stop) : fd_(fd), ssl_(ssl), stop_(stop) {}

    [[nodiscard]] const std::string& request() const { return request_; }
    [[nodiscard]] std::string target() const {
      const auto begin = request_.find(' ');
      return begin == std::string::npos ? "" : request_.substr(begin + 1, request_.find(' ', begin + 1) - begin - 1);
    }
    // False once the peer has gone.
    bool send(std::string_view bytes) {
      while (!bytes.empty() && !stop_) {
        const int size = static_cast<int>(std::min<std::size_t>(bytes.size(), 16384));
        const ssize_t put = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), size)
                                            : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put > 0) {
          bytes.remove_prefix(static_cast<std::size_t>(put));
        } else if (!again(static_cast<int>(put))) {
          return false;
        }
      }
      return !stop_;
    }
    void answer(int status, std::string_view body) {
      send("HTTP/1.0 " + std::to_string(status) + " Whatever\r\nContent-Type: application/json\r\n\r\n");
      send(body);
    }
    bool sleep(std::chrono::milliseconds time) {
      const auto end = std::chrono::steady_clock::now() + time;
      while (!stop_ && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      return !stop_;
    }
    void hang() { sleep(std::chrono::hours(1)); }
    // Until the peer closes.
    void wait_for_end() {
      char byte = 0;
      while (!stop_) {
        const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_, &byte, 1) : ::recv(fd_, &byte, 1, 0);
        if (got <= 0 && !again(static_cast<int>(got))) {
          return;
        }
      }
    }
    bool read_request() {
      char buffer[4096];
      while (!stop_ && request_.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof(buffer)) : ::recv(fd_, buffer, 4096, 0);
        if (got > 0) {
          request_.append(buffer, static_cast<std::size_t>(got));
        } else if (!again(static_cast<int>(got))) {
          return false;
        }
      }
      return !stop_;
    }
    bool shake_hands() {
      while (ssl_ != nullptr && !stop_) {
        const int done = SSL_accept(ssl_);
        if (done == 1) {
          break;
        }
        if (!again(done)) {
          return false;
        }
      }
      return !stop_;
    }

   private:
    // The descriptor does not block, so that the end of the test is seen.
    bool again(int done) {
      if (ssl_ != nullptr) {
        const int error = SSL_get_error(ssl_, done);
        ERR_clear_error();
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
          return false;
        }
      } else if (done == 0 || errno != EAGAIN) {
        return false;
      }
      pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
      ::poll(&waiting, 1, 2);
      return true;
    }

    int fd_;
    SSL* ssl_;
    const std::atomic<bool>& stop_;
    std::string request_;
  };
  using Handler = std::function<void(Connection&)>;

  // `identity`: null for plain HTTP.
  FakeHttps(Handler handler, const Identity* identity = nullptr, int newest_tls = 0) : handler_(std::move(handler)) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to peers that have gone
    if (identity != nullptr) {
      context_.reset(SSL_CTX_new(TLS_server_method()));
      SSL_CTX_set_max_proto_version(context_.get(), newest_tls);
      SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
      SSL_CTX_set_security_level(context_.get(), 0);
      SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
      if (SSL_CTX_use_certificate(context_.get(), identity->certificate.get()) != 1 ||
          SSL_CTX_use_PrivateKey(context_.get(), identity->key.get()) != 1) {
        throw std::runtime_error("cannot use the certificate");
      }
    }
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 16) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakeHttps() {
    stop_ = true;
    acceptor_.join();
    for (auto& thread : connections_) {
      thread.join();
    }
  }
  FakeHttps(const FakeHttps&) = delete;
  FakeHttps& operator=(const FakeHttps&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const {
    return (context_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
  }
  [[nodiscard]] int connections() const { return accepted_; }
  // The targets asked for so far.
  [[nodiscard]] std::vector<std::string> targets() const {
    const std::lock_guard lock(mutex_);
    return targets_;
  }

 private:
  void accept_all() {
    while (!stop_) {
      pollfd waiting{.fd = listener_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 5) <= 0) {
        continue;
      }
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) {
        ++accepted_;
        connections_.emplace_back([this, fd] { serve(Fd(fd)); });
      }
    }
  }
  void serve(const Fd& fd) {
    const Openssl<SSL> ssl(context_ ? SSL_new(context_.get()) : nullptr);
    if (ssl) {
      SSL_set_fd(ssl.get(), fd.get());
    }
    Connection connection(fd.get(), ssl.get(), stop_);
    if (!connection.shake_hands() || !connection.read_request()) {
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      targets_.push_back(connection.target());
    }
    handler_(connection);
    if (ssl) {
      SSL_shutdown(ssl.get());
    }
  }

  Handler handler_;
  Openssl<SSL_CTX> context_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> accepted_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> targets_;
  std::thread acceptor_;
  std::list<std::thread> connections_;
};

}  // namespace memcrest::testing_support
