// SPDX-License-Identifier: Apache-2.0
#include "identity/host_address.h"

#include <netdb.h>
#include <nss.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace memcrest {
namespace {

constexpr std::size_t kMaxAddresses = 8;

using Answer = Result<std::vector<HostAddress>>;

Answer ask(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    const int code = error == EAI_AGAIN ? EAGAIN : ENOENT;
    return fail("find the address of", host, code, ::gai_strerror(error));
  }
  std::vector<HostAddress> out;
  for (const addrinfo* at = list; at != nullptr && out.size() < kMaxAddresses; at = at->ai_next) {
    if (at->ai_addrlen <= sizeof(sockaddr_storage)) {
      HostAddress& address = out.emplace_back(HostAddress{.size = at->ai_addrlen, .family = at->ai_family});
      std::memcpy(&address.address, at->ai_addr, at->ai_addrlen);
    }
  }
  ::freeaddrinfo(list);
  return out;
}

// Shared with a thread that may come back only when nobody waits any more.
struct Asked {
  std::mutex mutex;
  std::condition_variable_any done;
  std::optional<Answer> answer;
};

}  // namespace

Result<std::vector<HostAddress>> find_host(const std::string& host, std::uint16_t port,
                                           std::chrono::steady_clock::time_point deadline,
                                           const std::stop_token& stop) {
  if (auto literal = ask(host, port, AI_NUMERICHOST)) {
    return literal;
  }
  // Both modules are part of the C library itself since glibc 2.34; any other would be loaded at run time.
  static std::once_flag configured;
  std::call_once(configured, [] { __nss_configure_lookup("hosts", "files dns"); });
  auto asked = std::make_shared<Asked>();
  try {
    std::thread([asked, host, port] {
      auto answer = ask(host, port, AI_ADDRCONFIG);
      const std::lock_guard lock(asked->mutex);
      asked->answer = std::move(answer);
      asked->done.notify_all();
    }).detach();
  } catch (const std::system_error& error) {
    return fail("find the address of", host, error.code().value(), "no thread");
  }
  std::unique_lock lock(asked->mutex);
  if (asked->done.wait_until(lock, stop, deadline, [&] { return asked->answer.has_value(); })) {
    return std::move(*asked->answer);
  }
  return fail("find the address of", host, stop.stop_requested() ? ECANCELED : ETIMEDOUT);
}

}  // namespace memcrest
