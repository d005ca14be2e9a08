// SPDX-License-Identifier: Apache-2.0
#include "event/memory_source.h"

#include <algorithm>

namespace memcrest {

MemorySource::MemorySource(std::vector<Event> events, std::size_t batch, LossCount loss)
    : events_(std::move(events)), batch_(std::max<std::size_t>(batch, 1)), loss_(loss) {}

EventSource::Status MemorySource::poll(std::chrono::milliseconds /*timeout*/, std::vector<Event>& out) {
  const std::size_t until = std::min(events_.size(), next_ + batch_);
  for (; next_ < until; ++next_) {
    out.push_back(events_[next_]);
  }
  return next_ == events_.size() ? Status::kEnd : Status::kMore;
}

}  // namespace memcrest
