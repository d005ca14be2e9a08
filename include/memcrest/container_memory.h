// SPDX-License-Identifier: Apache-2.0
// What the kernel's own files say of the memory of one cgroup, at one moment, with the container that it belongs to.
// Plain values; the JSON form is docs/ps.schema.json. Optional means "not known", never zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/container.h"
#include "memcrest/incident.h"

namespace memcrest {

// The lowest limit that holds for a cgroup: its own, or that of a cgroup around it.
struct EffectiveLimit {
  std::uint64_t bytes = 0;
  std::string cgroup_path;                   // whose limit it is; where several are equal, the innermost
  std::optional<std::uint64_t> usage_bytes;  // of that cgroup: others may fill it too
};

struct MemoryFigures {
  std::optional<std::uint64_t> usage_bytes;          // all that is charged, page cache included
  std::optional<std::uint64_t> inactive_file_bytes;  // of it, files that were not read lately
  std::optional<std::uint64_t> anon_bytes;           // of it, by memory.stat; not part of the JSON form
  std::optional<std::uint64_t> file_bytes;           // without shmem
  std::optional<std::uint64_t> shmem_bytes;
  std::optional<std::uint64_t> peak_bytes;  // highest usage since the cgroup exists, to the page
  bool limit_known = false;
  std::optional<std::uint64_t> limit_bytes;  // its own; nullopt although limit_known: it has none
  bool effective_known = false;  // every limit above could be read; otherwise a lower one may be out of sight
  std::optional<EffectiveLimit> effective;
  std::optional<Swap> swap;                // nullopt: swap is not accounted here; without limit_bytes: no limit
  std::optional<std::uint64_t> oom_kills;  // processes that the OOM killer took here and below
  std::vector<std::string> gaps;           // in words, why something is not known

  // What `docker stats` and `kubectl top` call usage.
  [[nodiscard]] std::optional<std::uint64_t> working_set_bytes() const {
    if (!usage_bytes || !inactive_file_bytes) {
      return std::nullopt;
    }
    return *usage_bytes > *inactive_file_bytes ? *usage_bytes - *inactive_file_bytes : 0;
  }
  // The working set as a part of the effective limit; nullopt: no limit, or not known. A limit of 0 is full.
  [[nodiscard]] std::optional<double> share_of_limit() const {
    const auto working_set = working_set_bytes();
    if (!working_set || !effective) {
      return std::nullopt;
    }
    return effective->bytes == 0 ? 1.0 : static_cast<double>(*working_set) / static_cast<double>(effective->bytes);
  }
};

enum class CgroupKind { kContainer, kUnit, kOther };
[[nodiscard]] const char* to_string(CgroupKind kind);  // "container", "unit", "cgroup"

struct ContainerMemory {
  CgroupKind kind = CgroupKind::kContainer;
  CgroupRef cgroup;
  Container container;  // of a cgroup inside a container: that one's
  MemoryFigures figures;
};

}  // namespace memcrest
