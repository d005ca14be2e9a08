// SPDX-License-Identifier: Apache-2.0
#include "identity/unix_http.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <utility>

#include "util/fd.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr int kOk = 200;

// One request: a deadline, if any, and a way to be stopped, which wakes it from every wait.
class Exchange {
 public:
  Exchange(const std::string& socket_path, milliseconds timeout, const std::stop_token& stop)
      : socket_path_(socket_path),
        timeout_(timeout),
        deadline_(SteadyClock::now() + timeout),
        stop_(stop),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        on_stop_(stop, Wake{wake_.get()}) {}

  Result<void> ask(const std::string& target, std::optional<uid_t> owner);
  // At least one byte, or none when the peer closed.
  Result<std::string_view> receive();
  void wait_forever() { deadline_.reset(); }
  // An error of who reads what arrives.
  [[nodiscard]] Error within(const Error& error) const { return {"ask", socket_path_, error.code, error.detail}; }

 private:
  struct Wake {
    int fd;
    void operator()() const noexcept { ignore_result(::eventfd_write(fd, 1)); }
  };

  Result<void> connect();
  Result<void> check_owner(uid_t owner) const;
  Result<void> send(std::string_view bytes);
  [[nodiscard]] Result<milliseconds> time_left() const;
  [[nodiscard]] Result<void> wait_for(short events) const;

  const std::string& socket_path_;
  milliseconds timeout_;
  std::optional<SteadyClock::time_point> deadline_;
  const std::stop_token& stop_;
  Fd wake_;
  std::stop_callback<Wake> on_stop_;
  Fd fd_;
  std::array<char, 16384> buffer_{};
};

// Negative: no limit, as poll() takes it.
Result<milliseconds> Exchange::time_left() const {
  if (stop_.stop_requested()) {
    return fail("ask", socket_path_, ECANCELED);
  }
  if (!deadline_) {
    return milliseconds(-1);
  }
  const auto left = std::chrono::ceil<milliseconds>(*deadline_ - SteadyClock::now());
  if (left <= milliseconds::zero()) {
    return fail("ask", socket_path_, ETIMEDOUT,
                "no complete answer within " + std::to_string(timeout_.count()) + " ms");
  }
  return left;
}

Result<void> Exchange::wait_for(short events) const {
  while (true) {
    const auto left = time_left();
    if (!left) {
      return std::unexpected(left.error());
    }
    std::array<pollfd, 2> waiting = {pollfd{.fd = fd_.get(), .events = events, .revents = 0},
                                     pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(left->count())) < 0 && errno != EINTR) {
      return fail_errno("poll", socket_path_);
    }
    if (waiting[0].revents != 0 && !stop_.stop_requested()) {
      return {};
    }
  }
}

Result<void> Exchange::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path_.empty() || socket_path_.size() >= sizeof(address.sun_path)) {
    return fail("connect", socket_path_, ENAMETOOLONG, "not a path that a socket can have");
  }
  std::memcpy(address.sun_path, socket_path_.c_str(), socket_path_.size() + 1);
  fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) {
    return fail_errno("socket", socket_path_);
  }
  if (!wake_) {
    return fail("eventfd for", socket_path_, EMFILE);
  }
  while (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("connect", socket_path_);
    }
    // EAGAIN: the listener's backlog is full, and no poll() tells when it is not.
    if (const auto left = time_left(); !left) {
      return std::unexpected(left.error());
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
  return {};
}

// Who called listen(), which the kernel noted then: what a path leads to can be anybody's.
Result<void> Exchange::check_owner(uid_t owner) const {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail_errno("ask for the peer of", socket_path_);
  }
  if (peer.uid != owner) {
    return fail("ask", socket_path_, EACCES,
                "user " + std::to_string(peer.uid) + " listens there, not user " + std::to_string(owner));
  }
  return {};
}

