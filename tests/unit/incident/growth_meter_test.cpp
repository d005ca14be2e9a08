// SPDX-License-Identifier: Apache-2.0
#include "incident/growth_meter.h"

#include <gtest/gtest.h>

#include "support/event_builder.h"
#include "util/result.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

SampleEvent sample_of(const StepEvent& step, std::uint64_t time_ns, std::uint64_t usage_bytes) {
  return {time_ns, step.cgroup_id, usage_bytes};
}

TEST(GrowthMeter, CountsWhatIsNew) {
  GrowthMeter meter;
  StepBuilder steps;
  EXPECT_EQ(meter.add(steps.first(1, 10_MiB)).bytes, 0U) << "of the first nothing is known";
  EXPECT_EQ(meter.add(steps.up(2, 12_MiB)).bytes, 2_MiB);
  EXPECT_EQ(meter.add(steps.down(3, 8_MiB)).bytes, 0U);
  EXPECT_EQ(meter.add(steps.up(4, 9_MiB)).bytes, 1_MiB) << "after a fall it grows anew";
  EXPECT_EQ(meter.add(steps.up(3, 8_MiB)).bytes, 0U) << "one that was overtaken";
  EXPECT_EQ(meter.add(steps.up(5, 10_MiB)).bytes, 1_MiB);
}

TEST(GrowthMeter, BlamesNobodyForWhatIsForeign) {
  GrowthMeter meter;
  StepBuilder steps;
  ignore_result(meter.add(steps.first(1, 0)));
  StepEvent step = steps.up(2, 1_MiB);
  EXPECT_TRUE(meter.add(step).by_task);
  step = steps.up(3, 2_MiB);
  step.foreign = true;
  EXPECT_FALSE(meter.add(step).by_task);
  step = steps.up(4, 3_MiB);
  step.task.process.tgid = 0;
  EXPECT_FALSE(meter.add(step).by_task);
}

TEST(GrowthMeter, ACgroupWithTheSameIdIsAnother) {
  GrowthMeter meter;
  StepEvent step = StepBuilder().first(1, 5_MiB);
  ignore_result(meter.add(step));
  step.serial += 1;
  step.usage_bytes = 50_MiB;
  EXPECT_EQ(meter.add(step).bytes, 0U);
}

TEST(GrowthMeter, AFallThatWasOnlySampledCountsAnew) {
  GrowthMeter meter;
  StepBuilder steps;
  const StepEvent first = steps.first(1, 10_MiB);
  ignore_result(meter.add(first));
  meter.add(sample_of(first, first.time_ns + 10, 2_MiB));
  EXPECT_EQ(meter.add(steps.up(2, 11_MiB)).bytes, 9_MiB);
}

TEST(GrowthMeter, ASampleThatSawMemoryFirstTakesNothingFromItsStep) {
  GrowthMeter meter;
  StepBuilder steps;
  const StepEvent first = steps.first(1, 10_MiB);
  ignore_result(meter.add(first));
  const StepEvent overtaken = steps.up(2, 14_MiB);
  meter.add(sample_of(first, overtaken.time_ns + 10, 14_MiB));
  EXPECT_EQ(meter.add(overtaken).bytes, 4_MiB) << "growth waits for the step that tells whose it is";
  meter.add(sample_of(first, overtaken.time_ns, 1_MiB));
  EXPECT_EQ(meter.add(steps.up(3, 15_MiB)).bytes, 1_MiB) << "a sample that was overtaken says nothing new";
}

TEST(GrowthMeter, ACgroupThatWasSeenToBeginBeganWithNothing) {
  GrowthMeter meter;
  StepEvent step = StepBuilder().up(2, 3_MiB);
  CgroupEvent made;
  made.time_ns = 1;
  made.cgroup_id = step.cgroup_id;
  made.serial = step.serial;
  made.created = true;
  meter.add(made);
  EXPECT_EQ(meter.add(step).bytes, 3_MiB);
}

TEST(GrowthMeter, OfAnAncestorOnlyAQuantumIsTheTasks) {
  GrowthMeter meter;
  StepBuilder steps;
  ignore_result(meter.add(steps.first(0, 10_MiB)));
  StepEvent step = steps.up(1, 15_MiB);
  step.ancestor = true;
  const MeteredGrowth grown = meter.add(step);
  EXPECT_EQ(grown.bytes, 5_MiB);
  EXPECT_EQ(grown.own_bytes, 1_MiB);
}

TEST(GrowthMeter, ItsBoundIsToldWhenReached) {
  GrowthMeter meter(2);
  StepEvent step = StepBuilder().first(1, 1_MiB);
  for (std::uint64_t id = 1; id <= 2; ++id) {
    step.cgroup_id = id;
    ignore_result(meter.add(step));
  }
  EXPECT_EQ(meter.left_out(), "");
  step.cgroup_id = 3;
  ignore_result(meter.add(step));
  EXPECT_NE(meter.left_out(), "");
}

}  // namespace
}  // namespace memcrest
