// SPDX-License-Identifier: Apache-2.0
// The kernel side's table of memory breakpoints: lines on cgroups, and who was caught at one. It lives in the kernel,
// so a second process that holds it can disarm it, and find whom to let go, after the first one is gone.
#pragma once

#include <cstdint>
#include <vector>

#include "memcrest/event.h"
#include "probe/loader.h"
#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

struct BreakpointLine {
  std::uint64_t cgroup_id = 0;
  std::uint64_t bytes = 0;   // usage at or above
  std::uint32_t signal = 0;  // for the process that charges; 0: none
  bool each = false;         // for every process that charges beyond it, not for the first alone
};

// A process that a line's signal was sent to, or that was entered with note().
struct CaughtProcess {
  std::uint64_t cgroup_id = 0;  // of the line
  ProcessKey process;
  std::uint32_t signal = 0;
  bool each = false;
};

class BreakpointTable {
 public:
  // Of a probe that was loaded with LoadSettings::breakpoints. Keeps descriptors of its own.
  [[nodiscard]] static Result<BreakpointTable> of(const LoadedProbe& probe);

  // The same table in another process: the descriptors of all_descriptors(), in this order.
  [[nodiscard]] static BreakpointTable of(Fd lines, Fd hits, Fd slots, unsigned page_shift);

  // Sets the line, or moves it; whoever was caught at it before can be caught again after release(). Charges that run
  // at this very moment may still miss it: call refresh() a moment later.
  [[nodiscard]] Result<void> arm(const BreakpointLine& line);
  // Another place for a line that was not reached yet; false: it was, or there is none, and it stays as it is.
  [[nodiscard]] Result<bool> move(std::uint64_t cgroup_id, std::uint64_t bytes);
  // Makes every CPU look at the lines at its next charge.
  void refresh() const;
  void disarm(std::uint64_t cgroup_id) const;
  void disarm_all() const;

  // Enters a process that userspace is about to stop for this line: whoever cleans up finds it. One that could not be
  // entered must not be stopped.
  [[nodiscard]] Result<void> note(const CaughtProcess& one) const;
  [[nodiscard]] std::vector<CaughtProcess> caught() const;
  // Of these, whoever may stand still.
  [[nodiscard]] std::vector<ProcessKey> stopped() const;
  // Forgets one that was let go.
  void release(const CaughtProcess& one) const;

  // What a process that is to clean up must keep open.
  [[nodiscard]] std::vector<int> descriptors() const { return {lines_.get(), hits_.get()}; }
  [[nodiscard]] std::vector<int> all_descriptors() const { return {lines_.get(), hits_.get(), slots_.get()}; }
  [[nodiscard]] unsigned page_shift() const { return page_shift_; }

 private:
  BreakpointTable() = default;
  Fd lines_;
  Fd hits_;
  Fd slots_;
  unsigned page_shift_ = 12;
};

}  // namespace memcrest
