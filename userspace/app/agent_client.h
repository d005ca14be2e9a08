// SPDX-License-Identifier: Apache-2.0
// Asks a running agent over its HTTP API. The agent is not trusted to be alive, honest or small.
#pragma once

#include <string>

#include "app/options.h"
#include "identity/http_answer.h"
#include "identity/kubernetes_settings.h"
#include "util/result.h"

namespace memcrest {

// GET, on a connection of its own each time: three seconds, 64 MiB at most. One thread at a time.
class AgentClient {
 public:
  // Errors: an address that is none; plain HTTP to another host; certificates that cannot be read.
  [[nodiscard]] static Result<AgentClient> make(const AgentAddress& address);
  // The body of a 200. ENOENT: the agent does not know the target; EACCES: it wants a token.
  [[nodiscard]] Result<std::string> get(const std::string& target) const;

 private:
  [[nodiscard]] Result<HttpAnswer> over_tcp(const std::string& target) const;

  std::string socket_;  // empty: endpoint_
  KubernetesEndpoint endpoint_;
  std::string token_file_;
};

}  // namespace memcrest