Result<void> Exchange::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto ready = wait_for(POLLOUT);
    if (!ready) {
      return ready;
    }
    const ssize_t put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
    } else if (errno == EPIPE) {
      return {};  // the peer does not read; it may have answered all the same
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("send to", socket_path_);
    }
  }
  return {};
}

Result<void> Exchange::ask(const std::string& target, std::optional<uid_t> owner) {
  if (auto connected = connect(); !connected) {
    return connected;
  }
  if (owner) {
    if (auto checked = check_owner(*owner); !checked) {
      return checked;
    }
  }
  // HTTP/1.0 on purpose: the peer must then send the body as it is and close, so there are no chunks to decode.
  return send("GET " + target +
              " HTTP/1.0\r\nHost: localhost\r\nUser-Agent: memcrest/" MEMCREST_VERSION
              "\r\nAccept: application/json\r\n\r\n");
}

Result<std::string_view> Exchange::receive() {
  while (true) {
    const auto ready = wait_for(POLLIN);
    if (!ready) {
      return std::unexpected(ready.error());
    }
    const ssize_t got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (got >= 0) {
      return std::string_view(buffer_.data(), static_cast<std::size_t>(got));
    }
    if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("receive from", socket_path_);
    }
  }
}

// The head of an answer that has arrived up to `bytes` and goes on, and all that follows.
Result<HttpAnswer> follow_body(Exchange& exchange, std::string_view bytes, const UnixHttp::Take& take) {
  exchange.wait_forever();
  if (auto taken = take({}); !taken) {
    return std::unexpected(std::move(taken.error()));
  }
  while (true) {
    if (!bytes.empty()) {
      if (auto taken = take(bytes); !taken) {
        return std::unexpected(std::move(taken.error()));
      }
    }
    const auto more = exchange.receive();
    if (!more) {
      return std::unexpected(more.error());
    }
    if (more->empty()) {
      return HttpAnswer{.status = kOk, .body = {}};
    }
    bytes = *more;
  }
}

// An answer of which `bytes` are there already.
Result<HttpAnswer> read_answer(Exchange& exchange, HttpAnswerReader reader, std::string_view bytes) {
  auto complete = reader.feed(bytes);
  while (complete && !*complete) {
    const auto more = exchange.receive();
    if (!more) {
      return std::unexpected(more.error());
    }
    complete = more->empty() ? reader.end() : reader.feed(*more);
  }
  if (!complete) {
    return std::unexpected(exchange.within(complete.error()));
  }
  return reader.take();
}

}  // namespace

UnixHttp::UnixHttp(std::string socket_path, HttpLimits limits, std::optional<uid_t> owner)
    : socket_path_(std::move(socket_path)), limits_(limits), owner_(owner) {}

Result<HttpAnswer> UnixHttp::get(const std::string& target, milliseconds timeout, const std::stop_token& stop) const {
  Exchange exchange(socket_path_, timeout, stop);
  if (auto asked = exchange.ask(target, owner_); !asked) {
    return std::unexpected(std::move(asked.error()));
  }
  return read_answer(exchange, HttpAnswerReader(limits_), {});
}

Result<HttpAnswer> UnixHttp::follow(const std::string& target, milliseconds head_timeout, const Take& take,
                                    const std::stop_token& stop) const {
  Exchange exchange(socket_path_, head_timeout, stop);
  if (auto asked = exchange.ask(target, owner_); !asked) {
    return std::unexpected(std::move(asked.error()));
  }
  HttpHeadReader head(limits_.head_bytes);
  while (true) {
    const auto bytes = exchange.receive();
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    if (bytes->empty()) {
      return std::unexpected(exchange.within(head.closed()));
    }
    const auto body = head.feed(*bytes);
    if (!body) {
      return std::unexpected(exchange.within(body.error()));
    }
    if (!*body) {
      continue;
    }
    if (head.status() == kOk) {
      return follow_body(exchange, **body, take);
    }
    return read_answer(exchange, HttpAnswerReader(limits_, head), **body);
  }
}

}  // namespace memcrest
