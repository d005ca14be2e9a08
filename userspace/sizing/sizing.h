// SPDX-License-Identifier: Apache-2.0
// What was seen of a container's memory, and the limit that follows from it. Plain values; the JSON form is
// docs/advise.schema.json, the words are explained in docs/advise.md. Optional means "not known", never zero.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/container.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/verdict.h"
#include "sizing/window_peaks.h"

namespace memcrest {

// What is put together.
enum class SizingBy { kContainer, kImage, kWorkload };
[[nodiscard]] const char* to_string(SizingBy by);

struct SizingSettings {
  std::chrono::nanoseconds window{std::chrono::minutes(1)};
  std::uint32_t margin_percent = 20;
  SizingBy by = SizingBy::kContainer;
  bool all = false;  // cgroups that are no container, and pod sandboxes, too
};

// So many windows at least before "too large" or "fine" is said of a limit.
inline constexpr std::uint64_t kLeastWindows = 10;

// OOM kills by the container's own limit.
struct SizedOoms {
  std::uint64_t own = 0;                       // OOMs, not victims
  std::uint64_t elsewhere = 0;                 // by a limit above it, of the machine, or that somebody asked for
  std::uint64_t limit_bytes = 0;               // the highest limit that was hit
  std::optional<std::uint64_t> needed_bytes;   // as estimated at the kill; nullopt: the kill hid it
  std::optional<std::uint64_t> guessed_bytes;  // a limit to try, where that is all that is known
  std::optional<double> cache_share;           // of what was held at the last of them, page cache; nullopt: not known
};

// All that was seen of one container, or of those that are put together.
struct SizedUsage {
  Container container;  // of the one seen last, as `cgroup`
  CgroupRef cgroup;
  std::string label;             // never empty; may hold any byte
  std::uint64_t containers = 0;  // that were put together; of one, its restarts are not counted
  bool limit_known = false;
  std::optional<std::uint64_t> limit_bytes;  // the last one; nullopt: none, or not known
  bool limits_differ = false;                // among those put together, or over time
  std::uint64_t limit_ns = 0;                // since boot, when it was told
  std::uint64_t peak_bytes = 0;              // in what was observed
  bool peak_exact = false;                   // the kernel's own mark rose to it; otherwise it is a lower bound
  std::uint64_t mark_bytes = 0;              // the kernel's mark, which may be from before; 0: not known
  std::uint64_t slack_bytes = 0;             // by which it may have risen since
  WindowPeaks peaks;
  std::uint64_t observed_ns = 0;  // all of them together
  std::uint64_t grown_bytes = 0;  // growth that steps saw, of which the kind of memory is known
  std::uint64_t cache_bytes = 0;  // of that: page cache, which the kernel drops when it needs room
  std::uint64_t reclaim_ns = 0;   // that its tasks waited for reclaim
  std::uint64_t suppressed = 0;   // steps that were left out by the rate limit
  SizedOoms ooms;
  std::optional<double>
      leak_confidence;    // of the verdict on an OOM or a burst; nullopt: of none was it the first cause
  std::string leak_text;  // that verdict's words

  [[nodiscard]] std::optional<double> cache_share() const {
    return grown_bytes == 0 ? std::nullopt
                            : std::optional(static_cast<double>(cache_bytes) / static_cast<double>(grown_bytes));
  }
};

// In the order in which they want to be looked at.
enum class SizeClass { kTooSmall, kLeaking, kTight, kUnlimited, kWasteful, kUnknown, kFine };
[[nodiscard]] const char* to_string(SizeClass size_class);

struct OtherLimit {
  enum class Kind { kStep, kCurrent, kAdvised };
  std::uint64_t bytes = 0;
  Kind kind = Kind::kStep;
  // In which more was in use; nullopt: nobody knows, since the limit of an OOM was never exceeded in sight.
  std::optional<std::uint64_t> windows_above;
};
[[nodiscard]] const char* to_string(OtherLimit::Kind kind);

struct Sizing {
  SizedUsage usage;
  SizeClass size_class = SizeClass::kUnknown;
  std::optional<std::uint64_t> needed_bytes;  // what a limit has to hold, without margin
  bool needed_estimated = false;              // beyond what was seen, from what it asked for when it was killed
  std::optional<std::uint64_t> advised_bytes;
  bool advised_guessed = false;                // one to try: the need was never seen
  std::optional<std::uint64_t> request_bytes;  // for Kubernetes
  std::vector<std::string> reasons;
  std::vector<OtherLimit> other_limits;  // smallest first
  std::vector<AdviceLine> lines;
};

struct SizingReport {
  SizingSettings settings;
  std::string host;
  std::string charge_tier;
  bool live = false;
  std::uint64_t recordings = 0;
  std::optional<std::int64_t> begin_unix_ns, end_unix_ns;
  LossCount lost;
  std::vector<std::string> gaps;   // why it is not whole
  std::vector<std::string> notes;  // what it was meant to hold, where that is not everything
  std::vector<Sizing> sizings;     // what wants action first
  std::uint64_t left_out = 0;      // cgroups that there was no room for
};

}  // namespace memcrest
