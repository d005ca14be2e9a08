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
  bool count_charges = false;         // tests and benchmarks
  std::vector<std::string> disabled;  // programs not to be used, by name
};

// One counter block per record type, summed over CPUs; index is MEMCREST_REC_*.
using RecordCounters = std::vector<memcrest_counters>;

class LoadedProbe {
 public:
  // `features` is corrected where a program fell out while loading.
  [[nodiscard]] static Result<std::unique_ptr<LoadedProbe>> load(const LoadSettings& settings, Features& features);
  ~LoadedProbe();
  LoadedProbe(const LoadedProbe&) = delete;
  LoadedProbe& operator=(const LoadedProbe&) = delete;

  // Hooks start to fire here, lifecycle first so that no cgroup slips between. Call once.
  [[nodiscard]] Result<void> attach(Features& features);

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

}  // namespace memcrest
