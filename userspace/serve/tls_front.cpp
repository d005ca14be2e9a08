// SPDX-License-Identifier: Apache-2.0
#include "serve/tls_front.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <string>
#include <thread>

namespace memcrest {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kTickMs = 200;  // how soon a stop is seen
constexpr auto kHandshake = std::chrono::seconds(5);
constexpr auto kIdle = std::chrono::seconds(60);
constexpr std::size_t kPiece = std::size_t{16} << 10U;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

void wait_for(int fd, short events, int ms = kTickMs) {
  pollfd one{.fd = fd, .events = events, .revents = 0};
  ::poll(&one, 1, ms);
}

// Non-blocking; false: it is over.
bool again(SSL* ssl, int result, int fd) {
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
      wait_for(fd, POLLIN);
      return true;
    case SSL_ERROR_WANT_WRITE:
      wait_for(fd, POLLOUT);
      return true;
    default:
      return false;
  }
}

// Whose a connection is, for the limit: an address, of IPv6 the network of a host, which has as many addresses as it
// likes.
std::string network_of(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
    return {reinterpret_cast<const char*>(&v6), IN6_IS_ADDR_V4MAPPED(&v6) ? sizeof(v6) : sizeof(v6) / 2};
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
  return {reinterpret_cast<const char*>(&v4), sizeof(v4)};
}

}  // namespace

struct TlsFront::State {
  struct Worker {
    std::string from;
    std::thread thread;
    std::atomic<bool> done{false};
  };

  Fd listener;
  std::unique_ptr<SSL_CTX, Free> context;
  TlsLimits limits;
  Serve serve;
  std::atomic<bool> stop{false};
  std::list<Worker> workers;  // of the acceptor
  std::thread acceptor;

  void accept_all();
  void handle(Fd tls, const sockaddr_storage& peer, socklen_t size);
  bool shake_hands(SSL* ssl, int fd) const;
  void pump(SSL* ssl, int tls, int plain) const;
};

void TlsFront::State::accept_all() {
  while (!stop) {
    wait_for(listener.get(), POLLIN);
    std::erase_if(workers, [](Worker& one) {
      if (one.done) {
        one.thread.join();
        return true;
      }
      return false;
    });
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    Fd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const std::string from = network_of(peer);
    if (!fd || workers.size() >= limits.connections ||
        std::ranges::count(workers, from, &Worker::from) >= static_cast<std::ptrdiff_t>(limits.per_address)) {
      continue;
    }
    Worker& worker = workers.emplace_back();
    worker.from = from;
    try {
      worker.thread = std::thread([this, &worker, fd = std::move(fd), peer, size]() mutable {
        handle(std::move(fd), peer, size);
        worker.done = true;
      });
    } catch (const std::system_error&) {  // no more threads
      workers.pop_back();
    }
  }
  for (Worker& one : workers) {
    one.thread.join();
  }
}

bool TlsFront::State::shake_hands(SSL* ssl, int fd) const {
  const auto deadline = SteadyClock::now() + kHandshake;
  while (!stop && SteadyClock::now() < deadline) {
    ERR_clear_error();
    const int result = SSL_accept(ssl);
    if (result == 1) {
      return true;
    }
    if (!again(ssl, result, fd)) {
      return false;
    }
  }
  return false;
}

void TlsFront::State::handle(Fd tls, const sockaddr_storage& peer, socklen_t size) {
  const std::unique_ptr<SSL, Free> ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), tls.get()) != 1 || !shake_hands(ssl.get(), tls.get())) {
    return;
  }
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    return;
  }
  const Fd mine(pair[0]);
  serve(Fd(pair[1]), peer, size);
  pump(ssl.get(), tls.get(), mine.get());
}

// Both ways until either side ends, nothing moved for long, or the other side takes too long for one piece: a client
// that reads a byte now and then is not waited for. What was read is written before more is read.
void TlsFront::State::pump(SSL* ssl, int tls, int plain) const {
  char in[kPiece];
  char out[kPiece];
  auto moved = SteadyClock::now();
  const auto write_all = [&](const auto& write_some, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
      if (stop || SteadyClock::now() - moved > kIdle) {
        return false;
      }
      const auto put = write_some(done, size - done);
      if (put < 0) {
        return false;
      }
      done += static_cast<std::size_t>(put);
    }
    return true;
  };
  while (!stop && SteadyClock::now() - moved < kIdle) {
    ERR_clear_error();
    const int got = SSL_read(ssl, in, sizeof(in));
    if (got > 0) {
      moved = SteadyClock::now();
      const auto to_plain = [&](std::size_t at, std::size_t size) -> ssize_t {
        const ssize_t put = ::send(plain, in + at, size, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN) {
          wait_for(plain, POLLOUT);
          return 0;
        }
        return put;
      };
      if (!write_all(to_plain, static_cast<std::size_t>(got))) {
        return;
      }
      continue;
    }
    const int why = SSL_get_error(ssl, got);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      return;
    }
    const ssize_t answered = ::recv(plain, out, sizeof(out), 0);
    if (answered == 0 || (answered < 0 && errno != EAGAIN)) {
      SSL_shutdown(ssl);
      return;
    }
    if (answered > 0) {
      moved = SteadyClock::now();
      const auto to_tls = [&](std::size_t at, std::size_t size) -> ssize_t {
        ERR_clear_error();
        const int put = SSL_write(ssl, out + at, static_cast<int>(size));
        return put > 0 ? put : again(ssl, put, tls) ? 0 : -1;
      };
      if (!write_all(to_tls, static_cast<std::size_t>(answered))) {
        return;
      }
      continue;
    }
    pollfd both[] = {{.fd = tls, .events = POLLIN, .revents = 0}, {.fd = plain, .events = POLLIN, .revents = 0}};
    ::poll(both, 2, kTickMs);
  }
}

TlsFront::TlsFront(std::unique_ptr<State> state) : state_(std::move(state)) {}

TlsFront::~TlsFront() {
  state_->stop = true;
  state_->acceptor.join();
}

Result<std::unique_ptr<TlsFront>> TlsFront::start(Fd listener, const std::string& certificate, const std::string& key,
                                                  const TlsLimits& limits, Serve serve) {
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  ERR_clear_error();
  auto state = std::make_unique<State>();
  state->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = state->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
    return fail("set up", "TLS", ENOMEM);
  }
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    return fail("read the certificate in", certificate, EINVAL, "no certificate chain (PEM) can be read from it");
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return fail("read the key in", key, EINVAL, "no key (PEM) of that certificate can be read from it");
  }
  ::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK);
  state->listener = std::move(listener);
  state->limits = limits;
  state->serve = std::move(serve);
  state->acceptor = std::thread([raw = state.get()] { raw->accept_all(); });
  return std::unique_ptr<TlsFront>(new TlsFront(std::move(state)));
}

}  // namespace memcrest
