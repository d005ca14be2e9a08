// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_api.h"

#include <algorithm>

#include "identity/docker_json.h"
#include "identity/label_facts.h"

namespace memcrest {
namespace {

constexpr std::chrono::milliseconds kInspectPatience{250};

std::unexpected<Error> no_id(const std::string& id) { return fail("ask Docker for", id, EINVAL, "not a container id"); }

}  // namespace

DockerApi::DockerApi(std::string socket_path, std::chrono::milliseconds timeout)
    : engine_("Docker", std::move(socket_path)),
      timeout_(std::clamp(timeout, std::chrono::milliseconds(1), std::chrono::milliseconds(60'000))) {}

Result<std::optional<Container>> DockerApi::look_up(const CgroupPath& path, const std::stop_token& stop) {
  const std::string& id = path.container_id;
  if (!is_container_id(id)) {
    return no_id(id);
  }
  // filters={"id":["<id>"]}
  const auto list =
      engine_.get("/containers/json?all=1&filters=%7B%22id%22%3A%5B%22" + id + "%22%5D%7D", timeout_, stop);
  if (!list) {
    return std::unexpected(list.error());
  }
  if (!*list) {
    return std::nullopt;
  }
  auto found = read_docker_list(**list, id);
  if (!found) {
    return std::unexpected(engine_.explain(found.error()));
  }
  if (*found) {
    complete(**found, id);
  }
  return found;
}

Result<std::optional<Container>> DockerApi::inspect(const CgroupPath& path, const std::stop_token& stop) {
  const std::string& id = path.container_id;
  if (!is_container_id(id)) {
    return no_id(id);
  }
  const auto answer = engine_.get("/containers/" + id + "/json", std::min(timeout_, kInspectPatience), stop);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (!*answer) {
    return std::nullopt;
  }
  auto found = read_docker_inspect(**answer, id);
  if (!found) {
    return std::unexpected(engine_.explain(found.error()));
  }
  complete(*found, id);
  return std::move(*found);
}

void DockerApi::complete(Container& found, const std::string& id) {
  found.runtime = Runtime::kDocker;
  found.id = id;
  apply_kubernetes_labels(found);
}

}  // namespace memcrest
