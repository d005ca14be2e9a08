// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_cache.h"

#include <algorithm>
#include <utility>

namespace memcrest {
namespace {

constexpr std::size_t kOverhead = 64;  // of an entry in a table, about

Container facts_of(const KubernetesContainer& container) {
  Container facts{.runtime = container.runtime, .id = container.id, .name = container.name, .image = container.image};
  facts.memory_request_bytes = container.memory_request_bytes;
  facts.memory_limit_bytes = container.memory_limit_bytes;
  facts.state = container.state;
  return facts;
}

// Of the one before, only its end is told: it may have had another image and other limits.
Container previous_facts_of(const KubernetesContainer& container) {
  Container facts{.runtime = container.runtime, .id = container.previous_id, .name = container.name};
  facts.state = container.previous_state;
  return facts;
}

}  // namespace

void KubernetesCache::change(const std::function<void()>& what) {
  {
    const std::lock_guard lock(mutex_);
    what();
    ++changes_;
  }
  changed_.notify_all();
}

std::size_t KubernetesCache::bytes_of(const Entry& entry) const {
  const Pod& pod = entry.pod;
  std::size_t bytes = sizeof(Entry) + kOverhead + 2 * pod.uid.size() + pod.name.size() + pod.name_space.size() +
                      pod.qos.size() + 2 * entry.config_hash.size();
  for (const auto& [key, value] : pod.labels) {
    bytes += 2 * kOverhead + key.size() + value.size();
  }
  if (pod.owner) {
    bytes += pod.owner->kind.size() + pod.owner->name.size();
  }
  for (const std::string& id : entry.ids) {
    const Known& known = containers_.at(id);
    bytes += sizeof(Known) + 2 * kOverhead + 3 * id.size() + known.pod_uid.size() + known.facts.name.size() +
             known.facts.image.size() + (known.facts.state ? known.facts.state->reason.size() : 0);
  }
  return bytes;
}

void KubernetesCache::put(KubernetesPod pod, TimePoint now) {
  change([&] {
    prune(now);
    const std::string uid = pod.pod.uid;
    Entry& entry = entries_[uid];
    entry.pod = std::move(pod.pod);
    entry.gone.reset();
    entry.generation = generation_;
    forget_hash(entry);
    entry.config_hash = std::move(pod.config_hash);
    learn_hash(entry);
    put_containers(entry, pod.containers, now);
    const std::size_t before = std::exchange(entry.bytes, bytes_of(entry));
    bytes_ = bytes_ - before + entry.bytes;
    if (!make_room(uid)) {
      ++state_.left_out;
      erase(entries_.find(uid));
    }
  });
}

void KubernetesCache::put_containers(Entry& entry, const std::vector<KubernetesContainer>& containers, TimePoint now) {
  for (const std::string& id : entry.ids) {
    auto& gone = containers_.at(id).gone;
    gone = gone.value_or(now);
  }
  for (const KubernetesContainer& container : containers) {
    if (!container.previous_id.empty()) {
      put_container(entry, container.previous_id, previous_facts_of(container));
    }
    if (!container.id.empty()) {
      put_container(entry, container.id, facts_of(container));
    }
  }
  forget_past(entry, now);
}

void KubernetesCache::put_container(Entry& entry, const std::string& id, Container facts) {
  const auto [at, fresh] = containers_.try_emplace(id);
  Known& known = at->second;
  if (fresh) {
    known.pod_uid = entry.pod.uid;
    entry.ids.push_back(id);
  } else if (known.pod_uid != entry.pod.uid) {
    return;  // ids are never shared: whoever says so is not believed
  }
  known.gone.reset();
  if (fresh || !facts.image.empty()) {
    known.facts = std::move(facts);
  } else {
    known.facts.state = std::move(facts.state);
  }
}

// Containers that were started again long ago, or too often to keep them all.
void KubernetesCache::forget_past(Entry& entry, TimePoint now) {
  const auto is_past = [&](const std::string& id) { return containers_.at(id).gone.has_value(); };
  auto past = static_cast<std::size_t>(std::ranges::count_if(entry.ids, is_past));
  std::erase_if(entry.ids, [&](const std::string& id) {
    const auto known = containers_.find(id);
    const auto gone = known->second.gone;
    if (!gone || (past <= limits_.past_containers && now - *gone <= limits_.tombstone_age)) {
      return false;
    }
    --past;
    containers_.erase(known);
    return true;
  });
}

void KubernetesCache::remove(const std::string& uid, TimePoint now) {
  change([&] {
    const auto entry = entries_.find(uid);
    if (entry != entries_.end() && !entry->second.gone) {
      entry->second.gone = now;
    }
    prune(now);
  });
}

void KubernetesCache::begin_list() {
  change([&] { ++generation_; });
}

void KubernetesCache::end_list(TimePoint now) {
  change([&] {
    for (auto& [uid, entry] : entries_) {
      if (entry.generation != generation_ && !entry.gone) {
        entry.gone = now;
      }
    }
    prune(now);
    state_.listed = true;
  });
}

void KubernetesCache::set_available() {
  change([&] { state_.available = true; });
}

void KubernetesCache::set_unavailable(std::string why) {
  change([&] {
    state_.available = false;
    state_.why_not = std::move(why);
  });
}

// Drops tombstones, those that went first first. False: there are none left to drop, and it is still too much.
bool KubernetesCache::make_room(const std::string& keep) {
  while (entries_.size() > limits_.pods || bytes_ > limits_.bytes) {
    auto oldest = entries_.end();
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (at->second.gone && at->first != keep &&
          (oldest == entries_.end() || *at->second.gone < *oldest->second.gone)) {
        oldest = at;
      }
    }
    if (oldest == entries_.end()) {
      return false;
    }
    erase(oldest);
  }
  return true;
}

