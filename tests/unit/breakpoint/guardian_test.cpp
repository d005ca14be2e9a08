// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/guardian.h"

#include <gtest/gtest.h>

#include <fstream>

#include "breakpoint/process_signal.h"
#include "support/test_child.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

GuardedTable table_with(std::vector<ProcessKey> caught) {
  return {.descriptors = {}, .disarm = [] {}, .caught = [caught] { return caught; }};
}

void stop(const TestChild& child) {
  ASSERT_TRUE(send_signal(child.key(), SIGSTOP));
  ASSERT_TRUE(comes_true([&] { return state_of(child.key()) == RunState::kStopped; }));
}

// The guardian of a memcrest that is killed.
void die_with(const GuardedTable& table, const std::function<void(BreakGuardian&)>& before) {
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto guardian = BreakGuardian::start(table);
    if (!guardian) {
      ::_exit(1);
    }
    before(*guardian);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(parent, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(Guardian, ResumesWhomTheTableNamesWhenItsParentDies) {
  const TestChild caught;
  const TestChild another;
  stop(caught);
  stop(another);
  die_with(table_with({caught.key()}), [](BreakGuardian&) {});
  EXPECT_TRUE(comes_true([&] { return state_of(caught.key()) == RunState::kRuns; }));
  EXPECT_EQ(state_of(another.key()), RunState::kStopped) << "not ours: somebody else stopped it";
}

TEST(Guardian, ResumesWhomItWasToldOf) {
  const TestChild stopped;
  const TestChild resumed;
  stop(stopped);
  stop(resumed);
  die_with(table_with({}), [&](BreakGuardian& guardian) {
    ignore_result(guardian.stopping(stopped.key()));
    ignore_result(guardian.stopping(resumed.key()));
    guardian.resumed(resumed.key());
  });
  EXPECT_TRUE(comes_true([&] { return state_of(stopped.key()) == RunState::kRuns; }));
  EXPECT_EQ(state_of(resumed.key()), RunState::kStopped);
}

TEST(Guardian, ResumesWhenItsParentIsSilent) {
  const TestChild stopped;
  stop(stopped);
  auto guardian = BreakGuardian::start(table_with({stopped.key()}), {.silence = std::chrono::milliseconds(300)});
  ASSERT_TRUE(guardian) << guardian.error().message();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(guardian->beat());
    EXPECT_EQ(state_of(stopped.key()), RunState::kStopped) << "it was told that somebody is there";
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(comes_true([&] { return state_of(stopped.key()) == RunState::kRuns; }));
  EXPECT_TRUE(comes_true([&] { return !guardian->beat(); })) << "and its parent learns that it did";
}

TEST(Guardian, EndsAParentThatIsSilentWhereItIsToldTo) {
  const TestChild stopped;
  stop(stopped);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto guardian = BreakGuardian::start(table_with({stopped.key()}),
                                         {.silence = std::chrono::milliseconds(300), .end_parent = true});
    while (guardian) {
      ::pause();
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(parent, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(state_of(stopped.key()), RunState::kRuns);
}

TEST(Guardian, SilenceIsNoDeathWhileNobodyIsHeld) {
  auto guardian = BreakGuardian::start(table_with({}), {.silence = std::chrono::milliseconds(50)});
  ASSERT_TRUE(guardian) << guardian.error().message();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(guardian->beat());
}

TEST(Guardian, EndsCommandsThatStillRun) {
  const TestChild runs;
  const TestChild over;
  ASSERT_EQ(::setpgid(runs.pid(), runs.pid()), 0);
  ASSERT_EQ(::setpgid(over.pid(), over.pid()), 0);
  die_with(table_with({}), [&](BreakGuardian& guardian) {
    guardian.acting(runs.pid());
    guardian.acting(over.pid());
    guardian.acted(over.pid());
  });
  EXPECT_TRUE(comes_true([&] { return state_of(runs.key()) == RunState::kGone; }));
  EXPECT_EQ(state_of(over.key()), RunState::kRuns);
}

TEST(Guardian, ThawsWhatIsFrozen) {
  const std::string first = testing::TempDir() + "guardian-frozen-" + std::to_string(::getpid());
  const std::string second = first + "-thawed";
  std::ofstream(first) << "1";
  std::ofstream(second) << "1";
  die_with(table_with({}), [&](BreakGuardian& guardian) {
    ignore_result(guardian.frozen(first, "0"));
    ignore_result(guardian.frozen(second, "0"));
    guardian.thawed(second);
  });
  EXPECT_TRUE(comes_true([&] { return read_file(first).value_or("") == "0"; }));
  EXPECT_EQ(read_file(second).value_or(""), "1");
  ::unlink(first.c_str());
  ::unlink(second.c_str());
}

TEST(Guardian, DisarmsBeforeItResumes) {
  const std::string marks = testing::TempDir() + "guardian-marks-" + std::to_string(::getpid());
  const auto mark = [marks](const char* what) { std::ofstream(marks, std::ios::app) << what; };
  const GuardedTable table{.descriptors = {},
                           .disarm = [mark] { mark("d"); },
                           .caught =
                               [mark] {
                                 mark("c");
                                 return std::vector<ProcessKey>();
                               }};
  die_with(table, [](BreakGuardian&) {});
  EXPECT_TRUE(comes_true([&] { return read_file(marks).value_or("").starts_with("dcdc"); }));
  ::unlink(marks.c_str());
}

TEST(Guardian, DoesNothingWhenItIsDismissed) {
  const TestChild stopped;
  stop(stopped);
  auto guardian = BreakGuardian::start(table_with({stopped.key()}));
  ASSERT_TRUE(guardian) << guardian.error().message();
  guardian->dismiss();  // waits for its end
  EXPECT_EQ(state_of(stopped.key()), RunState::kStopped);
}

}  // namespace
}  // namespace memcrest
