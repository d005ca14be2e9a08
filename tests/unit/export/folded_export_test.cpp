// SPDX-License-Identifier: Apache-2.0
#include "export/folded_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/export_fixture.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(FoldedExport, OneLineForAStack) {
  ExportFixture fixture;
  FoldedExport folded(fixture.context());
  StepEvent same_program = grown(1'300, 4_MiB);
  same_program.task = task(11);
  EXPECT_EQ(fixture.of(folded, {base(1'000, 1_MiB), grown(1'100, 2_MiB), grown(1'200, 3_MiB), same_program,
                                grown(1'400, 5_MiB, {}, {})}),
            "web;hog 1048576\n"
            "web;hog;0x2000;0x3000;0xffffffff81000002_[k];0xffffffff81000003_[k] 3145728\n");
}

TEST(FoldedExport, GrowthThatNobodyIsBlamedFor) {
  ExportFixture fixture;
  FoldedExport folded(fixture.context());
  StepEvent foreign = grown(1'100, 2_MiB);
  foreign.foreign = true;
  EXPECT_EQ(fixture.of(folded, {base(1'000, 1_MiB), foreign}), "web;[unknown] 1048576\n");
}

TEST(FoldedExport, NamesCannotMakeFramesOrLines) {
  ExportFixture fixture;
  fixture.cgroups = ExportedCgroups({web_cgroup("a;b\nc d")});
  FoldedExport folded(fixture.context());
  StepEvent hostile = hostile_step(1'100);
  hostile.user_stack = {};
  hostile.kernel_stack = {};
  const std::string text = fixture.of(folded, {base(1'000, 1_MiB), hostile});
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  EXPECT_EQ(std::ranges::count(text, ';'), 1);
  EXPECT_TRUE(text.starts_with("a:b\\nc d;"));
  EXPECT_TRUE(text.ends_with(" 18446744073708503039\n")) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(FoldedExport, AnEmptyNameIsAFrame) { EXPECT_EQ(folded_frame(""), "?"); }

}  // namespace
}  // namespace memcrest
