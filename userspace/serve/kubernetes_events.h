// SPDX-License-Identifier: Apache-2.0
// Incidents as Events on their pods, where kubectl describe shows them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "identity/kubernetes_settings.h"
#include "memcrest/clock.h"
#include "memcrest/incident.h"
#include "serve/delivery.h"

namespace memcrest {

// So many for one pod at once, and one more each `refill`: a pod that loops must not fill the cluster's store.
struct EventRate {
  std::uint32_t burst = 5;
  std::chrono::nanoseconds refill{std::chrono::minutes(5)};
};

// By pod, with a bound on pods: the one that was quiet longest is forgotten.
class EventLimiter {
 public:
  explicit EventLimiter(const EventRate& rate) : rate_(rate) {}
  // How many were left out for this pod since the last that was let through; nullopt: this one is left out as well.
  [[nodiscard]] std::optional<std::uint64_t> admit(const std::string& pod_uid, std::uint64_t boot_ns);

 private:
  static constexpr std::size_t kMaxPods = 1024;
  struct Bucket {
    double tokens = 0;
    std::uint64_t seen_ns = 0;
    std::uint64_t left_out = 0;
  };
  EventRate rate_;
  std::map<std::string, Bucket> buckets_;
};

// The Event of an incident; nullopt: it is about no pod, or its names are none that the API would take. `left_out`: of
// this pod before.
struct EventRequest {
  std::string target;  // path of the API to POST to
  std::string body;
};
[[nodiscard]] std::optional<EventRequest> pod_event(const Incident& incident, const std::string& node,
                                                    std::uint64_t left_out);

// Each incident once: its name is made of the incident's id, so that one that is sent again is there already.
[[nodiscard]] std::unique_ptr<Receiver> make_kubernetes_events(const KubernetesEndpoint& endpoint, const Clock& clock,
                                                               const EventRate& rate = {});

}  // namespace memcrest
