// SPDX-License-Identifier: Apache-2.0
// An EventSource around another one, which shows all events to somebody on their way. As its inner one, of one thread.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "memcrest/event_source.h"

namespace memcrest {

class ObservedSource final : public EventSource {
 public:
  // `inner` outlives it. An empty `observe`: nobody is shown anything.
  ObservedSource(EventSource& inner, std::function<void(std::span<const Event>)> observe)
      : inner_(inner), observe_(std::move(observe)) {}

  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override {
    const std::size_t first = out.size();
    const Status status = inner_.poll(timeout, out);
    if (observe_ && out.size() > first) {
      observe_(std::span(out).subspan(first));
    }
    return status;
  }
  [[nodiscard]] int wait_fd() const override { return inner_.wait_fd(); }
  [[nodiscard]] LossCount loss() const override { return inner_.loss(); }

 private:
  EventSource& inner_;
  std::function<void(std::span<const Event>)> observe_;
};

}  // namespace memcrest
