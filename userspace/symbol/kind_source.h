// SPDX-License-Identifier: Apache-2.0
// An EventSource around another one: tells of each step what kind of memory the kernel was charging. Behind the ring
// buffers and before anything is recorded, so that a recording needs no kernel symbols.
#pragma once

#include <chrono>
#include <unordered_map>
#include <utility>
#include <vector>

#include "memcrest/event_source.h"
#include "symbol/memory_kind.h"

namespace memcrest {

class KindSource final : public EventSource {
 public:
  // `batched`: the hooks see pages only once a batch of them is full (tiers "lru…"), but kernel memory at once.
  KindSource(EventSource& inner, KernelKinds kinds, bool batched)
      : inner_(inner), kinds_(std::move(kinds)), batched_(batched) {}

  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] int wait_fd() const override { return inner_.wait_fd(); }
  [[nodiscard]] LossCount loss() const override { return inner_.loss(); }

 private:
  [[nodiscard]] MemoryKind kind_of(const StepEvent& step);

  EventSource& inner_;
  KernelKinds kinds_;
  bool batched_;
  std::unordered_map<std::uint32_t, MemoryKind> last_;  // by thread: of pages, as its stack said
};

}  // namespace memcrest
