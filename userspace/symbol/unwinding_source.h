// SPDX-License-Identifier: Apache-2.0
// An EventSource around another one: steps that carry a copy of their stack get it unwound, in a thread of its own,
// before anything else sees them. Events keep their order; they wait for that, a fifth of a second at most.
#pragma once

#include <memory>

#include "memcrest/event_source.h"
#include "util/system_root.h"

namespace memcrest {

class UnwindingSource final : public EventSource {
 public:
  struct Status {
    std::uint64_t unwound = 0;
    std::uint64_t left_out = 0;  // kept their frame pointers' stack: too many at once, or the process hung or was gone
    std::uint64_t spent_ns = 0;  // by the thread, on those that were unwound
  };

  UnwindingSource(EventSource& inner, SystemRoot root);
  ~UnwindingSource() override;

  EventSource::Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] int wait_fd() const override { return inner_.wait_fd(); }
  [[nodiscard]] LossCount loss() const override { return inner_.loss(); }
  [[nodiscard]] Status status() const;

 private:
  class Worker;
  struct Held;
  void hold(Event event);
  void release(std::vector<Event>& out);

  EventSource& inner_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Held> held_;
};

}  // namespace memcrest
