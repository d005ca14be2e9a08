// SPDX-License-Identifier: Apache-2.0
// Whose memory it was: the cgroups of a recording by id and serial, with what people call them. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "memcrest/container.h"

namespace memcrest {

struct ExportedCgroup {
  std::uint64_t cgroup_id = 0;
  std::uint64_t serial = 0;  // 0: not known
  std::string path;          // empty: unknown
  Container container;       // no id: none, or not known
  std::string label;         // never empty: the container's name, its pod's before it, or the path, or the id
};

// The name of a container, "namespace/pod/name" in a pod; of others the path, or "cgroup 4711". May hold any byte.
[[nodiscard]] std::string label_of(const ExportedCgroup& cgroup);

class ExportedCgroups {
 public:
  // Of one cgroup that is listed several times, the best known counts. Labels are made here.
  explicit ExportedCgroups(std::vector<ExportedCgroup> listed);

  // A cgroup that is not listed is only its id. References are good until the next call.
  [[nodiscard]] const ExportedCgroup& find(std::uint64_t cgroup_id, std::uint64_t serial);
  // The one that has had this id last, as far as find() has been asked.
  [[nodiscard]] const ExportedCgroup& find(std::uint64_t cgroup_id);
  [[nodiscard]] const std::vector<ExportedCgroup>& all() const { return listed_; }

 private:
  struct Hash {
    std::size_t operator()(const std::pair<std::uint64_t, std::uint64_t>& key) const {
      return std::hash<std::uint64_t>()(key.first * 0x9e3779b97f4a7c15ULL ^ key.second);
    }
  };
  std::vector<ExportedCgroup> listed_;
  std::unordered_map<std::pair<std::uint64_t, std::uint64_t>, std::size_t, Hash> by_key_;
  std::unordered_map<std::uint64_t, std::size_t> by_id_;
  ExportedCgroup unlisted_;
};

}  // namespace memcrest
