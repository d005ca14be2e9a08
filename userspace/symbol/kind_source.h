// SPDX-License-Identifier: Apache-2.0
// An EventSource around another one: tells of each step what kind of memory the kernel was charging. Behind the ring
// buffers and before anything is recorded, so that a recording needs no kernel symbols.
//
// Where pages are seen in batches, a page table or a piece of slab between them often shows first that usage has
// crossed a level, which the pages before it have brought near. They come at 512 to one: such a step gets the kind and
// the stacks of the thread's step before it.
#pragma once

#include <chrono>
#include <cstdint>
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
  // Of pages, as the thread's last step told.
  struct Pages {
    MemoryKind kind = MemoryKind::kUnknown;
    std::vector<std::uint64_t> user_stack;
    std::vector<std::uint64_t> kernel_stack;
  };
  void judge(StepEvent& step);

  EventSource& inner_;
  KernelKinds kinds_;
  bool batched_;
  std::unordered_map<std::uint32_t, Pages> last_;  // by thread
};

}  // namespace memcrest
