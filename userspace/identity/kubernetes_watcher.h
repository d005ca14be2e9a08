// SPDX-License-Identifier: Apache-2.0
// Keeps the cache of this node's pods up to date: lists them, then watches for changes, and begins anew when the
// connection breaks or the API has forgotten where we were. On a thread of its own, with growing and random pauses, so
// that the agents of a thousand nodes do not all come back in the same second. Only reads: pods, get/list/watch.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>

#include "identity/kubernetes_cache.h"
#include "identity/kubernetes_settings.h"
#include "identity/tls_connection.h"

namespace memcrest {

struct KubernetesTimes {
  std::chrono::milliseconds answer{10'000};  // from connect to the answer's head
  std::chrono::milliseconds list{60'000};    // the whole list
  std::chrono::milliseconds watch{300'000};  // then it is asked for anew, with the token of that time
  std::chrono::milliseconds line{30'000};    // from the first byte of an event to its last
  std::chrono::milliseconds first_pause{1000};
  std::chrono::milliseconds longest_pause{60'000};
};

class KubernetesWatcher {
 public:
  // Begins at once. `cache` must outlive it.
  KubernetesWatcher(KubernetesEndpoint endpoint, KubernetesCache& cache, KubernetesTimes times = {});
  // Stops without waiting for the API.
  ~KubernetesWatcher() = default;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  void run(const std::stop_token& token);
  Result<void> list(const StopEvent& stop);
  Result<void> watch(const StopEvent& stop);
  Result<void> read_page(const std::string& target, TimePoint deadline, const StopEvent& stop, std::string& next);
  Result<void> follow(JsonStream& events, TimePoint end, TimePoint& deadline);
  Result<void> apply(PodEvent event);
  void take(KubernetesPod pod);
  [[nodiscard]] std::string pods_of_node() const;
  [[nodiscard]] std::chrono::milliseconds pause();

  KubernetesEndpoint endpoint_;
  KubernetesCache& cache_;
  KubernetesTimes times_;
  std::string version_;      // where the next watch begins; empty: list first
  bool from_store_ = false;  // the next list must not come from the API server's own cache
  TimePoint listed_{};
  bool progress_ = false;  // since then an event has come
  unsigned failures_ = 0;  // in a row
  std::minstd_rand random_;
  std::jthread thread_;  // last: everything else is there before it and after it
};

}  // namespace memcrest
