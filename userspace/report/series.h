// SPDX-License-Identifier: Apache-2.0
// The usage of one cgroup over time for a chart: every point as long as there is room, then the lowest and the highest
// of each few. Bounded memory, one pass, any number of points. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "incident/usage_history.h"

namespace memcrest {

class Series {
 public:
  // At most about `most` points are kept.
  explicit Series(std::size_t most) : most_(most) {}

  // Points may come a little out of order (up to kLate places); one that is later than that is put at the last's time.
  void add(std::uint64_t time_ns, std::uint64_t usage_bytes);
  // After the last.
  void finish();

  [[nodiscard]] const std::vector<UsagePoint>& points() const { return points_; }
  [[nodiscard]] std::uint64_t seen() const { return seen_; }
  // How many points were made the two extremes of: 1, nothing was left out.
  [[nodiscard]] std::uint64_t stride() const { return stride_; }

  static constexpr std::size_t kLate = 512;

 private:
  void settle(std::size_t keep);
  void put(const UsagePoint& point);
  void flush();
  void thin_out();

  std::size_t most_;
  std::vector<UsagePoint> late_;  // not yet in order
  std::vector<UsagePoint> points_;
  std::uint64_t stride_ = 1;
  std::uint64_t seen_ = 0;
  std::uint64_t grouped_ = 0;  // points in the group under way
  UsagePoint low_, high_;
};

// Base64 of variable-length numbers (LEB128), two for each point: the time since the one before (the first: since
// `origin_ns`) in nanoseconds, and the change of usage (the first: from 0) in `unit` bytes, zigzag.
struct EncodedSeries {
  std::string base64;
  std::uint64_t unit = 1;  // 4096 where all usages are whole pages
  std::size_t count = 0;
};
[[nodiscard]] EncodedSeries encode(const std::vector<UsagePoint>& points, std::uint64_t origin_ns);

}  // namespace memcrest
