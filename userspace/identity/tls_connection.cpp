// SPDX-License-Identifier: Apache-2.0
#include "identity/tls_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "identity/host_address.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using Context = std::unique_ptr<SSL_CTX, Free>;

// Milliseconds for poll(): rounded up, so that it does not spin at the end.
int poll_time(SteadyClock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

bool is_address(const std::string& host) {
  in6_addr any{};
  return ::inet_pton(AF_INET, host.c_str(), &any) == 1 || ::inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

// Finds a peer that has gone without a word within half a minute.
void watch_peer(int fd) {
  const auto set = [fd](int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof(value)); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
}

// Anything else could keep us waiting for ever.
bool is_file(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

// A key with a pass phrase cannot be used: nobody is there to give it, so that OpenSSL must not ask the terminal.
int no_pass_phrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

Result<void> show_certificate(SSL_CTX* context, const KubernetesEndpoint& endpoint) {
  if (endpoint.client_cert_file.empty()) {
    return {};
  }
  if (!is_file(endpoint.client_cert_file) ||
      SSL_CTX_use_certificate_chain_file(context, endpoint.client_cert_file.c_str()) != 1) {
    return fail("read the own certificate in", endpoint.client_cert_file, ENOKEY,
                "no certificate (PEM) can be read from it");
  }
  SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
  if (!is_file(endpoint.client_key_file) ||
      SSL_CTX_use_PrivateKey_file(context, endpoint.client_key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail("read the own key in", endpoint.client_key_file, ENOKEY,
                "no key (PEM, without a pass phrase) that fits the certificate can be read from it");
  }
  return {};
}

Result<Context> make_context(const KubernetesEndpoint& endpoint) {
  const std::string& ca_file = endpoint.ca_file;
  // No configuration of the host: it could have modules loaded, which a static program cannot.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return fail("set up", "TLS", ENOMEM);
  }
  // A peer that closes without saying so is one that closed: whether all has come, the JSON itself tells.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Come back after each record, also of a peer that sends nothing but tickets: else no deadline holds.
  SSL_CTX_clear_mode(context.get(), SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!is_file(ca_file) || SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) != 1) {
    return fail("read the CA's certificates in", ca_file, ENOKEY, "no certificate (PEM) can be read from it");
  }
  if (auto shown = show_certificate(context.get(), endpoint); !shown) {
    return std::unexpected(shown.error());
  }
  return context;
}

// Who the other end must be.
bool expect_name(SSL* ssl, const std::string& name) {
  if (is_address(name)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  }
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, name.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace

StopEvent::StopEvent(const std::stop_token& stop)
    : token_(stop), fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(stop, Wake{fd_.get()}) {}

void StopEvent::Wake::operator()() const {
  const std::uint64_t one = 1;
  ignore_result(::write(fd, &one, sizeof(one)));
}

bool StopEvent::sleep_until(SteadyClock::time_point time) const {
  while (!token_.stop_requested() && SteadyClock::now() < time) {
    pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, poll_time(time));
  }
  return !token_.stop_requested();
}

struct TlsConnection::Tls {
  Context context;
  std::unique_ptr<SSL, Free> ssl;
};

TlsConnection::TlsConnection(const KubernetesEndpoint& endpoint, const StopEvent& stop)
    : peer_(endpoint.authority()), stop_(&stop), buffer_(std::make_unique<std::array<char, kBufferBytes>>()) {}
TlsConnection::TlsConnection(TlsConnection&&) noexcept = default;
TlsConnection& TlsConnection::operator=(TlsConnection&&) noexcept = default;
TlsConnection::~TlsConnection() {
  if (tls_ && SSL_is_init_finished(tls_->ssl.get()) == 1) {
    SSL_shutdown(tls_->ssl.get());  // says so, and does not wait for an answer
  }
}

Result<TlsConnection> TlsConnection::open(const KubernetesEndpoint& endpoint, TimePoint deadline,
                                          const StopEvent& stop) {
  TlsConnection out(endpoint, stop);
  auto done = out.connect(endpoint, deadline);
  if (done && endpoint.tls) {
    done = out.shake_hands(endpoint, deadline);
  }
  if (!done) {
    return std::unexpected(done.error());
  }
  return out;
}

Result<void> TlsConnection::connect(const KubernetesEndpoint& endpoint, TimePoint deadline) {
  const auto addresses = find_host(endpoint.host, endpoint.port, deadline, stop_->token());
  if (!addresses) {
    return std::unexpected(addresses.error());
  }
  Result<void> last = fail("connect to", peer_, ENOENT, "it has no address");
  for (const HostAddress& address : *addresses) {
    fd_ = Fd(::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!fd_) {
      last = fail_errno("socket for", peer_);
      continue;
    }
    watch_peer(fd_.get());
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address.address), address.size) != 0) {
      if (errno != EINPROGRESS) {
        last = fail_errno("connect to", peer_);
        continue;
      }
      last = wait_for(POLLOUT, deadline);
      if (!last) {
        return last;
      }
      int error = 0;
      socklen_t size = sizeof(error);
      if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        last = fail("connect to", peer_, error);
        continue;
      }
    }
    return {};
  }
  return last;
}

