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
  std::string podman_socket;  // root's; empty: not asked
  bool users_podman = true;   // each user's own, for that user's containers
  bool bundles = true;
  // Empty server: in a pod, what its service account gives; elsewhere nobody is asked.
  KubernetesSettings kubernetes;
  bool use_kubernetes = true;
  std::chrono::nanoseconds keep_removed{std::chrono::minutes(10)};
};

// Adds the options and sets the defaults that the environment gives.
void add_identity(CLI::App& app, IdentityOptions& options);

// Only the sockets of Docker and of root's Podman.
void add_engine_sockets(CLI::App& app, IdentityOptions& options);

// Of this process. To be asked before there are threads.
[[nodiscard]] const char* process_environment(const char* name);

// EINVAL when the settings of Kubernetes that were given cannot be. Those that any pod has, in `environment` and
// `service_account`, only cause a note.
[[nodiscard]] Result<ResolverSettings> resolver_settings(
    const IdentityOptions& options, const Environment& environment = process_environment,
    const std::string& service_account = std::string(kServiceAccountFolder));

}  // namespace memcrest
