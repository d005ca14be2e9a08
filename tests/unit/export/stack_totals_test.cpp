// SPDX-License-Identifier: Apache-2.0
#include "export/stack_totals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/export_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class StackTotalsTest : public testing::Test {
 protected:
  void add(StackTotals& totals, const StepEvent& step, std::uint64_t bytes, bool by_task = true) {
    const ExportedCgroup& cgroup = cgroups_.find(step.cgroup_id, step.serial);
    totals.add(ExportedStep{step, cgroup, {bytes, by_task}, std::nullopt});
  }
  static std::vector<std::string> all(const StackTotals& totals) {
    std::vector<std::string> out;
    totals.each([&](const StackTotal& total) {
      std::string line = total.label + " " + (total.task == nullptr ? "-" : total.task->comm) +
                         (total.page_cache ? " file" : "") + (total.cut ? " cut" : "");
      for (const auto* stack : {&total.user_stack, &total.kernel_stack}) {
        for (const std::uint64_t address : *stack) {
          line += " " + hex_address(address);
        }
      }
      out.push_back(line + " = " + std::to_string(total.bytes) + "/" + std::to_string(total.steps));
    });
    return out;
  }
  ExportedCgroups cgroups_{{web_cgroup(), plain_cgroup()}};
};

TEST_F(StackTotalsTest, SumsByWhoAndWhere) {
  StackTotals totals;
  add(totals, grown(1, 1), 5);
  add(totals, grown(2, 1), 7);
  StepEvent other = grown(3, 1);
  other.task.comm = "other";
  add(totals, other, 1);
  StepEvent file = grown(3, 1);
  file.page_cache = true;
  add(totals, file, 2);
  add(totals, grown(4, 1, {}, {}), 3);
  add(totals, grown(4, 1), 4, false);
  EXPECT_THAT(all(totals), ElementsAre("web hog 0x2000 0x3000 0xffffffff81000002 0xffffffff81000003 = 12/2",
                                       "web other 0x2000 0x3000 0xffffffff81000002 0xffffffff81000003 = 1/1",
                                       "web hog file 0x2000 0x3000 0xffffffff81000002 0xffffffff81000003 = 2/1",
                                       "web hog = 3/1", "web - = 4/1"));
  EXPECT_THAT(totals.left_out(), IsEmpty());
}

TEST_F(StackTotalsTest, AncestorsAndStepsWithoutGrowthDoNotCount) {
  StackTotals totals;
  StepEvent ancestor = grown(1, 1);
  ancestor.ancestor = true;
  add(totals, ancestor, 5);
  add(totals, grown(1, 1), 0);
  EXPECT_THAT(all(totals), IsEmpty());
}

TEST_F(StackTotalsTest, AUserFrameIsNoKernelFrameOfTheSameAddress) {
  StackTotals totals;
  add(totals, grown(1, 1, {5}, {}), 1);
  add(totals, grown(1, 1, {}, {5}), 1);
  EXPECT_THAT(all(totals), SizeIs(2));
}

TEST_F(StackTotalsTest, PastTheBoundOfFramesStacksAreLeftOut) {
  StackTotals totals({.frames = 3, .totals = 100, .labels = 10, .processes = 10});
  add(totals, grown(1, 1, {2, 1}, {}), 1_MiB);
  add(totals, grown(1, 1, {3, 1}, {}), 2_MiB);
  add(totals, grown(1, 1, {4, 1}, {}), 3_MiB);
  EXPECT_THAT(all(totals), ElementsAre("web hog 0x1 0x2 = 1048576/1", "web hog cut = 5242880/2"));
  EXPECT_THAT(totals.left_out(), ElementsAre(HasSubstr("5.00 MiB of growth")));
}

TEST_F(StackTotalsTest, NothingIsLostPastAnyBound) {
  StackTotals totals({.frames = 50, .totals = 20, .labels = 2, .processes = 5});
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    StepEvent step = grown(i, 1, {i, i % 7}, {});
    step.cgroup_id = i % 11;
    step.task = task(1 + i % 97);
    add(totals, step, i);
    sum += i;
  }
  std::uint64_t told = 0;
  std::size_t rows = 0;
  totals.each([&](const StackTotal& total) {
    told += total.bytes;
    ++rows;
  });
  EXPECT_EQ(told, sum);
  EXPECT_LE(rows, 20U + 5U + 1U);
  EXPECT_THAT(totals.left_out(), SizeIs(2));
}

TEST_F(StackTotalsTest, SumsDoNotWrap) {
  StackTotals totals;
  add(totals, grown(1, 1, {}, {}), ~0ULL);
  add(totals, grown(1, 1, {}, {}), ~0ULL);
  EXPECT_THAT(all(totals), ElementsAre("web hog = 18446744073709551615/2"));
}

}  // namespace
}  // namespace memcrest
