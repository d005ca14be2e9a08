// SPDX-License-Identifier: Apache-2.0
#include "event/merged_source.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "event/memory_source.h"
#include "util/fd.h"

namespace memcrest {
namespace {

class FakeSource final : public EventSource {
 public:
  FakeSource(std::vector<Event> events, LossCount loss) : events_(std::move(events)), loss_(loss) {}
  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override {
    EXPECT_EQ(timeout.count(), 0) << "the merged source waits, not its parts";
    out.insert(out.end(), events_.begin(), events_.end());
    events_.clear();
    return ended_ ? Status::kEnd : Status::kMore;
  }
  [[nodiscard]] int wait_fd() const override { return wake_.get(); }
  [[nodiscard]] LossCount loss() const override { return loss_; }
  void end() { ended_ = true; }

 private:
  std::vector<Event> events_;
  LossCount loss_;
  Fd wake_{::eventfd(1, EFD_CLOEXEC)};  // always readable
  bool ended_ = false;
};

Event at(std::uint64_t time_ns) { return SampleEvent{time_ns, 1, 0}; }

TEST(MergedSource, EventsOfAllAreInOrderOfTime) {
  std::vector<std::unique_ptr<EventSource>> parts;
  parts.push_back(std::make_unique<FakeSource>(std::vector{at(1), at(5)}, LossCount{.critical = 1}));
  parts.push_back(std::make_unique<FakeSource>(std::vector{at(3)}, LossCount{.critical = 2, .bulk = 4}));
  auto* first = static_cast<FakeSource*>(parts[0].get());
  auto* second = static_cast<FakeSource*>(parts[1].get());
  MergedSource merged(std::move(parts));
  std::vector<Event> out{at(9)};
  EXPECT_EQ(merged.poll(std::chrono::milliseconds(1000), out), EventSource::Status::kMore);
  ASSERT_EQ(out.size(), 4U);
  EXPECT_EQ(time_of(out[0]), 9U) << "what was there before stays where it is";
  EXPECT_EQ(time_of(out[1]), 1U);
  EXPECT_EQ(time_of(out[2]), 3U);
  EXPECT_EQ(time_of(out[3]), 5U);
  EXPECT_EQ(merged.loss().critical, 3U);
  EXPECT_EQ(merged.loss().bulk, 4U);
  first->end();
  EXPECT_EQ(merged.poll(std::chrono::milliseconds(0), out), EventSource::Status::kMore);
  second->end();
  EXPECT_EQ(merged.poll(std::chrono::milliseconds(0), out), EventSource::Status::kEnd);
}

}  // namespace
}  // namespace memcrest
