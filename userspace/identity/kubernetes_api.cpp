// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_api.h"

#include <utility>

namespace memcrest {

using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr const char* kNotReported = "the kubelet has not reported the container yet";
constexpr const char* kNotListed = "the pods have not been listed yet";

}  // namespace

KubernetesApi::KubernetesApi(KubernetesEndpoint endpoint, KubernetesOptions options)
    : peer_(endpoint.authority()),
      patience_(options.patience),
      cache_(options.cache),
      watcher_(std::move(endpoint), cache_, options.times) {}

bool KubernetesApi::may_add(const CgroupPath& path, const Container& /*known*/) const {
  // Podman's pods are its own.
  return path.runtime != Runtime::kPodman && !path.pod_uid.empty() && is_container_id(path.container_id);
}

Error KubernetesApi::unavailable(const std::string& why, int code) const {
  return Error{"ask Kubernetes at", peer_, code, why};
}

Result<std::optional<Container>> KubernetesApi::look_up(const CgroupPath& path, const std::stop_token& stop) {
  const TimePoint begin = SteadyClock::now();
  const TimePoint until = begin + patience_;
  while (true) {
    const std::uint64_t seen = cache_.changes();
    auto found = cache_.find(path.container_id, path.pod_uid);
    if (found) {
      found->unknown_reason = found->name.empty() ? kNotReported : "";
      return found;
    }
    const KubernetesCache::State state = cache_.state();
    if (is_away(state)) {
      return std::unexpected(unavailable(state.why_not, EAGAIN));
    }
    const TimePoint now = SteadyClock::now();
    if (now < wait_from_ || now >= until || stop.stop_requested()) {
      wait_from_ = now >= until ? now + patience_ : wait_from_;
      return state.listed ? Result<std::optional<Container>>(std::nullopt)
                          : std::unexpected(unavailable(kNotListed, EINPROGRESS));
    }
    ignore_result(cache_.wait_for_change(seen, until, stop));
  }
}

Result<std::optional<Container>> KubernetesApi::inspect(const CgroupPath& path, const std::stop_token& /*stop*/) {
  auto found = cache_.find(path.container_id, path.pod_uid);
  if (found) {
    found->unknown_reason = found->name.empty() ? kNotReported : "";
  } else {
    const KubernetesCache::State state = cache_.state();
    if (!state.listed && state.why_not.empty()) {
      return std::unexpected(unavailable(kNotListed, EINPROGRESS));
    }
    return std::unexpected(unavailable(state.why_not.empty() ? std::string(kNotReported) : state.why_not, EAGAIN));
  }
  return found;
}

}  // namespace memcrest
