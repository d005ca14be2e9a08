// SPDX-License-Identifier: Apache-2.0
// An EventSource that somebody else fills, on the thread that polls it.
#pragma once

#include <sys/eventfd.h>

#include <vector>

#include "memcrest/event_source.h"
#include "util/fd.h"

namespace memcrest {

class InjectedSource final : public EventSource {
 public:
  InjectedSource() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Handed out by the next poll.
  void add(Event event) {
    events_.push_back(std::move(event));
    ignore_result(::eventfd_write(ready_.get(), 1));
  }

  Status poll(std::chrono::milliseconds /*timeout*/, std::vector<Event>& out) override {
    eventfd_t count = 0;
    ignore_result(::eventfd_read(ready_.get(), &count));
    for (Event& one : events_) {
      out.push_back(std::move(one));
    }
    events_.clear();
    return Status::kMore;
  }
  [[nodiscard]] int wait_fd() const override { return ready_.get(); }
  [[nodiscard]] LossCount loss() const override { return {}; }

 private:
  Fd ready_;
  std::vector<Event> events_;
};

}  // namespace memcrest
