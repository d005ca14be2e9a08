// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/process_signal.h"

#include <gtest/gtest.h>

#include "support/test_child.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(ProcessSignal, StopsAndResumes) {
  const TestChild child;
  const ProcessKey key = child.key();
  EXPECT_EQ(state_of(key), RunState::kRuns);
  ASSERT_TRUE(send_signal(key, SIGSTOP));
  EXPECT_TRUE(comes_true([&] { return state_of(key) == RunState::kStopped; }));
  ASSERT_TRUE(send_signal(key, SIGCONT));
  EXPECT_TRUE(comes_true([&] { return state_of(key) == RunState::kRuns; }));
}

TEST(ProcessSignal, ReachesNobodyElse) {
  TestChild child;
  ProcessKey other = child.key();
  other.start_ns += 5 * tick_ns();  // the pid is the same, the process another one
  EXPECT_EQ(state_of(other), RunState::kGone);
  const auto sent = send_signal(other, SIGKILL);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ESRCH);
  EXPECT_EQ(state_of(child.key()), RunState::kRuns);
}

TEST(ProcessSignal, AStartWithinTheSameTickIsTheSame) {
  const TestChild child;
  ProcessKey exact = child.key();
  exact.start_ns += tick_ns() - 1;  // as the kernel side tells it; /proc cuts it down
  EXPECT_EQ(state_of(exact), RunState::kRuns);
}

TEST(ProcessSignal, OneThatEndedIsGone) {
  TestChild child;
  const ProcessKey key = child.key();
  child.end();
  EXPECT_EQ(state_of(key), RunState::kGone);
  EXPECT_FALSE(send_signal(key, SIGCONT));
}

}  // namespace
}  // namespace memcrest
