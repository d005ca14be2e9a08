// SPDX-License-Identifier: Apache-2.0
// An EventSource over a vector: for tests, and for whatever already has its events in memory.
#pragma once

#include <vector>

#include "memcrest/event_source.h"

namespace memcrest {

class MemorySource final : public EventSource {
 public:
  // Hands out at most `batch` events per poll, in the order given; `loss` is reported as it is.
  explicit MemorySource(std::vector<Event> events, std::size_t batch = 1024, LossCount loss = {});

  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] LossCount loss() const override { return loss_; }

 private:
  std::vector<Event> events_;
  std::size_t batch_;
  std::size_t next_ = 0;
  LossCount loss_;
};

}  // namespace memcrest
