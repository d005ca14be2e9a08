// SPDX-License-Identifier: Apache-2.0
// The parts of which burst detection is made: the lowest usage in a sliding window, and who grew a cgroup. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "incident/usage_history.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"

namespace memcrest {

// The lowest usage that was in force at any time of the last `window_ns`. Amortised constant time per point.
class SlidingMinimum {
 public:
  explicit SlidingMinimum(std::uint64_t window_ns) : window_ns_(window_ns) {}
  void add(const UsagePoint& point);
  void restart(const UsagePoint& point);
  [[nodiscard]] bool empty() const { return rising_.empty(); }
  [[nodiscard]] const UsagePoint& lowest() const { return rising_.front().point; }

 private:
  std::uint64_t window_ns_;
  // Points whose usage is lower than all later ones. Each holds until the point that came after it in the full series.
  struct Held {
    UsagePoint point;
    std::uint64_t until_ns;
  };
  std::deque<Held> rising_;
};

// A piece of growth, and what is known of its origin.
struct Growth {
  const TaskInfo* task = nullptr;  // nullptr: nobody can be blamed for these bytes
  std::uint64_t bytes = 0;
  bool page_cache = false;
  MemoryKind kind = MemoryKind::kUnknown;
  const std::vector<std::uint64_t>* user_stack = nullptr;
  const std::vector<std::uint64_t>* kernel_stack = nullptr;
};

// Growth by process, kind of memory and call stack, for the last while. Bounded: of many different stacks the later
// ones are not kept.
class GrowthLedger {
 public:
  void add(std::uint64_t time_ns, const Growth& growth);
  void forget_before(std::uint64_t time_ns);
  void clear();  // gives the memory back
  // The heaviest since `time_ns`; shares are of all growth, that of nobody included.
  [[nodiscard]] std::vector<Contributor> since(std::uint64_t time_ns) const;
  // How much of the growth since `time_ns` came from filling the page cache.
  [[nodiscard]] std::uint64_t page_cache_since(std::uint64_t time_ns) const;
  // Heaviest first; empty when no step told of any.
  [[nodiscard]] std::vector<KindShare> kinds_since(std::uint64_t time_ns) const;
  // Heaviest first; empty where each process grew by one thread of its own name.
  [[nodiscard]] std::vector<ThreadPool> threads_since(std::uint64_t time_ns) const;
  // Heaviest first. Growth whose stack was not kept comes without addresses.
  [[nodiscard]] std::vector<StackGrowth> stacks_since(std::uint64_t time_ns) const;
  [[nodiscard]] std::uint64_t total_since(std::uint64_t time_ns) const;

 private:
  struct Origin {
    std::vector<std::uint64_t> user_stack;
    std::vector<std::uint64_t> kernel_stack;
    auto operator<=>(const Origin&) const = default;
  };
  using Origins = std::map<Origin, std::size_t>;  // with the number of lines that refer to each
  struct Line {
    std::uint64_t time_ns;
    ProcessKey process;  // tgid 0: nobody
    std::uint32_t tid;
    std::string comm;
    std::string thread_comm;
    std::uint64_t bytes;
    std::uint64_t page_cache_bytes;
    MemoryKind kind;
    Origins::iterator origin;  // end(): none
  };
  [[nodiscard]] Origins::iterator keep(const Growth& growth);
  void drop_first();

  std::deque<Line> lines_;
  Origins origins_;
};

}  // namespace memcrest
