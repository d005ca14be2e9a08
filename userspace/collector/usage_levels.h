// SPDX-License-Identifier: Apache-2.0
// The levels between which a cgroup's usage says nothing new, as bpf/core/level.bpf.h has them: up at the next multiple
// of the quantum, down only one whole quantum below the last one. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace memcrest {

class UsageLevels {
 public:
  enum class Move { kNone, kFirst, kUp, kDown };

  [[nodiscard]] Move compare(std::uint64_t usage) const {
    if (quantum_ == 0) {
      return Move::kFirst;
    }
    return usage >= next_ ? Move::kUp : usage < floor_ ? Move::kDown : Move::kNone;
  }
  void set(std::uint64_t usage, std::uint64_t quantum) {
    quantum_ = std::max<std::uint64_t>(quantum, 1);
    const std::uint64_t below = usage - usage % quantum_;
    next_ = below > ~std::uint64_t{0} - quantum_ ? ~std::uint64_t{0} : below + quantum_;
    floor_ = below > quantum_ ? below - quantum_ : 0;
  }
  [[nodiscard]] std::uint64_t quantum() const { return quantum_; }

  // limit / 128, at least 1 MiB; or `step` as the user wants it.
  [[nodiscard]] static std::uint64_t quantum_for(std::optional<std::uint64_t> limit,
                                                 std::optional<std::uint64_t> step) {
    constexpr std::uint64_t kFloor = 1U << 20U;
    return step.value_or(std::max(kFloor, limit.value_or(0) / 128));
  }

 private:
  std::uint64_t quantum_ = 0;  // 0: nothing seen yet
  std::uint64_t next_ = 0;
  std::uint64_t floor_ = 0;
};

}  // namespace memcrest
