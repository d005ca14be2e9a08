// SPDX-License-Identifier: Apache-2.0
// The pods of this node as the Kubernetes API last told them, by container id and by pod uid. What has gone stays for a
// while: an incident may ask for a container that ended a moment ago. Bounded in pods and in bytes. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "identity/kubernetes_json.h"

namespace memcrest {

struct KubernetesCacheLimits {
  std::size_t pods = 2048;  // tombstones included; a node runs 110 by default
  std::size_t bytes = std::size_t{8} << 20U;
  std::size_t past_containers = 32;  // of one pod
  std::chrono::nanoseconds tombstone_age = std::chrono::minutes(10);
};

class KubernetesCache {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit KubernetesCache(KubernetesCacheLimits limits = {}) : limits_(limits) {}

  // A pod was added or changed.
  void put(KubernetesPod pod, TimePoint now);
  void remove(const std::string& uid, TimePoint now);
  // A list of all pods begins; put() each of them, then end_list(): those that it lacked have gone.
  void begin_list();
  void end_list(TimePoint now);
  // The pods can (not) be had at present; `why` is for whoever asks meanwhile.
  void set_available();
  void set_unavailable(std::string why);

  // The container as far as it is known: with a name, or the pod's facts only if the kubelet has not told the container
  // yet. Nothing: no such pod. `pod_uid` is the cgroup's: for a static pod the hash of its configuration. A container
  // that is known, but under another pod, is not told.
  [[nodiscard]] std::optional<Container> find(const std::string& container_id, const std::string& pod_uid) const;

  // What is known of whether the pods are there at all.
  struct State {
    bool listed = false;         // at least once
    bool available = false;      // and kept up to date at present
    std::string why_not;         // the last failure; empty until there was one
    std::size_t pods = 0;        // tombstones included
    std::size_t bytes = 0;       // that all of it takes, about
    std::uint64_t left_out = 0;  // pods for which there was no room
  };
  [[nodiscard]] State state() const;

  // Waits until something changes, `until`, or `stop`. False: nothing changed.
  [[nodiscard]] bool wait_for_change(std::uint64_t seen, TimePoint until, const std::stop_token& stop) const;
  // Counts changes: take it before find().
  [[nodiscard]] std::uint64_t changes() const;

 private:
  struct Known {  // a container by its id
    Container facts;
    std::string pod_uid;
    std::optional<TimePoint> gone;  // the pod tells another id since
  };
  struct Entry {
    Pod pod;
    std::string config_hash;
    std::vector<std::string> ids;  // of its containers, oldest first
    std::optional<TimePoint> gone;
    std::uint64_t generation = 0;
    std::size_t bytes = 0;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  void change(const std::function<void()>& what);
  [[nodiscard]] std::size_t bytes_of(const Entry& entry) const;
  [[nodiscard]] const Entry* entry_of(const std::string& pod_uid) const;
  void put_container(Entry& entry, const std::string& id, Container facts);
  void put_containers(Entry& entry, const std::vector<KubernetesContainer>& containers, TimePoint now);
  void forget_past(Entry& entry, TimePoint now);
  void learn_hash(const Entry& entry);
  void forget_hash(const Entry& entry);
  bool make_room(const std::string& keep);
  void erase(Entries::iterator entry);
  void prune(TimePoint now);

  KubernetesCacheLimits limits_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  Entries entries_;                                    // by uid
  std::unordered_map<std::string, std::string> uids_;  // a static pod's, by the hash of its configuration
  std::unordered_map<std::string, Known> containers_;  // by id
  std::size_t bytes_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t changes_ = 0;
  State state_;
};

// It was tried, and the pods cannot be had at present.
[[nodiscard]] inline bool is_away(const KubernetesCache::State& state) {
  return !state.available && !state.why_not.empty();
}

}  // namespace memcrest
