// SPDX-License-Identifier: Apache-2.0
// How high usage rose in windows of equal length: a distribution in bounded memory. Exact up to some hundred different
// values; then all are rounded up to multiples of a grain, so that no figure is ever too low. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace memcrest {

class WindowPeaks {
 public:
  void add(std::uint64_t peak_bytes, std::uint64_t windows = 1);
  void add(const WindowPeaks& others);

  [[nodiscard]] std::uint64_t windows() const { return windows_; }
  [[nodiscard]] std::uint64_t highest() const { return highest_; }  // exact; 0 without windows
  // The least value that at least so many percent of the windows stay at or below (nearest rank); 0 without windows.
  [[nodiscard]] std::uint64_t percentile(unsigned percent) const;
  // Windows whose peak lies above `bytes`.
  [[nodiscard]] std::uint64_t above(std::uint64_t bytes) const;
  [[nodiscard]] std::uint64_t grain() const { return grain_; }  // 1: exact

  static constexpr std::size_t kMaxValues = 256;

 private:
  void coarsen();
  std::map<std::uint64_t, std::uint64_t> counts_;
  std::uint64_t windows_ = 0;
  std::uint64_t highest_ = 0;
  std::uint64_t grain_ = 1;
};

}  // namespace memcrest
