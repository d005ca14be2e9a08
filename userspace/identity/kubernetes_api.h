// SPDX-License-Identifier: Apache-2.0
// What the Kubernetes API knows of this node's containers: pod, labels, owner, requests and limits, restarts, how the
// last one ended. Answers come from a cache that a thread of its own keeps up to date; who asks waits for a pod that is
// just being told, and never for the network.
#pragma once

#include <chrono>
#include <string>

#include "identity/container_source.h"
#include "identity/kubernetes_cache.h"
#include "identity/kubernetes_watcher.h"

namespace memcrest {

struct KubernetesOptions {
  KubernetesCacheLimits cache;
  KubernetesTimes times;
  std::chrono::milliseconds patience{500};  // for a pod that is not there yet
};

class KubernetesApi final : public ContainerSource {
 public:
  // Begins to list and watch at once.
  explicit KubernetesApi(KubernetesEndpoint endpoint, KubernetesOptions options = {});

  [[nodiscard]] Runtime runtime() const override { return Runtime::kUnknown; }
  [[nodiscard]] const char* name() const override { return "Kubernetes"; }
  [[nodiscard]] bool tells_of_pods() const override { return true; }
  // For every container of a pod: nobody else knows the pod's labels and owner.
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override;

  // What is known now; of a container that the kubelet has not reported yet (some seconds after its start), and of a
  // pod's sandbox, which it never reports, only the pod, and unknown_reason. Waits for the pod for `patience` at most,
  // and for half of the time at most when many are asked for in vain. EINPROGRESS: the pods are being listed for the
  // first time; EAGAIN: they cannot be had at present, with the reason.
  [[nodiscard]] Result<std::optional<Container>> look_up(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;
  // As look_up, without waiting. EAGAIN: nothing is known.
  [[nodiscard]] Result<std::optional<Container>> inspect(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;

  // Are the pods there, and are they kept up to date? Thread-safe.
  [[nodiscard]] KubernetesCache::State state() const { return cache_.state(); }

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  [[nodiscard]] Error unavailable(const std::string& why, int code) const;

  std::string peer_;
  std::chrono::milliseconds patience_;
  TimePoint wait_from_{};  // no waiting before
  KubernetesCache cache_;
  KubernetesWatcher watcher_;  // after the cache, which it fills
};

}  // namespace memcrest
