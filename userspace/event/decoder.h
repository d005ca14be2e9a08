// SPDX-License-Identifier: Apache-2.0
// Bytes of a ring-buffer record into a typed event. The bytes are not trusted: every size and count is checked.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "memcrest/event.h"
#include "util/result.h"

namespace memcrest {

// Pure. An error names what was wrong with the record; it never reads outside `bytes`.
[[nodiscard]] Result<Event> decode(std::span<const std::byte> bytes);

// Copies of user stacks come as records of their own, before the steps that they belong to: this gives each step its
// copy. Told of all records of one ring, in their order. Bounded by the number of processors.
class StackCopies {
 public:
  // Whether it was such a record: then it is no event. An error as of decode().
  [[nodiscard]] Result<bool> take(std::span<const std::byte> bytes);
  void give(std::span<const std::byte> step_bytes, StepEvent& step);

 private:
  struct Last {
    std::shared_ptr<const StackCopy> copy;
    std::uint64_t seq = 0;  // of the copy, or of the last step that it was given to
  };
  std::map<std::uint32_t, Last> by_cpu_;
};

}  // namespace memcrest
