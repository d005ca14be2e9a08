// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_api.h"

#include <algorithm>

#include "identity/docker_json.h"

namespace memcrest {
namespace {

constexpr int kOk = 200;
constexpr int kNotFound = 404;

bool is_redirect(int status) { return status >= 300 && status < 400; }

}  // namespace

DockerApi::DockerApi(std::string socket_path, std::chrono::milliseconds timeout)
    : http_(std::move(socket_path)),
      timeout_(std::clamp(timeout, std::chrono::milliseconds(1), std::chrono::milliseconds(60'000))) {}

// What a person should read: which question failed, then why.
Error DockerApi::explain(const Error& error) const {
  if (error.code == ENOENT) {
    return Error{"no Docker socket at", http_.socket_path(), ENOENT, {}};
  }
  return Error{"ask Docker at", http_.socket_path(), error.code, error.detail};
}

Error DockerApi::refused(const HttpAnswer& answer) const {
  std::string why = "answered " + std::to_string(answer.status);
  if (is_redirect(answer.status)) {
    why += ", a redirect, which is not followed";
  }
  const std::string message = read_docker_message(answer.body);
  return Error{"ask Docker at", http_.socket_path(), EPROTO, message.empty() ? why : why + ": " + message};
}

Result<std::optional<Container>> DockerApi::look_up(const CgroupPath& path, const std::stop_token& stop) {
  const std::string& id = path.container_id;
  if (!is_container_id(id)) {
    return fail("ask Docker for", id, EINVAL, "not a container id");
  }
  // filters={"id":["<id>"]}
  const auto answer =
      http_.get("/containers/json?all=1&filters=%7B%22id%22%3A%5B%22" + id + "%22%5D%7D", timeout_, stop);
  if (!answer) {
    return std::unexpected(explain(answer.error()));
  }
  if (answer->status != kOk) {
    return std::unexpected(refused(*answer));
  }
  auto facts = read_docker_list(answer->body, id);
  return facts ? std::move(facts) : std::unexpected(explain(facts.error()));
}

Result<std::optional<Container>> DockerApi::inspect(const CgroupPath& path, const std::stop_token& stop) {
  const std::string& id = path.container_id;
  if (!is_container_id(id)) {
    return fail("ask Docker for", id, EINVAL, "not a container id");
  }
  constexpr std::chrono::milliseconds kPatience{250};
  const auto answer = http_.get("/containers/" + id + "/json", std::min(timeout_, kPatience), stop);
  if (!answer) {
    return std::unexpected(explain(answer.error()));
  }
  if (answer->status == kNotFound && read_docker_message(answer->body).find("o such container") != std::string::npos) {
    return std::nullopt;
  }
  if (answer->status != kOk) {
    return std::unexpected(refused(*answer));
  }
  auto facts = read_docker_inspect(answer->body, id);
  if (!facts) {
    return std::unexpected(explain(facts.error()));
  }
  return std::optional(std::move(*facts));
}

}  // namespace memcrest
