// SPDX-License-Identifier: Apache-2.0
// From a cgroup id to a container's name. Look-ups start when a cgroup appears and run on a thread of their own, so a
// slow runtime never stalls the collector. Removed cgroups stay known for a while (tombstones).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "identity/cgroup_tree.h"
#include "identity/engine_stream.h"
#include "identity/inquiry.h"
#include "identity/kubernetes_cache.h"
#include "identity/kubernetes_settings.h"
#include "identity/podman_api.h"
#include "memcrest/clock.h"
#include "memcrest/surroundings.h"

namespace memcrest {

// Who is asked, in this order; each adds to what the ones before it told.
struct ResolverSettings {
  // Where OCI bundles are looked for, on disk and through the containers' processes. nullopt: nowhere.
  std::optional<SystemRoot> bundles;
  // Docker's API socket. Empty: do not ask.
  std::string docker_socket = "/var/run/docker.sock";
  PodmanApi::Sockets podman{.root = {}, .user_runtime_dirs = {}};
  std::optional<KubernetesEndpoint> kubernetes;
  // Follow the event streams of Docker and of root's Podman: what the runtime says of a container's end is read then,
  // and a daemon that is back is asked at once.
  bool follow_events = false;
  std::chrono::milliseconds api_timeout{2000};  // for one whole request, connect to last byte
  std::chrono::nanoseconds tombstone_age{std::chrono::minutes(10)};
  std::size_t max_known = 65536;  // cgroups kept, tombstones included; the oldest tombstones go first
};

class Resolver {
 public:
  Resolver(CgroupTree tree, const Clock& clock, const ResolverSettings& settings);
  ~Resolver();  // stops the thread; waits no longer than one request's time-out
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // All cgroups that exist now. Call once, after lifecycle hooks are attached, so that none slips between.
  void scan();
  // Any thread; never blocks on a runtime. `path` must be whole: of a cgroup whose path was cut only the id is of use,
  // and find() looks for it.
  void appeared(std::uint64_t cgroup_id, const std::string& path);
  void removed(std::uint64_t cgroup_id);
  // What is known now. An id never seen is looked for in the tree once (rate-limited), then stays unknown. The main
  // process (init_pid) follows about a second after the name: until a start is over Docker does not tell it. Copies the
  // labels: cheap enough for each incident, not for each step.
  [[nodiscard]] Identity find(std::uint64_t cgroup_id);
  // The cgroup that has this path, or had it last; where none is known, what the path alone tells (id 0). For sources
  // that know no ids.
  [[nodiscard]] Identity find_path(const std::string& path);
  // What the runtime said last of the container that this cgroup is part of, or was; cheaper than find.
  [[nodiscard]] std::optional<RuntimeState> runtime_state(std::uint64_t cgroup_id) const;
  // As find, but waits at most `limit` for a pending look-up; `for_all`: until all sources have answered, not only
  // until there is a name.
  [[nodiscard]] Identity wait(std::uint64_t cgroup_id, std::chrono::milliseconds limit, bool for_all = false);
  // How the runtimes' event streams fare; empty when none is followed. Any thread, as the next.
  [[nodiscard]] std::vector<EngineStream> streams() const;
  // How often each source of names was asked, and failed.
  [[nodiscard]] std::vector<LookupCount> look_ups() const;
  // How the Kubernetes API fares; nothing when it is not asked.
  [[nodiscard]] std::optional<KubernetesCache::State> kubernetes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace memcrest
