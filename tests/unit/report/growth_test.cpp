// SPDX-License-Identifier: Apache-2.0
#include "report/growth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class GrowthTest : public testing::Test {
 protected:
  void take(const StepEvent& step) { growth_.add(step, meter_.add(step)); }
  StepBuilder steps_;
  GrowthMeter meter_;
  GrowthTree growth_;
};

const StackNode* child(const GrowthTree& growth, const StackNode& of, const std::string& name) {
  for (const auto index : of.children) {
    if (growth.nodes()[index].name == name) {
      return &growth.nodes()[index];
    }
  }
  return nullptr;
}

TEST_F(GrowthTest, CountsWhatEachStepAddsByProcess) {
  take(steps_.first(0, 10_MiB));
  take(steps_.up(1, 12_MiB));
  take(steps_.down(2, 4_MiB));
  take(steps_.by(task(11, "other")).up(3, 5_MiB));
  EXPECT_EQ(growth_.total_bytes(), 3_MiB);
  const auto processes = growth_.processes();
  ASSERT_EQ(processes.size(), 2U);
  EXPECT_EQ(processes[0].comm, "hog");
  EXPECT_EQ(processes[0].bytes, 2_MiB);
  EXPECT_EQ(processes[1].bytes, 1_MiB);
}

TEST_F(GrowthTest, OfAnAncestorOnlyAQuantumIsTheTasks) {
  take(steps_.first(0, 10_MiB));
  StepEvent step = steps_.up(1, 15_MiB);
  step.ancestor = true;
  take(step);
  const auto processes = growth_.processes();
  ASSERT_EQ(processes.size(), 2U);
  EXPECT_EQ(processes[0].process.tgid, 0U);
  EXPECT_EQ(processes[0].bytes, 4_MiB);
  EXPECT_EQ(processes[1].bytes, 1_MiB);
}

TEST_F(GrowthTest, WhoChargedNothingIsNotBlamed) {
  take(steps_.first(0, 10_MiB));
  StepEvent step = steps_.up(1, 15_MiB);
  step.foreign = true;
  step.user_stack = {1, 2};
  take(step);
  EXPECT_EQ(growth_.processes()[0].process.tgid, 0U);
  EXPECT_FALSE(growth_.has_stacks());
}

TEST_F(GrowthTest, StacksShareTheirOuterFramesAndTheirBytesAddUp) {
  take(steps_.first(0, 0));
  StepEvent one = steps_.up(1, 1_MiB);
  one.user_stack = {0x30, 0x20, 0x10};
  one.kernel_stack = {0xffffffff81000000};
  StepEvent two = steps_.up(2, 4_MiB);
  two.user_stack = {0x31, 0x20, 0x10};
  take(one);
  take(two);
  const auto& root = growth_.nodes()[0];
  EXPECT_EQ(root.bytes, 4_MiB);
  const auto* process = child(growth_, root, "hog[10]");
  ASSERT_NE(process, nullptr);
  const auto* outer = child(growth_, *process, "0x10");
  ASSERT_NE(outer, nullptr);
  EXPECT_EQ(outer->bytes, 4_MiB);
  const auto* shared = child(growth_, *outer, "0x20");
  ASSERT_NE(shared, nullptr);
  EXPECT_EQ(shared->children.size(), 2U);
  const auto* leaf = child(growth_, *shared, "0x30");
  ASSERT_NE(leaf, nullptr);
  EXPECT_EQ(leaf->bytes, 1_MiB);
  const auto* kernel = child(growth_, *leaf, "0xffffffff81000000");
  ASSERT_NE(kernel, nullptr);
  EXPECT_EQ(kernel->kind, FrameKind::kKernel);
}

TEST_F(GrowthTest, AFloodOfStacksAndProcessesStaysBoundedAndLosesNoByte) {
  growth_ = GrowthTree(500);
  take(steps_.first(0, 0));
  for (std::uint64_t i = 1; i <= 20'000; ++i) {
    StepEvent step = steps_.by(task(static_cast<std::uint32_t>(10 + i))).up(i, i * 1_MiB);
    step.user_stack = {i, i * 2, i * 3};
    take(step);
  }
  EXPECT_EQ(growth_.total_bytes(), 20'000 * 1_MiB);
  EXPECT_LE(growth_.nodes().size(), 1'001U);
  EXPECT_LE(growth_.processes().size(), 1'025U);
  std::uint64_t sum = 0;
  for (const auto index : growth_.nodes()[0].children) {
    sum += growth_.nodes()[index].bytes;
  }
  EXPECT_EQ(sum, growth_.total_bytes());
}

TEST_F(GrowthTest, NamesComeFromWhoeverKnowsThem) {
  struct Names final : FrameNames {
    Frame at(const ProcessKey* process, std::uint64_t address) const override {
      return process == nullptr ? Frame{.name = "fault", .module = "[kernel]"}
                                : Frame{.name = address < 10 ? "grow" : "", .module = "/bin/hog", .offset = 16};
    }
  };
  growth_ = GrowthTree(100, std::make_shared<Names>());
  take(steps_.first(0, 0));
  StepEvent step = steps_.up(1, 1_MiB);
  step.user_stack = {7, 99};
  step.kernel_stack = {5};
  step.kind = MemoryKind::kAnon;
  take(step);
  step = steps_.up(2, 3_MiB);
  step.user_stack = {8, 99};
  step.kind = MemoryKind::kFile;
  take(step);
  ASSERT_EQ(growth_.nodes().size(), 5U) << "two calls of one function are one frame";
  EXPECT_EQ(growth_.nodes()[2].name, "hog+0x10");
  EXPECT_EQ(growth_.nodes()[3].name, "grow");
  EXPECT_EQ(growth_.nodes()[3].module, "/bin/hog");
  EXPECT_EQ(growth_.nodes()[3].bytes, 3_MiB);
  EXPECT_THAT(growth_.nodes()[3].kinds, testing::UnorderedElementsAre(testing::Pair(MemoryKind::kAnon, 1_MiB),
                                                                      testing::Pair(MemoryKind::kFile, 2_MiB)));
  EXPECT_EQ(growth_.nodes()[4].name, "fault");
  EXPECT_TRUE(growth_.has_names());
}

}  // namespace
}  // namespace memcrest
