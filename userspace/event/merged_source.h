// SPDX-License-Identifier: Apache-2.0
// Several sources as one: ring buffers, the kernel log, cgroup files. Waits for all of them at once.
#pragma once

#include <memory>
#include <vector>

#include "memcrest/event_source.h"

namespace memcrest {

class MergedSource final : public EventSource {
 public:
  // Not empty. Each must have a wait_fd: one that has none would be looked at only when another wakes.
  explicit MergedSource(std::vector<std::unique_ptr<EventSource>> sources);

  // kEnd when every source has ended. Events of one call are in order of time.
  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] LossCount loss() const override;  // of all together

 private:
  std::vector<std::unique_ptr<EventSource>> sources_;
};

}  // namespace memcrest
