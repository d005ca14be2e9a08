// SPDX-License-Identifier: Apache-2.0
#include "sizing/usage_windows.h"

#include <algorithm>

#include "incident/saturating.h"

namespace memcrest {

void UsageWindows::begin(std::uint64_t time_ns) {
  begun_ = true;
  mark_known_ = true;
  begin_ns_ = now_ns_ = time_ns;
}

// Records that were overtaken count where the newest one stands.
void UsageWindows::advance(std::uint64_t time_ns) {
  if (!begun_) {
    begun_ = true;
    begin_ns_ = now_ns_ = time_ns;
  }
  now_ns_ = std::max(now_ns_, time_ns);
  const std::uint64_t number = (now_ns_ - begin_ns_) / window_ns_;
  if (number > window_) {
    seen_.peaks.add(peak_);
    seen_.peaks.add(usage_, number - window_ - 1);  // where nothing happened
    window_ = number;
    peak_ = usage_;
    used_ = false;
  }
}

void UsageWindows::use(std::uint64_t usage_bytes) {
  usage_ = usage_bytes;
  used_ = true;
  peak_ = std::max(peak_, usage_bytes);
  seen_.highest_bytes = std::max(seen_.highest_bytes, usage_bytes);
}

void UsageWindows::mark(std::uint64_t watermark_bytes) {
  if (watermark_bytes > seen_.mark_bytes) {
    if (mark_known_) {
      seen_.mark_rose = true;
      used_ = true;
      peak_ = std::max(peak_, watermark_bytes);
      seen_.highest_bytes = std::max(seen_.highest_bytes, watermark_bytes);
    }
    seen_.mark_bytes = watermark_bytes;
  }
  mark_known_ = true;
}

void UsageWindows::add(const StepEvent& step) {
  advance(step.time_ns);
  use(step.usage_bytes);
  // The lower rungs of the ladder have no mark: it is never below what was in use.
  mark(std::max(step.watermark_bytes, step.usage_bytes));
  seen_.slack_bytes = step.quantum_bytes;
}

void UsageWindows::add(const SampleEvent& sample) {
  if (begun_) {
    advance(sample.time_ns);
    use(sample.usage_bytes);
    seen_.mark_bytes = std::max(seen_.mark_bytes, sample.usage_bytes);  // at least, not exactly
  }
}

UsageSeen UsageWindows::end(std::uint64_t time_ns, std::optional<std::uint64_t> last_mark) {
  if (!begun_) {
    return std::move(seen_);
  }
  advance(time_ns);
  if (last_mark) {
    mark(*last_mark);
    seen_.slack_bytes = 0;
  }
  seen_.observed_ns = now_ns_ - begin_ns_;
  // A last one that has just begun saw nothing, unless something happened at that very moment.
  if (window_ == 0 || used_ || (now_ns_ - begin_ns_) % window_ns_ > 0) {
    seen_.peaks.add(peak_);
  }
  seen_.slack_bytes = std::min(seen_.slack_bytes, seen_.mark_bytes / 8);
  return std::move(seen_);
}

}  // namespace memcrest
