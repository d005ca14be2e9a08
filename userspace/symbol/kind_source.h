// SPDX-License-Identifier: Apache-2.0
// An EventSource around another one: tells of each step what kind of memory the kernel was charging. Behind the ring
// buffers and before anything is recorded, so that a recording needs no kernel symbols.
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "memcrest/event_source.h"
#include "symbol/memory_kind.h"

namespace memcrest {

class KindSource final : public EventSource {
 public:
  KindSource(EventSource& inner, KernelKinds kinds) : inner_(inner), kinds_(std::move(kinds)) {}

  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] int wait_fd() const override { return inner_.wait_fd(); }
  [[nodiscard]] LossCount loss() const override { return inner_.loss(); }

 private:
  EventSource& inner_;
  KernelKinds kinds_;
};

}  // namespace memcrest
