// SPDX-License-Identifier: Apache-2.0
// Podman's HTTP API (libpod) over the unix sockets of `podman system service`: root's, and one of each user. Only
// reads; the daemon is not trusted. A user's service is asked about that user's containers only, and believed only
// when it runs as that user.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "identity/circuit_breaker.h"
#include "identity/container_source.h"
#include "identity/engine_http.h"

namespace memcrest {

class PodmanApi final : public ContainerSource {
 public:
  struct Sockets {  // empty: not asked
    std::string root = "/run/podman/podman.sock";
    std::string user_runtime_dirs = "/run/user";  // of user 1000: /run/user/1000/podman/podman.sock
  };

  // `timeout` is for one whole request, from connect to the last byte; half a second at most for a user's service, so
  // that no user can hold up the names of others' containers.
  PodmanApi(Sockets sockets, std::chrono::milliseconds timeout);

  [[nodiscard]] Runtime runtime() const override { return Runtime::kPodman; }
  [[nodiscard]] const char* name() const override { return "Podman"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override;

  // By the list of containers, which tells the pod's name too.
  [[nodiscard]] Result<std::optional<Container>> look_up(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;
  // Within a quarter of a second, as for Docker. Podman 4.3 says "not OOMKilled" of containers that were: told as it
  // is.
  [[nodiscard]] Result<std::optional<Container>> inspect(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;

 private:
  struct Question {
    std::string target;
    std::chrono::milliseconds timeout;
  };
  using Read = Result<std::optional<Container>> (*)(std::string_view json, std::string_view id);

  Result<std::optional<Container>> ask(const CgroupPath& path, Question question, Read read,
                                       const std::stop_token& stop);
  CircuitBreaker& breaker_of(uid_t user);

  Sockets sockets_;
  std::chrono::milliseconds timeout_;
  // One for each user: a service that hangs must not make the resolver give up asking root's or another user's.
  std::map<uid_t, CircuitBreaker> breakers_;
};

}  // namespace memcrest
