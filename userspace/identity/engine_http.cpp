// SPDX-License-Identifier: Apache-2.0
#include "identity/engine_http.h"

#include "identity/docker_json.h"

namespace memcrest {
namespace {

constexpr int kOk = 200;
constexpr int kNotFound = 404;

bool is_redirect(int status) { return status >= 300 && status < 400; }

}  // namespace

EngineHttp::EngineHttp(std::string name, std::string socket_path, std::optional<uid_t> owner)
    : name_(std::move(name)), http_(std::move(socket_path), HttpLimits{}, owner) {}

Error EngineHttp::explain(const Error& error) const {
  if (error.code == ENOENT) {
    return Error{"no " + name_ + " socket at", http_.socket_path(), ENOENT, {}};
  }
  return Error{"ask " + name_ + " at", http_.socket_path(), error.code, error.detail};
}

Error EngineHttp::refused(const HttpAnswer& answer) const {
  std::string why = "answered " + std::to_string(answer.status);
  if (is_redirect(answer.status)) {
    why += ", a redirect, which is not followed";
  }
  const std::string message = read_docker_message(answer.body);
  return explain(Error{{}, {}, EPROTO, message.empty() ? why : why + ": " + message});
}

Result<std::optional<std::string>> EngineHttp::get(const std::string& target, std::chrono::milliseconds timeout,
                                                   const std::stop_token& stop) const {
  auto answer = http_.get(target, timeout, stop);
  if (!answer) {
    return std::unexpected(explain(answer.error()));
  }
  // Docker: "No such container: ...", Podman: "... no such container".
  if (answer->status == kNotFound && read_docker_message(answer->body).find("o such container") != std::string::npos) {
    return std::nullopt;
  }
  if (answer->status != kOk) {
    return std::unexpected(refused(*answer));
  }
  return std::move(answer->body);
}

}  // namespace memcrest
