// SPDX-License-Identifier: Apache-2.0
// Why an incident happened and what to do about it, with the evidence that judging it needs beyond its own. Plain
// values; the JSON form is docs/incident.schema.json, the words are explained in docs/verdict.md. Optional means "not
// known", never zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace memcrest {

enum class Cause {
  kUnknown,
  kLimitTooSmallForBurst,
  kLeak,
  kGrowthToPlateau,
  kPageCache,
  kTmpfs,
  kKernelMemory,
  kManyProcesses,
  kRuntimeHeapVsLimit,
  kAncestorLimit,
  kHostExhausted,
  kSwapFull,
  kCpuset,
  kMempolicy,
  kLimitLowered,
  kAskedFor,  // sysrq-f
  // Of ends by a signal, without any OOM:
  kStoppedByRuntime,
  kStoppedByServiceManager,
  kEarlyOomKiller,  // systemd-oomd, earlyoom, oomd: before the kernel's
  kKilledFromHost,
  kKilledWithin,  // by a process of the same container
  kKilledByKernel,
  kCrashed,
  kAborted,
};

[[nodiscard]] const char* to_string(Cause cause);

struct JudgedCause {
  Cause cause = Cause::kUnknown;
  double confidence = 0;  // 0..1
  std::vector<std::string> reasons_for;
  std::vector<std::string> reasons_against;  // what speaks against it, and what is missing to be surer
};

struct Verdict {
  std::vector<JudgedCause> causes;  // likeliest first, never empty
  std::string text;                 // two or three sentences
};

enum class CompositionSource {
  kKernelLog,  // memory.stat of the cgroup that was full, as the kernel printed it at the kill
  kVictims,    // what the hook read of the victims' resident memory; the rest is by difference
  kGrowth,     // shares of the growth that steps saw
};
[[nodiscard]] const char* to_string(CompositionSource source);

struct CompositionPart {
  std::string name;  // "anon", "file" (without shmem), "shmem", "slab", "kernel", "other", ...
  std::uint64_t bytes = 0;
};

// What the memory was, at the kill.
struct Composition {
  CompositionSource source = CompositionSource::kVictims;
  std::optional<std::uint64_t> total_bytes;  // what is divided; nullopt: not known
  std::vector<CompositionPart> parts;        // heaviest first, disjoint
};

// How the floors of usage, the lowest values between peaks, moved before an incident's last rise.
struct FloorTrend {
  double window_ms = 0;      // looked back so far
  std::uint64_t floors = 0;  // so many, of equal spans of time
  std::uint64_t first_bytes = 0;
  std::uint64_t last_bytes = 0;
  double slope_bytes_per_s = 0;      // Theil-Sen: the median of the slopes between all pairs
  double p_value = 1;                // Mann-Kendall, one-sided: the chance of such a rise where there is none
  bool rising = false;               // significantly, and by more than noise
  bool levelling = false;            // it rose, and its second half rises by clearly less than the first
  std::uint64_t falls = 0;           // times that usage fell noticeably in the window: work came and went
  bool from_start = false;           // the window begins with the cgroup's own beginning
  bool with_rise = false;            // the window goes up to the kill: the rise takes up most of what is known
  std::optional<double> horizon_ms;  // until the limit, if the rise goes on like this
};

// A setting that bounds a program's memory, or multiplies it, from its command line or its environment.
struct RuntimeSetting {
  std::uint32_t pid = 0;
  std::string comm;
  std::string name;                    // "-Xmx", "GOMEMLIMIT", "workers"
  std::string value;                   // as written: letters, digits, '.' and '%' only
  std::optional<std::uint64_t> bytes;  // what it allows, where it is a size
  std::string from = {};               // the variable of the environment; empty: the command line
};

// How many processes shared the memory, from the kernel log's list.
struct ProcessCount {
  std::uint64_t count = 0;
  std::uint64_t largest_bytes = 0;  // resident, of the largest
  std::uint64_t total_bytes = 0;    // resident, of all; shared pages count in each
};

struct AdviceLine {
  std::string tool;  // "docker update", "docker run", "compose", "kubernetes", "ecs", "podman", "quadlet", "systemd"
  std::string text;  // ready to be used; may be several lines
};

struct Advice {
  std::string text;
  std::optional<std::uint64_t> needed_bytes;  // what the limit has to hold, without margin; nullopt: it was never seen
  bool needed_estimated = false;              // true: beyond what was seen, see text
  std::optional<std::uint64_t> limit_bytes;   // rounded up; nullopt: a limit is not the answer
  bool limit_guessed = false;                 // nothing tells the need: one to try, to see the peak then
  std::uint32_t margin_percent = 0;
  std::vector<AdviceLine> lines;
};

}  // namespace memcrest
