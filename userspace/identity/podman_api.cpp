// SPDX-License-Identifier: Apache-2.0
#include "identity/podman_api.h"

#include <algorithm>

#include "identity/bundle_places.h"
#include "identity/docker_json.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kInspectPatience{250};
constexpr milliseconds kUserPatience{500};
constexpr std::size_t kMaxUsers = 256;
// The oldest that the libpod API of Podman 4 and 5 accepts.
constexpr const char* kApi = "/v4.0.0/libpod";

Result<std::optional<Container>> read_inspect(std::string_view json, std::string_view id) {
  auto found = read_docker_inspect(json, id);
  if (!found) {
    return std::unexpected(std::move(found.error()));
  }
  return std::move(*found);
}

// Whose Podman it is, unless root's. Only the first two parts of the path count: systemd makes them, while a user names
// what is below as he likes.
std::optional<uid_t> user_of(const CgroupPath& path) {
  const auto user = user_of_cgroup(path.container_path);
  return user && *user != 0 ? user : std::nullopt;
}

}  // namespace

PodmanApi::PodmanApi(Sockets sockets, milliseconds timeout)
    : sockets_(std::move(sockets)), timeout_(std::clamp(timeout, milliseconds(1), milliseconds(60'000))) {}

bool PodmanApi::may_add(const CgroupPath& path, const Container& known) const {
  const bool asked = !(user_of(path) ? sockets_.user_runtime_dirs : sockets_.root).empty();
  return asked && path.runtime == Runtime::kPodman && !path.container_id.empty() &&
         (known.name.empty() || known.image.empty() || (known.pod && known.pod->name.empty()));
}

Result<std::optional<Container>> PodmanApi::look_up(const CgroupPath& path, const std::stop_token& stop) {
  // filters={"id":["<id>"]}
  return ask(path,
             {.target = kApi + ("/containers/json?all=true&pod=true&filters=%7B%22id%22%3A%5B%22" + path.container_id +
                                "%22%5D%7D"),
              .timeout = timeout_},
             read_docker_list, stop);
}

Result<std::optional<Container>> PodmanApi::inspect(const CgroupPath& path, const std::stop_token& stop) {
  return ask(path,
             {.target = kApi + ("/containers/" + path.container_id + "/json"),
              .timeout = std::min(timeout_, kInspectPatience)},
             read_inspect, stop);
}

Result<std::optional<Container>> PodmanApi::ask(const CgroupPath& path, Question question, Read read,
                                                const std::stop_token& stop) {
  const std::string& id = path.container_id;
  if (!is_container_id(id)) {
    return fail("ask Podman for", id, EINVAL, "not a container id");
  }
  const auto user = user_of(path);
  std::string socket = sockets_.root;
  CircuitBreaker* breaker = nullptr;
  if (user) {
    socket = sockets_.user_runtime_dirs + "/" + std::to_string(*user) + "/podman/podman.sock";
    breaker = &breaker_of(*user);
    question.timeout = std::min(question.timeout, kUserPatience);
    if (!breaker->allows(SteadyClock::now())) {
      return fail("ask Podman at", socket, EAGAIN, "it did not answer in time and is not asked again yet");
    }
  }
  const EngineHttp engine("Podman", std::move(socket), user);
  const auto answer = engine.get(question.target, question.timeout, stop);
  if (!answer) {
    Error error = answer.error();
    if (breaker != nullptr && error.code == ETIMEDOUT) {
      breaker->timed_out(SteadyClock::now());
      error.code = EAGAIN;  // this one is not asked again soon; the others may be
    }
    return std::unexpected(std::move(error));
  }
  if (breaker != nullptr) {
    breaker->answered();
  }
  if (!*answer) {
    return std::nullopt;
  }
  auto found = read(**answer, id);
  if (!found) {
    return std::unexpected(engine.explain(found.error()));
  }
  if (*found) {
    (*found)->runtime = Runtime::kPodman;
    (*found)->id = id;
  }
  return found;
}

CircuitBreaker& PodmanApi::breaker_of(uid_t user) {
  if (breakers_.size() >= kMaxUsers && !breakers_.contains(user)) {
    breakers_.erase(breakers_.begin());  // forgotten: it is asked once more, no harm
  }
  return breakers_[user];
}

}  // namespace memcrest
