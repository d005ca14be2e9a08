// SPDX-License-Identifier: Apache-2.0
#include "identity/named_container.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "identity/docker_json.h"
#include "identity/engine_http.h"

namespace memcrest {
namespace {

constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kLongestName = 255;

// Of what both engines allow in a name: anything else would be another request.
bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && name.front() != '.' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

Result<std::optional<Container>> ask(Runtime runtime, const EngineHttp& engine, const std::string& target) {
  auto body = engine.get(target, kPatience, {});
  if (!body) {
    const int code = body.error().code;
    if (code == ENOENT || code == ECONNREFUSED) {
      return std::nullopt;
    }
    return std::unexpected(std::move(body.error()));
  }
  if (!*body) {
    return std::nullopt;
  }
  auto found = read_docker_inspect(**body, "");
  if (!found) {
    return std::unexpected(std::move(found.error()));
  }
  found->runtime = runtime;
  return std::move(*found);
}

}  // namespace

Result<std::optional<Container>> ask_for_container(const std::string& name, const std::string& docker_socket,
                                                   const std::string& podman_socket) {
  if (!is_name(name)) {
    return std::nullopt;
  }
  std::optional<Error> failed;
  const auto known = [&](Runtime runtime, const char* daemon, const std::string& socket, const std::string& target) {
    if (socket.empty()) {
      return std::optional<Container>();
    }
    auto found = ask(runtime, EngineHttp(daemon, socket), target);
    if (!found) {
      failed = std::move(found.error());
      return std::optional<Container>();
    }
    return std::move(*found);
  };
  if (auto found = known(Runtime::kDocker, "Docker", docker_socket, "/containers/" + name + "/json")) {
    return found;
  }
  if (auto found = known(Runtime::kPodman, "Podman", podman_socket, "/v4.0.0/libpod/containers/" + name + "/json")) {
    return found;
  }
  if (failed) {
    return std::unexpected(std::move(*failed));
  }
  return std::nullopt;
}

}  // namespace memcrest
