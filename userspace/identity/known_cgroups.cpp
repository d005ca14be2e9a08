// SPDX-License-Identifier: Apache-2.0
#include "identity/known_cgroups.h"

namespace memcrest {
namespace {

// A container may create cgroups of its own, with names of 255 bytes in any depth: bound what they cost us in memory.
constexpr std::size_t kMaxPathBytes = 16U << 20U;
constexpr std::size_t kMaxPathLength = 4096;
// Of containers that come and go by the dozen each second the last half minute is enough: a tombstone takes 2 KiB.
constexpr std::size_t kMaxTombstones = 1024;

void put_in_doubt(KnownContainer& container, const std::string& other_path) {
  container.doubt = container.container.unknown_reason = "another cgroup carries the same container id: " + other_path;
  container.settled = false;
}

}  // namespace

KnownCgroups::KnownCgroups(std::size_t max_entries, std::chrono::nanoseconds tombstone_age)
    : max_entries_(max_entries), tombstone_age_ns_(static_cast<std::uint64_t>(tombstone_age.count())) {}

KnownCgroups::Added KnownCgroups::add(std::uint64_t id, const std::string& path, std::uint64_t now_ns) {
  const auto known = entries_.find(id);
  if (known != entries_.end()) {
    if (known->second.path == path && !known->second.removed_ns) {
      known->second.generation = generation_;
      return {&known->second, false};
    }
    erase(known);  // the id is used again, or its path is known at last
  }
  if (!make_room(path.size())) {
    return {};
  }
  Entry entry{.path = path, .generation = generation_};
  if (path.empty()) {
    entry.removed_ns = now_ns;
    bury(vain_, id, now_ns);
  } else {
    CgroupPath parsed = parse_cgroup_path(path);
    if (parsed.container_id.empty()) {
      entry.candidate = std::move(parsed.candidate);
    } else {
      join(entry, std::move(parsed));
    }
  }
  path_bytes_ += path.size();
  return {&entries_.emplace(id, std::move(entry)).first->second, true};
}

std::shared_ptr<KnownContainer> KnownCgroups::settle(std::uint64_t id, CgroupPath path) {
  Entry* const entry = find(id);
  if (entry == nullptr || entry->container || path.container_id.empty()) {
    return nullptr;
  }
  join(*entry, std::move(path));
  return entry->container;
}

void KnownCgroups::remove(std::uint64_t id, std::uint64_t now_ns) {
  Entry* const entry = find(id);
  if (entry == nullptr || entry->removed_ns) {
    return;
  }
  entry->removed_ns = now_ns;
  if (entry->container) {
    --entry->container->live;
  }
  bury(tombstones_, id, now_ns);
}

void KnownCgroups::bury(std::deque<Tombstone>& among, std::uint64_t id, std::uint64_t now_ns) {
  among.push_back({now_ns, id});
  while (among.size() > kMaxTombstones) {
    drop_oldest(among);
  }
}

KnownCgroups::Entry* KnownCgroups::find(std::uint64_t id) {
  const auto known = entries_.find(id);
  return known == entries_.end() ? nullptr : &known->second;
}

std::optional<std::uint64_t> KnownCgroups::id_of(const std::string& path) const {
  std::optional<std::uint64_t> best;
  std::uint64_t best_removed_ns = 0;
  for (const auto& [id, entry] : entries_) {
    if (entry.path != path) {
      continue;
    }
    if (!entry.removed_ns) {
      return id;
    }
    if (!best || *entry.removed_ns > best_removed_ns) {
      best = id;
      best_removed_ns = *entry.removed_ns;
    }
  }
  return best;
}

std::shared_ptr<KnownContainer> KnownCgroups::container(const std::string& id) const {
  const auto known = by_id_.find(id);
  auto first = known == by_id_.end() ? nullptr : known->second.lock();
  if (!first || first->doubt.empty()) {
    return first;
  }
  // A forged one came first.
  for (const auto& [path, weak] : containers_) {
    if (auto other = weak.lock(); other && other->doubt.empty() && other->path.container_id == id) {
      return other;
    }
  }
  return nullptr;
}

std::vector<std::shared_ptr<KnownContainer>> KnownCgroups::living() const {
  std::vector<std::shared_ptr<KnownContainer>> out;
  for (const auto& [id, weak] : containers_) {
    if (auto container = weak.lock(); container && container->live > 0) {
      out.push_back(std::move(container));
    }
  }
  return out;
}

bool KnownCgroups::full() const {
  return tombstones_.empty() && vain_.empty() && (entries_.size() >= max_entries_ || path_bytes_ >= kMaxPathBytes);
}

void KnownCgroups::prune(std::uint64_t now_ns) {
  for (auto* const among : {&tombstones_, &vain_}) {
    while (!among->empty() && now_ns >= among->front().removed_ns &&
           now_ns - among->front().removed_ns >= tombstone_age_ns_) {
      drop_oldest(*among);
    }
  }
}

void KnownCgroups::keep_only(const std::unordered_set<std::uint64_t>& existing, std::uint64_t generation,
                             std::uint64_t now_ns) {
  std::vector<std::uint64_t> gone;  // what is removed may push others out
  for (const auto& [id, entry] : entries_) {
    if (!entry.removed_ns && entry.generation < generation && !existing.contains(id)) {
      gone.push_back(id);
    }
  }
  for (const std::uint64_t id : gone) {
    remove(id, now_ns);
  }
}

bool KnownCgroups::make_room(std::size_t path_bytes) {
  if (path_bytes > kMaxPathLength) {
    return false;
  }
  const auto fits = [&] { return entries_.size() < max_entries_ && path_bytes_ + path_bytes <= kMaxPathBytes; };
  for (auto* const among : {&vain_, &tombstones_}) {
    while (!fits() && !among->empty()) {
      drop_oldest(*among);
    }
  }
  return fits();
}

void KnownCgroups::erase(std::unordered_map<std::uint64_t, Entry>::iterator it) {
  Entry& entry = it->second;
  path_bytes_ -= entry.path.size();
  if (entry.container) {
    if (!entry.removed_ns) {
      --entry.container->live;
    }
    if (--entry.container->entries == 0) {
      containers_.erase(entry.container->path.container_path);
      const auto named = by_id_.find(entry.container->path.container_id);
      if (named != by_id_.end() && named->second.lock() == entry.container) {
        by_id_.erase(named);
      }
    }
  }
  entries_.erase(it);
}

void KnownCgroups::drop_oldest(std::deque<Tombstone>& among) {
  const Tombstone oldest = among.front();
  among.pop_front();
  const auto it = entries_.find(oldest.id);
  if (it != entries_.end() && it->second.removed_ns == oldest.removed_ns) {
    erase(it);
  }
}

void KnownCgroups::join(Entry& entry, CgroupPath path) {
  std::weak_ptr<KnownContainer>& slot = containers_[path.container_path];
  entry.container = slot.lock();
  if (!entry.container) {
    std::weak_ptr<KnownContainer>& first = by_id_[path.container_id];
    const auto other = first.lock();
    entry.container = std::make_shared<KnownContainer>();
    entry.container->container = container_from_path(path);
    if (other && other->live > 0 && is_container_id(path.container_id)) {
      put_in_doubt(*entry.container, other->path.container_path);
      if (other->container.name.empty()) {  // nor is it known which of the two is the real one
        put_in_doubt(*other, path.container_path);
      }
    } else {
      first = entry.container;
    }
    entry.container->path = std::move(path);
    slot = entry.container;
  }
  ++entry.container->entries;
  entry.container->live += entry.removed_ns ? 0 : 1;
}

}  // namespace memcrest
