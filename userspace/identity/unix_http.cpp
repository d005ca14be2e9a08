// SPDX-License-Identifier: Apache-2.0
#include "identity/unix_http.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "util/fd.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kSlice{50};  // how often a wait looks whether it shall stop

// One request: a deadline and a way to be stopped, asked before each step.
class Exchange {
 public:
  Exchange(const std::string& socket_path, milliseconds timeout, const std::stop_token& stop)
      : socket_path_(socket_path), timeout_(timeout), deadline_(SteadyClock::now() + timeout), stop_(stop) {}

  Result<void> connect();
  Result<void> send(std::string_view bytes);
  // At least one byte, or none when the peer closed.
  Result<std::string_view> receive();

 private:
  [[nodiscard]] Result<milliseconds> next_slice() const;
  [[nodiscard]] Result<void> wait_for(short events) const;

  const std::string& socket_path_;
  milliseconds timeout_;
  SteadyClock::time_point deadline_;
  const std::stop_token& stop_;
  Fd fd_;
  std::array<char, 16384> buffer_{};
};

Result<milliseconds> Exchange::next_slice() const {
  if (stop_.stop_requested()) {
    return fail("ask", socket_path_, ECANCELED);
  }
  const auto left = std::chrono::ceil<milliseconds>(deadline_ - SteadyClock::now());
  if (left <= milliseconds::zero()) {
    return fail("ask", socket_path_, ETIMEDOUT,
                "no complete answer within " + std::to_string(timeout_.count()) + " ms");
  }
  return std::min(left, kSlice);
}

Result<void> Exchange::wait_for(short events) const {
  while (true) {
    const auto slice = next_slice();
    if (!slice) {
      return std::unexpected(slice.error());
    }
    pollfd waiting{.fd = fd_.get(), .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(slice->count()));
    if (ready > 0) {
      return {};
    }
    if (ready < 0 && errno != EINTR) {
      return fail_errno("poll", socket_path_);
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
  while (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("connect", socket_path_);
    }
    // EAGAIN: the listener's backlog is full, and no poll() tells when it is not.
    const auto slice = next_slice();
    if (!slice) {
      return std::unexpected(slice.error());
    }
    std::this_thread::sleep_for(std::min(*slice, milliseconds(10)));
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

}  // namespace

UnixHttp::UnixHttp(std::string socket_path, HttpLimits limits)
    : socket_path_(std::move(socket_path)), limits_(limits) {}

Result<HttpAnswer> UnixHttp::get(const std::string& target, milliseconds timeout, const std::stop_token& stop) const {
  // HTTP/1.0 on purpose: the peer must then send the body as it is and close, so there are no chunks to decode.
  const std::string request = "GET " + target +
                              " HTTP/1.0\r\nHost: localhost\r\nUser-Agent: memcrest/" MEMCREST_VERSION
                              "\r\nAccept: application/json\r\n\r\n";
  Exchange exchange(socket_path_, timeout, stop);
  auto sent = exchange.connect();
  if (sent) {
    sent = exchange.send(request);
  }
  if (!sent) {
    return std::unexpected(sent.error());
  }
  HttpAnswerReader reader(limits_);
  while (true) {
    const auto bytes = exchange.receive();
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    const auto complete = bytes->empty() ? reader.end() : reader.feed(*bytes);
    if (!complete) {
      return fail("ask", socket_path_, complete.error().code, complete.error().detail);
    }
    if (*complete) {
      return reader.take();
    }
  }
}

}  // namespace memcrest