void KubernetesCache::erase(Entries::iterator entry) {
  const Entry& going = entry->second;
  for (const std::string& id : going.ids) {
    containers_.erase(id);
  }
  forget_hash(going);
  bytes_ -= going.bytes;
  entries_.erase(entry);
}

// The annotation is anybody's to write: of two pods that claim one configuration, the one that came first and is still
// there keeps it.
void KubernetesCache::learn_hash(const Entry& entry) {
  if (entry.config_hash.empty()) {
    return;
  }
  std::string& uid = uids_[entry.config_hash];
  const auto holder = entries_.find(uid);
  if (holder == entries_.end() || holder->second.gone) {
    uid = entry.pod.uid;
  }
}

void KubernetesCache::forget_hash(const Entry& entry) {
  const auto hash = uids_.find(entry.config_hash);
  if (hash != uids_.end() && hash->second == entry.pod.uid) {
    uids_.erase(hash);
  }
}

void KubernetesCache::prune(TimePoint now) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    if (at->second.gone && now - *at->second.gone > limits_.tombstone_age) {
      erase(at);
    }
    at = next;
  }
}

const KubernetesCache::Entry* KubernetesCache::entry_of(const std::string& pod_uid) const {
  auto entry = entries_.find(pod_uid);
  if (entry == entries_.end()) {
    const auto hash = uids_.find(pod_uid);
    entry = hash == uids_.end() ? entry : entries_.find(hash->second);
  }
  return entry == entries_.end() ? nullptr : &entry->second;
}

std::optional<Container> KubernetesCache::find(const std::string& container_id, const std::string& pod_uid) const {
  const std::lock_guard lock(mutex_);
  const auto known = containers_.find(container_id);
  if (known != containers_.end()) {
    const Entry& entry = entries_.at(known->second.pod_uid);
    if (!pod_uid.empty() && pod_uid != entry.pod.uid && pod_uid != entry.config_hash) {
      return std::nullopt;
    }
    Container out = known->second.facts;
    out.pod = entry.pod;
    return out;
  }
  const Entry* const entry = pod_uid.empty() ? nullptr : entry_of(pod_uid);
  if (entry == nullptr) {
    return std::nullopt;
  }
  Container out;
  out.pod = entry->pod;
  return out;
}

KubernetesCache::State KubernetesCache::state() const {
  const std::lock_guard lock(mutex_);
  State state = state_;
  state.pods = entries_.size();
  state.bytes = bytes_;
  return state;
}

std::uint64_t KubernetesCache::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

bool KubernetesCache::wait_for_change(std::uint64_t seen, TimePoint until, const std::stop_token& stop) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, stop, until, [&] { return changes_ != seen; });
}

}  // namespace memcrest
