// SPDX-License-Identifier: Apache-2.0
#include "app/break_policy_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace memcrest {
namespace {

using testing::HasSubstr;

BreakPolicyOptions policy(std::vector<std::string> allowed) {
  BreakPolicyOptions out;
  out.at = LineRule{std::nullopt, 90};
  out.allowed = std::move(allowed);
  out.output = "/nowhere";
  return out;
}

std::string refused(const BreakPolicyOptions& options) {
  const auto checked = check_policy(options);
  return checked ? "" : checked.error().operation + " " + checked.error().detail;
}

TEST(BreakPolicyOptions, ActionsInWords) {
  BreakPolicyOptions options = policy({});
  options.exec = "true";
  options.every = std::chrono::minutes(3);
  EXPECT_EQ(action_of("stop", options)->action, BreakAction::kStop);
  EXPECT_EQ(action_of("exec", options)->exec, "true");
  EXPECT_EQ(action_of("smaps", options)->dump, DumpKind::kSmaps);
  const auto signal = action_of("signal:USR2", options);
  EXPECT_EQ(signal->action, BreakAction::kSignal);
  EXPECT_EQ(signal->signal, SIGUSR2);
  EXPECT_EQ(signal->rearm_after, std::chrono::minutes(3));
  EXPECT_TRUE(signal->only_crossings);
  EXPECT_EQ(signal->at->percent, 90);
  EXPECT_EQ(signal->output, "/nowhere");
  for (const char* wrong :
       {"", "Stop", "signal", "signal:", "signal:NO", "signal:0", "signal:STOP", "signal:20", "exec:true", "smaps "}) {
    EXPECT_FALSE(action_of(wrong, options)) << wrong;
  }
}

TEST(BreakPolicyOptions, OffUnlessAsked) {
  EXPECT_EQ(refused({}), "");
  EXPECT_FALSE(BreakPolicyOptions{}.is_on());
  BreakPolicyOptions half;
  half.allowed = {"smaps"};
  EXPECT_THAT(refused(half), HasSubstr("--break-at is needed"));
  half = {};
  half.otherwise = "smaps";
  EXPECT_THAT(refused(half), HasSubstr("--break-at is needed"));
}

TEST(BreakPolicyOptions, WhatDoesNotGoTogether) {
  EXPECT_EQ(refused(policy({"smaps", "signal:TERM", "stop"})), "");
  EXPECT_THAT(refused(policy({})), HasSubstr("--break-allow is needed"));
  EXPECT_THAT(refused(policy({"smaps", "format-disk"})), HasSubstr("'format-disk' is none of"));
  EXPECT_THAT(refused(policy({"exec"})), HasSubstr("--break-exec"));
  BreakPolicyOptions options = policy({"smaps"});
  options.otherwise = "stop";
  EXPECT_THAT(refused(options), HasSubstr("--break-default must be one of"));
  options.otherwise = "smaps";
  EXPECT_EQ(refused(options), "");
  options.label = "";
  EXPECT_THAT(refused(options), HasSubstr("--break-label"));
}

TEST(BreakPolicyOptions, AMissingToolIsToldAtTheStart) {
  const std::string path = getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  EXPECT_THAT(refused(policy({"jvm"})), HasSubstr("jcmd is not installed"));
  setenv("PATH", path.c_str(), 1);
}

}  // namespace
}  // namespace memcrest
