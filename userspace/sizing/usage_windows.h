// SPDX-License-Identifier: Apache-2.0
// The usage of one cgroup from its steps: its peak in each window of time, and its exact peak by the kernel's own mark.
// Between two steps usage stays what it was, to less than a quantum. Bounded, pure.
#pragma once

#include <cstdint>
#include <optional>

#include "memcrest/event.h"
#include "sizing/window_peaks.h"

namespace memcrest {

struct UsageSeen {
  WindowPeaks peaks;
  std::uint64_t observed_ns = 0;
  std::uint64_t highest_bytes = 0;  // that steps and samples told, or the mark, where it rose
  std::uint64_t mark_bytes = 0;     // the kernel's: the highest usage since the cgroup exists
  bool mark_rose = false;           // while it was observed: highest_bytes is exact
  std::uint64_t slack_bytes = 0;    // by which the mark may have risen since it was told last
};

class UsageWindows {
 public:
  explicit UsageWindows(std::uint64_t window_ns) : window_ns_(window_ns) {}

  // The cgroup was made just now, so that its mark is its own from the first byte on.
  void begin(std::uint64_t time_ns);
  void add(const StepEvent& step);
  // Ignored before the first step.
  void add(const SampleEvent& sample);
  // A mark that was read otherwise, at the end or at an incident.
  void mark(std::uint64_t watermark_bytes);
  [[nodiscard]] std::uint64_t last_ns() const { return now_ns_; }
  // Up to `time_ns`. Call once, last.
  [[nodiscard]] UsageSeen end(std::uint64_t time_ns, std::optional<std::uint64_t> last_mark);

 private:
  void advance(std::uint64_t time_ns);
  void use(std::uint64_t usage_bytes);

  std::uint64_t window_ns_;
  UsageSeen seen_;
  bool begun_ = false;
  bool mark_known_ = false;
  std::uint64_t begin_ns_ = 0;
  std::uint64_t now_ns_ = 0;
  std::uint64_t window_ = 0;  // number of the current one
  std::uint64_t usage_ = 0;
  std::uint64_t peak_ = 0;  // of the current window
  bool used_ = false;       // something happened in it
};

}  // namespace memcrest
