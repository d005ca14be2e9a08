// SPDX-License-Identifier: Apache-2.0
// Docker's HTTP API over its unix socket, asked for one container at a time. Only reads. The daemon is not trusted: see
// unix_http.h and docker_json.h for the bounds.
#pragma once

#include <chrono>
#include <string>

#include "identity/container_source.h"
#include "identity/engine_http.h"

namespace memcrest {

class DockerApi final : public ContainerSource {
 public:
  // `timeout` is for one whole request, from connect to the last byte.
  DockerApi(std::string socket_path, std::chrono::milliseconds timeout);

  [[nodiscard]] Runtime runtime() const override { return Runtime::kDocker; }
  [[nodiscard]] const char* name() const override { return "Docker"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override {
    return path.docker_candidate && known.name.empty();
  }

  // By the list of containers, which the daemon answers from a snapshot. Asking for the container itself waits for its
  // lock, that is until `docker start` has finished (200 to 600 ms measured): a container that lives for a moment
  // would be gone before the next one in the queue is asked for.
  [[nodiscard]] Result<std::optional<Container>> look_up(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;
  // GET /containers/<id>/json, within a quarter of a second: it adds what is good to have (main process, limits, state,
  // restart count), and others wait meanwhile.
  [[nodiscard]] Result<std::optional<Container>> inspect(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;

 private:
  static void complete(Container& found, const std::string& id);

  EngineHttp engine_;
  std::chrono::milliseconds timeout_;
};

}  // namespace memcrest
