// SPDX-License-Identifier: Apache-2.0
// What asking Docker and asking Podman have in common: a GET, and what its answer or its failure means in words that a
// person can act on. The daemon is not trusted: see unix_http.h and docker_json.h for the bounds.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "identity/unix_http.h"

namespace memcrest {

class EngineHttp {
 public:
  // `name` is for a person: "Docker". `owner`: see UnixHttp.
  EngineHttp(std::string name, std::string socket_path, std::optional<uid_t> owner = std::nullopt);

  // The body of an answer that succeeded. Nothing: there is no such container. `timeout` is for one whole request.
  [[nodiscard]] Result<std::optional<std::string>> get(const std::string& target, std::chrono::milliseconds timeout,
                                                       const std::stop_token& stop) const;

  [[nodiscard]] const UnixHttp& http() const { return http_; }
  // Says who was asked, and where.
  [[nodiscard]] Error explain(const Error& error) const;
  [[nodiscard]] Error refused(const HttpAnswer& answer) const;

 private:
  std::string name_;
  UnixHttp http_;
};

}  // namespace memcrest
