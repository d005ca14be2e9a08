// SPDX-License-Identifier: Apache-2.0
#include "event/merged_source.h"

#include <poll.h>

#include <algorithm>

namespace memcrest {

MergedSource::MergedSource(std::vector<std::unique_ptr<EventSource>> sources) : sources_(std::move(sources)) {}

EventSource::Status MergedSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  std::vector<pollfd> waits;
  for (const auto& source : sources_) {
    if (source->wait_fd() >= 0) {
      waits.push_back({source->wait_fd(), POLLIN, 0});
    }
  }
  // An interrupted wait is a wake-up as any other.
  static_cast<void>(::poll(waits.data(), waits.size(), static_cast<int>(timeout.count())));
  const std::size_t first = out.size();
  bool more = false;
  for (const auto& source : sources_) {
    more = source->poll(std::chrono::milliseconds(0), out) == Status::kMore || more;
  }
  std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                   [](const Event& a, const Event& b) { return time_of(a) < time_of(b); });
  return more ? Status::kMore : Status::kEnd;
}

LossCount MergedSource::loss() const {
  LossCount out;
  for (const auto& source : sources_) {
    const LossCount one = source->loss();
    out.critical += one.critical;
    out.bulk += one.bulk;
    out.throttled += one.throttled;
    out.invalid += one.invalid;
    out.untracked += one.untracked;
  }
  return out;
}

}  // namespace memcrest
