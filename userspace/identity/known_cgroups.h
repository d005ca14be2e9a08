// SPDX-License-Identifier: Apache-2.0
// The book of cgroups by id: their paths, the container that each belongs to, and tombstones of removed ones. Bounded
// in entries and in bytes. Not thread-safe: the resolver locks.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "identity/cgroup_path.h"
#include "memcrest/incident.h"

namespace memcrest {

// One container, shared by its own cgroup and all sub-cgroups.
struct KnownContainer {
  CgroupPath path;          // what the path of its own cgroup tells
  Container container;      // what is known by now
  std::size_t live = 0;     // of its cgroups, those that exist
  std::size_t entries = 0;  // tombstones included

  // Another live cgroup carries the same id, or the container's record names another one: whoever was given a cgroup of
  // his own can make one of any name. Only sources that check the cgroup are asked for it.
  std::string doubt;  // in words; empty: none

  // How far asking the runtime has come; the resolver's business.
  bool pending = false;  // the answer is still open
  bool settled = false;  // named, or known to be nobody's
  unsigned tries = 0;    // since it was first asked for, or since it last failed for good
  unsigned failures = 0;
  bool asking = false;                                // a look-up waits or runs
  bool outdated = false;                              // something changed since the last one began
  bool inspect_queued = false;                        // an inspection waits
  unsigned beginning = 0;                             // sources that were just beginning, and will be asked again
  std::chrono::steady_clock::time_point ask_again{};  // not before, after a failure
};

class KnownCgroups {
 public:
  struct Entry {
    std::string path;                           // empty: looked for and not found
    std::shared_ptr<KnownContainer> container;  // null outside containers
    std::optional<std::uint64_t> removed_ns;
    std::uint64_t generation = 0;
    std::optional<ContainerCandidate> candidate;  // it may be a container's although its path does not say so
    bool undecided = false;                       // whether it is, is being found out: the resolver's business
  };

  KnownCgroups(std::size_t max_entries, std::chrono::nanoseconds tombstone_age);

  // Enters a live cgroup, or one that was looked for in vain (`path` empty: a tombstone from the start). Null when the
  // book is full of live ones. `fresh` tells whether this id was not live before under this path.
  struct Added {
    Entry* entry = nullptr;
    bool fresh = false;
  };
  Added add(std::uint64_t id, const std::string& path, std::uint64_t now_ns);
  // A candidate turned out to be a container's. Null: it is not known any more, or has one.
  std::shared_ptr<KnownContainer> settle(std::uint64_t id, CgroupPath path);
  void remove(std::uint64_t id, std::uint64_t now_ns);
  [[nodiscard]] Entry* find(std::uint64_t id);
  // Of the cgroup at a path: the live one, else the one that went last. Looks at all of them.
  [[nodiscard]] std::optional<std::uint64_t> id_of(const std::string& path) const;
  // By the container's id of 64 digits; null: never seen, or forgotten.
  [[nodiscard]] std::shared_ptr<KnownContainer> container(const std::string& id) const;
  // Those that have a live cgroup.
  [[nodiscard]] std::vector<std::shared_ptr<KnownContainer>> living() const;
  [[nodiscard]] bool full() const;
  // Forgets tombstones older than their age.
  void prune(std::uint64_t now_ns);

  // A scan of the tree begins; what is added from now on is not judged by it.
  std::uint64_t begin_generation() { return ++generation_; }
  // Everything from before `generation` that `existing` lacks has gone without our being told.
  void keep_only(const std::unordered_set<std::uint64_t>& existing, std::uint64_t generation, std::uint64_t now_ns);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Tombstone {
    std::uint64_t removed_ns;
    std::uint64_t id;
  };

  bool make_room(std::size_t path_bytes);
  void erase(std::unordered_map<std::uint64_t, Entry>::iterator it);
  void drop_oldest(std::deque<Tombstone>& among);
  void bury(std::deque<Tombstone>& among, std::uint64_t id, std::uint64_t now_ns);
  void join(Entry& entry, CgroupPath path);

  std::size_t max_entries_;
  std::uint64_t tombstone_age_ns_;
  std::uint64_t generation_ = 0;
  std::size_t path_bytes_ = 0;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::unordered_map<std::string, std::weak_ptr<KnownContainer>> containers_;  // by the path of its own cgroup
  std::unordered_map<std::string, std::weak_ptr<KnownContainer>> by_id_;       // the first that lives
  // Oldest first; one whose entry lives again is void.
  std::deque<Tombstone> tombstones_;
  std::deque<Tombstone> vain_;  // looked for and not found: apart, since there may be many, and they push out no names
};

}  // namespace memcrest
