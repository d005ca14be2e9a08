// SPDX-License-Identifier: Apache-2.0
#include "event/memory_source.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

TEST(MemorySource, HandsOutInBatchesAndEnds) {
  MemorySource source({SampleEvent{1, 7, 10}, SampleEvent{2, 7, 20}, SampleEvent{3, 7, 30}}, 2);
  std::vector<Event> out;
  EXPECT_EQ(source.poll(std::chrono::milliseconds(0), out), EventSource::Status::kMore);
  EXPECT_EQ(out.size(), 2U);
  EXPECT_EQ(source.poll(std::chrono::milliseconds(0), out), EventSource::Status::kEnd);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(time_of(out[2]), 3U);
}

TEST(MemorySource, EmptyEndsAtOnceAndReportsItsLoss) {
  MemorySource source({}, 0, LossCount{.critical = 2});
  std::vector<Event> out;
  EXPECT_EQ(source.poll(std::chrono::milliseconds(0), out), EventSource::Status::kEnd);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(source.loss().critical, 2U);
}

}  // namespace
}  // namespace memcrest
