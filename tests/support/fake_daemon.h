// SPDX-License-Identifier: Apache-2.0
// A daemon on a unix socket that behaves as a test tells it to, badly included: one thread per connection.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "util/fd.h"

namespace memcrest::testing_support {

class FakeDaemon {
 public:
  // One connection, after its request's head was read. Everything ends early when the daemon is destroyed.
  class Connection {
   public:
    Connection(int fd, const std::atomic<bool>& stop, std::string request)
        : fd_(fd), stop_(stop), request_(std::move(request)) {}

    [[nodiscard]] const std::string& request() const { return request_; }
    [[nodiscard]] std::string target() const {
      const auto begin = request_.find(' ');
      return begin == std::string::npos ? "" : request_.substr(begin + 1, request_.find(' ', begin + 1) - begin - 1);
    }
    // False once the peer has gone.
    bool send(std::string_view bytes) {
      while (!bytes.empty() && !stop_) {
        const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put > 0) {
          bytes.remove_prefix(static_cast<std::size_t>(put));
        } else if (errno == EAGAIN) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        } else {
          return false;
        }
      }
      return !stop_;
    }
    void answer(int status, std::string_view body) {
      send("HTTP/1.0 " + std::to_string(status) + " Whatever\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n");
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

   private:
    int fd_;
    const std::atomic<bool>& stop_;
    std::string request_;
  };
  using Handler = std::function<void(Connection&)>;

  FakeDaemon(std::string path, Handler handler) : path_(std::move(path)), handler_(std::move(handler)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path)) {
      throw std::runtime_error("socket path too long");
    }
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener_.get(), 16) != 0) {
      throw std::runtime_error("cannot listen at " + path_);
    }
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakeDaemon() {
    stop_ = true;
    acceptor_.join();
    for (auto& thread : connections_) {
      thread.join();
    }
    ::unlink(path_.c_str());
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  [[nodiscard]] int requests() const { return requests_; }

 private:
  void accept_all() {
    while (!stop_) {
      pollfd waiting{.fd = listener_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 5) <= 0) {
        continue;
      }
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) {
        connections_.emplace_back([this, fd] { serve(Fd(fd)); });
      }
    }
  }
  void serve(const Fd& fd) {
    std::string request;
    while (!stop_ && request.find("\r\n\r\n") == std::string::npos) {
      pollfd waiting{.fd = fd.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 5) <= 0) {
        continue;
      }
      char buffer[4096];
      const ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), 0);
      if (got <= 0) {
        return;
      }
      request.append(buffer, static_cast<std::size_t>(got));
    }
    ++requests_;
    Connection connection(fd.get(), stop_, std::move(request));
    handler_(connection);
  }

  std::string path_;
  Handler handler_;
  Fd listener_;
  std::atomic<bool> stop_{false};
  std::atomic<int> requests_{0};
  std::thread acceptor_;
  std::list<std::thread> connections_;
};

}  // namespace memcrest::testing_support
