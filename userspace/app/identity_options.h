// SPDX-License-Identifier: Apache-2.0
// Who is asked for the names of containers: the part of the command line that all verbs with containers share.
#pragma once

#include <chrono>
#include <string>

#include "identity/kubernetes_settings.h"
#include "identity/resolver.h"
#include "util/result.h"

namespace CLI {
class App;
}

namespace memcrest {

struct IdentityOptions {
  std::string docker_socket;  // empty: not asked
  std::string podman_socket;  // root's; empty: nobody's Podman is asked
  bool bundles = true;
  // Empty server: in a pod, what its service account gives; elsewhere nobody is asked.
  KubernetesSettings kubernetes;
  bool use_kubernetes = true;
  std::chrono::nanoseconds keep_removed{std::chrono::minutes(10)};
};

// Adds the options and sets the defaults that the environment gives.
void add_identity(CLI::App& app, IdentityOptions& options);

// EINVAL when the settings of Kubernetes cannot be.
[[nodiscard]] Result<ResolverSettings> resolver_settings(const IdentityOptions& options);

}  // namespace memcrest
