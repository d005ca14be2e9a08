// SPDX-License-Identifier: Apache-2.0
#include "app/identity_options.h"

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string_view>

#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

// DOCKER_HOST when it names a unix socket, else the usual place.
std::string default_docker_socket() {
  constexpr std::string_view kUnix = "unix://";
  const char* host = process_environment("DOCKER_HOST");
  if (host != nullptr && std::string_view(host).starts_with(kUnix)) {
    return std::string(host).substr(kUnix.size());
  }
  return "/var/run/docker.sock";
}

void add_text(CLI::App& app, const char* name, std::string& target, const char* help, const char* type) {
  app.add_option(name, target, help)->type_name(type)->group("Containers");
}

void add_keep_removed(CLI::App& app, std::chrono::nanoseconds& target) {
  app.add_option_function<std::string>(
         "--keep-removed",
         [&target](const std::string& text) {
           const auto duration = parse_duration(text);
           if (!duration) {
             throw CLI::ValidationError("--keep-removed", duration.error().message());
           }
           if (*duration < std::chrono::seconds(1) || *duration > std::chrono::hours(24)) {
             throw CLI::ValidationError("--keep-removed", "must lie between 1s and 24h");
           }
           target = *duration;
         },
         "Remember containers so long after they are gone (default: 10m)")
      ->type_name("DURATION")
      ->group("Containers");
}

}  // namespace

const char* process_environment(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
}

void add_engine_sockets(CLI::App& app, IdentityOptions& options) {
  options.docker_socket = default_docker_socket();
  options.podman_socket = PodmanApi::Sockets{}.root;
  add_text(app, "--docker-socket", options.docker_socket,
           "Docker's API socket; an empty value asks nobody (default: $DOCKER_HOST or /var/run/docker.sock)", "PATH");
  add_text(app, "--podman-socket", options.podman_socket,
           "Podman's API socket of root; an empty value does not ask it (default: /run/podman/podman.sock)", "PATH");
}

void add_identity(CLI::App& app, IdentityOptions& options) {
  add_engine_sockets(app, options);
  const auto text = [&](const char* name, std::string& target, const char* help, const char* type) {
    add_text(app, name, target, help, type);
  };
  app.add_flag_callback(
         "--no-user-podman", [&options] { options.users_podman = false; },
         "Do not ask users' own Podmans, each at /run/user/UID/podman/podman.sock for that user's containers")
      ->group("Containers");
  app.add_flag_callback(
         "--no-bundles", [&options] { options.bundles = false; },
         "Do not read the OCI bundles that runtimes keep on disk")
      ->group("Containers");
  text("--kubernetes-server", options.kubernetes.server,
       "Kubernetes API: https://HOST:PORT, or http:// on this machine (default: in a pod, the cluster's)", "URL");
  text("--kubernetes-ca", options.kubernetes.ca_file, "Certificates to trust for it, PEM", "FILE");
  text("--kubernetes-token", options.kubernetes.token_file, "File with the bearer token for it", "FILE");
  text("--kubernetes-node", options.kubernetes.node, "This node's name there (default: $NODE_NAME)", "NAME");
  app.add_flag_callback(
         "--no-kubernetes", [&options] { options.use_kubernetes = false; }, "Do not ask the Kubernetes API")
      ->group("Containers");
  add_keep_removed(app, options.keep_removed);
}

Result<ResolverSettings> resolver_settings(const IdentityOptions& options, const Environment& environment,
                                           const std::string& service_account) {
  ResolverSettings out;
  out.docker_socket = options.docker_socket;
  out.podman = PodmanApi::Sockets{.root = options.podman_socket};
  if (!options.users_podman) {
    out.podman.user_runtime_dirs.clear();
  }
  if (options.bundles) {
    out.bundles = SystemRoot{};
  }
  out.tombstone_age = std::chrono::duration_cast<std::chrono::seconds>(options.keep_removed);
  if (!options.use_kubernetes) {
    return out;
  }
  const KubernetesSettings& given = options.kubernetes;
  const bool anything_given = !given.server.empty() || !given.ca_file.empty() || !given.token_file.empty();
  std::optional<KubernetesSettings> found = in_cluster_settings(environment, service_account);
  if (given.server.empty() && !found) {
    return anything_given ? Result<ResolverSettings>(fail("ask the Kubernetes API", {}, EINVAL,
                                                          "this is no pod: --kubernetes-server is needed"))
                          : Result<ResolverSettings>(std::move(out));
  }
  KubernetesSettings kubernetes = given.server.empty() ? *found : given;
  const auto prefer = [](std::string& target, const std::string& mine) { target = mine.empty() ? target : mine; };
  prefer(kubernetes.ca_file, given.ca_file);
  prefer(kubernetes.token_file, given.token_file);
  prefer(kubernetes.node, given.node);
  if (const char* node = environment("NODE_NAME"); kubernetes.node.empty() && node != nullptr) {
    kubernetes.node = node;
  }
  auto endpoint = check_kubernetes_settings(kubernetes);
  if (endpoint) {
    out.kubernetes = std::move(*endpoint);
  } else if (anything_given) {
    return std::unexpected(endpoint.error());
  } else {  // nobody asked for it: any pod has these settings
    spdlog::info("note: the Kubernetes API is not asked: {}", escape_terminal(endpoint.error().message()));
  }
  return out;
}

}  // namespace memcrest