Result<void> TlsConnection::shake_hands(const KubernetesEndpoint& endpoint, TimePoint deadline) {
  auto context = make_context(endpoint);
  if (!context) {
    return std::unexpected(context.error());
  }
  auto tls = std::make_unique<Tls>(Tls{.context = std::move(*context), .ssl = nullptr});
  tls->ssl.reset(SSL_new(tls->context.get()));
  SSL* const ssl = tls->ssl.get();
  // Else a server that can do HTTP/2 might choose it.
  constexpr std::string_view kProtocols = "\x08http/1.1";
  if (ssl == nullptr || SSL_set_fd(ssl, fd_.get()) != 1 || !expect_name(ssl, endpoint.server_name) ||
      SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(kProtocols.data()),
                          static_cast<unsigned>(kProtocols.size())) != 0) {
    return fail("set up TLS for", peer_, ENOMEM);
  }
  tls_ = std::move(tls);
  const auto done = drive([&] { return SSL_connect(ssl); }, deadline);
  if (!done) {
    return std::unexpected(done.error());
  }
  if (*done == 0) {
    return fail("speak TLS with", peer_, ECONNRESET, "it closed the connection");
  }
  return {};
}

Result<void> TlsConnection::wait_for(short events, TimePoint deadline) const {
  while (true) {
    if (stop_->token().stop_requested()) {
      return fail("ask", peer_, ECANCELED);
    }
    if (SteadyClock::now() >= deadline) {
      return fail("ask", peer_, ETIMEDOUT);
    }
    std::array<pollfd, 2> waiting{pollfd{.fd = fd_.get(), .events = events, .revents = 0},
                                  pollfd{.fd = stop_->fd(), .events = POLLIN, .revents = 0}};
    const int ready = ::poll(waiting.data(), waiting.size(), poll_time(deadline));
    if (ready < 0 && errno != EINTR) {
      return fail_errno("poll", peer_);
    }
    if (ready > 0 && waiting[0].revents != 0) {
      return {};
    }
  }
}

// One call into OpenSSL until it is through: how many bytes, 0 when the peer closed.
template <typename Step>
Result<std::size_t> TlsConnection::drive(Step step, TimePoint deadline) {
  while (true) {
    ERR_clear_error();
    errno = 0;
    const int done = step();
    if (done > 0) {
      return static_cast<std::size_t>(done);
    }
    Result<void> ready;
    switch (SSL_get_error(tls_->ssl.get(), done)) {
      case SSL_ERROR_WANT_READ:
        ready = wait_for(POLLIN, deadline);
        break;
      case SSL_ERROR_WANT_WRITE:
        ready = wait_for(POLLOUT, deadline);
        break;
      case SSL_ERROR_ZERO_RETURN:
        return 0;
      case SSL_ERROR_SYSCALL:
        return errno == 0 ? Result<std::size_t>(0) : fail_errno("speak TLS with", peer_);
      default:
        return tls_failure("speak TLS with");
    }
    if (!ready) {
      return std::unexpected(ready.error());
    }
  }
}

std::unexpected<Error> TlsConnection::tls_failure(const char* operation) const {
  const long verified = SSL_get_verify_result(tls_->ssl.get());
  if (verified != X509_V_OK) {
    return fail(operation, peer_, EKEYREJECTED,
                std::string("its certificate is refused: ") + X509_verify_cert_error_string(verified));
  }
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  return fail(operation, peer_, EPROTO, reason == nullptr ? "TLS failed" : reason);
}

Result<std::size_t> TlsConnection::write_some(std::string_view bytes, TimePoint deadline) {
  if (tls_) {
    const int size = static_cast<int>(std::min<std::size_t>(bytes.size(), kBufferBytes));
    return drive([&] { return SSL_write(tls_->ssl.get(), bytes.data(), size); }, deadline);
  }
  while (true) {
    const ssize_t put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      return static_cast<std::size_t>(put);
    }
    if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("send to", peer_);
    }
    const auto ready = wait_for(POLLOUT, deadline);
    if (!ready) {
      return std::unexpected(ready.error());
    }
  }
}

Result<void> TlsConnection::send(std::string_view bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const auto put = write_some(bytes, deadline);
    if (!put) {
      return std::unexpected(put.error());
    }
    if (*put == 0) {
      return fail("send to", peer_, EPIPE);
    }
    bytes.remove_prefix(*put);
  }
  return {};
}

Result<std::size_t> TlsConnection::read_some(TimePoint deadline) {
  if (tls_) {
    return drive([&] { return SSL_read(tls_->ssl.get(), buffer_->data(), static_cast<int>(buffer_->size())); },
                 deadline);
  }
  while (true) {
    const auto ready = wait_for(POLLIN, deadline);
    if (!ready) {
      return std::unexpected(ready.error());
    }
    const ssize_t got = ::recv(fd_.get(), buffer_->data(), buffer_->size(), 0);
    if (got >= 0) {
      return static_cast<std::size_t>(got);
    }
    if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("receive from", peer_);
    }
  }
}

Result<std::string_view> TlsConnection::receive(TimePoint deadline) {
  if (stop_->token().stop_requested() || SteadyClock::now() >= deadline) {
    // A peer that sends without end never makes us wait.
    return fail("ask", peer_, stop_->token().stop_requested() ? ECANCELED : ETIMEDOUT);
  }
  const auto got = read_some(deadline);
  if (!got) {
    return std::unexpected(got.error());
  }
  return std::string_view(buffer_->data(), *got);
}

}  // namespace memcrest
