// SPDX-License-Identifier: Apache-2.0
// Puts the failed charges of a cgroup that follow each other together as one finding. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "memcrest/event.h"

namespace memcrest {

struct ChargeFailureFinding {
  ChargeFailureEvent last;
  std::uint64_t first_ns = 0;
  std::uint64_t count = 0;
  bool at_least = false;
};

class ChargeFailures {
 public:
  // `now_ns`: when it was read, which may be long after it happened.
  void feed(const ChargeFailureEvent& event, std::uint64_t now_ns);
  // Findings of which nothing was read for a second, or that have gone on for ten; with `all`, every one.
  [[nodiscard]] std::vector<ChargeFailureFinding> take(std::uint64_t now_ns, bool all);
  // When `take` is next worth a call; nullopt: nothing is open.
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;

 private:
  struct Open {
    ChargeFailureFinding finding;
    bool told_before = false;  // `told_count` failures belong to an earlier finding
    std::uint64_t told_count = 0;
    std::uint64_t read_ns = 0;
    bool open = false;
  };
  [[nodiscard]] static std::uint64_t due_ns(const Open& one);

  std::map<std::uint64_t, Open> by_serial_;
};

}  // namespace memcrest
