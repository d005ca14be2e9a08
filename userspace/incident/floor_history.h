// SPDX-License-Identifier: Apache-2.0
// The floors of each memory cgroup's usage, the lowest values between peaks, over as long a time as it is followed: in
// at most 64 spans, which grow longer together. Bounded; pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "memcrest/verdict.h"

namespace memcrest {

// Theil-Sen and Mann-Kendall over floors at equal distances. `noise_bytes`: a rise below it is none.
[[nodiscard]] FloorTrend estimate_trend(const std::vector<std::uint64_t>& floors, double span_ms,
                                        std::uint64_t noise_bytes);

class FloorHistory {
 public:
  void created(std::uint64_t cgroup_id, std::uint64_t time_ns);
  void removed(std::uint64_t cgroup_id);
  void add(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t usage_bytes);
  // Floors before `until_ns`, where the rise that is asked about begins; nullopt: too little is known.
  [[nodiscard]] std::optional<FloorTrend> trend(std::uint64_t cgroup_id, std::uint64_t until_ns,
                                                std::optional<std::uint64_t> limit_bytes) const;

 private:
  struct Track {
    std::uint64_t begin_ns = 0;
    std::uint64_t span_ns = 0;
    std::vector<std::uint64_t> floors;  // of the spans from begin_ns on; the last one is open
    std::uint64_t last_bytes = 0;
    std::uint64_t high_bytes = 0;  // since the last fall
    std::uint64_t falls = 0;
    bool from_start = false;
  };
  Track& track(std::uint64_t cgroup_id, std::uint64_t time_ns);
  static void extend(Track& one, std::uint64_t time_ns);

  std::unordered_map<std::uint64_t, Track> tracks_;
  std::deque<std::uint64_t> order_;  // oldest first
  std::deque<std::uint64_t> gone_;   // these go first
};

}  // namespace memcrest
