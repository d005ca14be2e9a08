// SPDX-License-Identifier: Apache-2.0
// Loads and attaches the kernel side. A program that this kernel refuses after all lowers the tier; it never aborts
// the rest. Detaches and frees everything when destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "memcrest/abi/state.h"
#include "memcrest/event_source.h"
#include "probe/features.h"
#include "util/result.h"

namespace memcrest {

struct LoadSettings {
  std::optional<std::uint64_t> step_bytes;      // unset: max(1 MiB, limit / 128)
  std::size_t critical_ring_bytes = 1U << 20U;  // powers of two, at least a page
  std::size_t bulk_ring_bytes = 2U << 20U;
  std::uint32_t max_steps_per_window = 2000;  // per memory cgroup and 100 ms
  bool stacks = true;
  bool copy_stacks = false;    // user stacks along with steps, where Features::stack_copies
  bool count_charges = false;  // tests and benchmarks
  bool breakpoints = false;    // lines can be set on memory cgroups (breakpoint_table.h)
  TierWish tiers;
};

// One counter block per record type, summed over CPUs; index is MEMCREST_REC_*.
using RecordCounters = std::vector<memcrest_counters>;

class LoadedProbe {
 public:
  // `features` is corrected where a program fell out while loading. An error that no lower rung can help.
  [[nodiscard]] static Result<std::unique_ptr<LoadedProbe>> load(const LoadSettings& settings, Features& features);
  ~LoadedProbe();
  LoadedProbe(const LoadedProbe&) = delete;
  LoadedProbe& operator=(const LoadedProbe&) = delete;

  // Hooks start to fire here, lifecycle first so that no cgroup slips between. Call once.
  [[nodiscard]] Result<void> attach(Features& features);

  // Follows failed charges only while limits are being met: attaches that program when one was, lets go of it after
  // half a minute without. Call every now and then; cheap when nothing changes. One thread, that of the reader.
  void tend(std::uint64_t now_ns);
  // Since when failed charges are being followed; nullopt: they are not. Before that, failures went unseen.
  [[nodiscard]] std::optional<std::uint64_t> failures_since() const;
  // How many charges of a memory cgroup failed since then, records or not. nullopt: none.
  [[nodiscard]] std::optional<std::uint64_t> failures_of(std::uint64_t serial) const;

  // For BreakpointTable; -1 unless LoadSettings::breakpoints.
  [[nodiscard]] int lines_fd() const;
  [[nodiscard]] int hits_fd() const;
  [[nodiscard]] int slots_fd() const;
  [[nodiscard]] unsigned page_shift() const;
  // This process as the kernel's first pid namespace numbers it, by which all records name processes.
  [[nodiscard]] std::uint32_t own_tgid() const;

  [[nodiscard]] int critical_ring_fd() const;
  [[nodiscard]] int bulk_ring_fd() const;

  // Thread-safe: one system call each.
  [[nodiscard]] RecordCounters counters() const;
  [[nodiscard]] memcrest_stats stats() const;
  [[nodiscard]] LossCount loss() const;
  // The highest usage of a memory cgroup (css.serial_nr) that any hook saw since it was attached, in bytes: exact at
  // every charge, whatever happened to the records. nullopt: not followed, or gone.
  [[nodiscard]] std::optional<std::uint64_t> peak_bytes(std::uint64_t serial) const;

 private:
  struct Impl;
  explicit LoadedProbe(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What the verifier did with one program, loaded alone: the time that a load takes, and the room left below its limit
// of a million. `instructions` is 0 where the kernel refused it, with its reason in `error`.
struct ProgramCost {
  std::string program;
  std::uint64_t instructions = 0;  // processed, all paths together
  std::string error;
};
// For every available hook, whatever the tier. Slow; for benchmarks and tests.
[[nodiscard]] Result<std::vector<ProgramCost>> measure_programs(const Features& features,
                                                                const LoadSettings& settings = {});

}  // namespace memcrest
