// SPDX-License-Identifier: Apache-2.0
// Containers as they go on: what `memcrest top` and the live page show of each at one moment. Plain values; a row's
// JSON form is that of docs/ps.schema.json with a member `live`. Optional means "not known", never zero.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/container_memory.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"

namespace memcrest {

// Seconds that a row looks back.
inline constexpr std::size_t kLiveSeconds = 60;

struct LiveRow {
  ContainerMemory memory;                 // usage and peak are as of the last step where that is newer
  std::uint64_t peak_interval_bytes = 0;  // highest since the look before this one, however short it was
  bool peak_interval_exact = false;       // the kernel's own mark; otherwise at most one quantum too low
  std::vector<std::uint64_t> history;     // highest of each of the last seconds, oldest first; at most kLiveSeconds
  double growth_bytes_per_s = 0;          // over the last ten seconds; negative: it shrank
  double stall_ms = 0;                    // of the last minute, spent in reclaim, summed over tasks
  std::uint64_t bursts = 0;               // told since the watch began
  std::uint64_t incidents = 0;            // of any kind, likewise
  std::string kind;   // what most of its memory is: "anon", "file", "shmem", "kernel"; empty: unknown
  bool gone = false;  // its cgroup was removed less than a minute ago
};

struct LiveSnapshot {
  std::uint64_t boot_ns = 0;
  std::int64_t unix_ns = 0;
  std::string charge_tier;
  std::string oom_tier;
  LossCount lost;
  std::vector<std::string> notes;  // in words: what is known to be missing
  std::vector<LiveRow> rows;
};

// One point of a usage curve.
struct LivePoint {
  std::uint64_t time_ns = 0;  // since boot
  std::uint64_t usage_bytes = 0;
  std::uint64_t high_bytes = 0;  // highest between the point before and this one
};

// What is known of one container beyond its row.
struct LiveDetail {
  LiveRow row;
  std::vector<LivePoint> points;                           // oldest first, each step that is still remembered
  bool cut = false;                                        // older ones of the last minutes had to be forgotten
  std::vector<Contributor> growers;                        // heaviest first, of what grew since the watch began
  std::vector<KindShare> kinds;                            // likewise
  std::vector<std::shared_ptr<const Incident>> incidents;  // newest first
};

}  // namespace memcrest
