// SPDX-License-Identifier: Apache-2.0
// Recordings that earlier versions of memcrest made.
#include <gmock/gmock.h>

#include <cstdlib>

#include "recording_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(RecordingVersions, TheFirst) {
  const TempDir dir;
  const std::string path = dir.path() + "/v1.db";
  const std::string command = "sqlite3 " + path + " < " MEMCREST_RECORDING_V1;
  ASSERT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(cert-env33-c)
  const Contents found = read_recording(path);
  EXPECT_EQ(found.meta.at("charge_tier"), "lru+state");
  EXPECT_EQ(found.meta.at("ended"), "whole");
  ASSERT_THAT(found.steps, SizeIs(4));
  EXPECT_EQ(found.steps[0].usage_bytes, 262'144U);
  EXPECT_FALSE(found.steps[0].up);
  EXPECT_EQ(found.steps[3].usage_bytes, 3'399'680U);
  EXPECT_TRUE(found.steps[3].up);
  EXPECT_EQ(found.steps[3].quantum_bytes, 1_MiB);
  EXPECT_EQ(found.steps[3].time_ns, 28'567'916'420'679U);
  EXPECT_EQ(found.steps[3].cgroup_id, 1'059'533U);
  EXPECT_EQ(found.steps[3].task.comm, "hog");
  EXPECT_EQ(found.steps[3].task.process.tgid, 12'443U);
  EXPECT_GE(found.steps[3].user_stack.size(), 2U);
  EXPECT_GE(found.steps[3].kernel_stack.size(), 5U);
  EXPECT_GT(found.steps[3].kernel_stack[0], 1ULL << 63U);
  ASSERT_THAT(found.samples, SizeIs(2));
  EXPECT_EQ(found.samples[1].usage_bytes, 17'817'600U);
  EXPECT_THAT(found.incidents, ElementsAre("a61e4a21-19fb7c4509e0-102acd-0"));
  EXPECT_THAT(found.questions, SizeIs(2));
  ASSERT_THAT(found.cgroups, SizeIs(1));
  EXPECT_EQ(found.cgroups[0].path, "/a/memcrest-run-1-0");
}

}  // namespace
}  // namespace memcrest
