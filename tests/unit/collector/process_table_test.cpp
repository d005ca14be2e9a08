// SPDX-License-Identifier: Apache-2.0
#include "collector/process_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using testing::EndsWith;
using testing_support::task;
using testing_support::TempDir;

std::uint64_t tick_ns() { return 1'000'000'000ULL / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)); }

ExecEvent exec_of(TaskInfo who, std::string cmdline) {
  ExecEvent out;
  out.task = std::move(who);
  out.cmdline = std::move(cmdline);
  return out;
}

class ProcessTableTest : public ::testing::Test {
 protected:
  // A process in the fake /proc; `comm` as the kernel writes it, whatever it holds.
  void add(const TaskInfo& who, const std::string& cmdline, const std::string& comm = "hog") {
    const std::string folder = dir_.path() + "/" + std::to_string(who.process.tgid);
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/cmdline") << cmdline;
    std::ofstream(folder + "/stat") << who.process.tgid << " (" << comm
                                    << ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 "
                                    << who.process.start_ns / tick_ns() << " 19 20\n";
  }
  void end(const TaskInfo& who) { std::filesystem::remove_all(dir_.path() + "/" + std::to_string(who.process.tgid)); }
  [[nodiscard]] SystemRoot root() const { return {.proc = dir_.path(), .sys = "", .run = ""}; }

  // Started at a whole second, seven nanoseconds late: /proc knows whole ticks only.
  static TaskInfo process(std::uint32_t pid, std::uint64_t start_s = 100) {
    TaskInfo out = task(pid);
    out.process.start_ns = start_s * 1'000'000'000 + 7;
    return out;
  }

  TempDir dir_;
};

TEST_F(ProcessTableTest, ReadsTheCommandLineWhileTheProcessLives) {
  ProcessTable table(root());
  const TaskInfo hog = process(42);
  add(hog, std::string("hog\0--size\0two words\0", 21));
  table.seen(hog);
  end(hog);
  EXPECT_EQ(table.cmdline(hog), "hog --size 'two words'");
}

TEST_F(ProcessTableTest, CountsFieldsFromTheLastParenthesisOfTheName) {
  ProcessTable table(root());
  const TaskInfo evil = process(42);
  add(evil, "evil", "a) S 1 2 3 (b) 4");
  EXPECT_EQ(table.cmdline(evil), "evil");
}

TEST_F(ProcessTableTest, AnExecBeatsWhatProcSaid) {
  ProcessTable table(root());
  const TaskInfo child = process(42);
  add(child, std::string("shell\0", 6));
  table.seen(child);
  table.started(exec_of(child, std::string("hog\0anon\0", 9)));
  table.seen(child);
  EXPECT_EQ(table.cmdline(child), "hog anon");
  table.started(exec_of(child, std::string("other\0", 6)));
  EXPECT_EQ(table.cmdline(child), "other");
}

TEST_F(ProcessTableTest, ACutCommandLineSaysSo) {
  ProcessTable table(root());
  ExecEvent exec = exec_of(process(42), std::string("java\0-cp\0a:b", 12));
  exec.cmdline_cut = true;
  table.started(exec);
  EXPECT_EQ(table.cmdline(exec.task), "java -cp a:b …");
  const TaskInfo wordy = process(43);
  add(wordy, std::string("java\0", 5) + std::string(20'000, 'x'));
  EXPECT_THAT(table.cmdline(wordy), EndsWith("xxx …"));
  EXPECT_LE(table.cmdline(wordy).size(), 4200);
}

TEST_F(ProcessTableTest, AnotherProcessWithTheSamePidIsNotTaken) {
  ProcessTable table(root());
  const TaskInfo old = process(42, 100);
  const TaskInfo fresh = process(42, 200);
  add(fresh, "fresh");
  EXPECT_EQ(table.cmdline(old), "");
  EXPECT_EQ(table.cmdline(fresh), "fresh");
  // Each keeps its own.
  table.started(exec_of(old, "old"));
  EXPECT_EQ(table.cmdline(old), "old");
  EXPECT_EQ(table.cmdline(fresh), "fresh");
}

TEST_F(ProcessTableTest, TheStartMayDifferByLessThanATickOnly) {
  ProcessTable table(root());
  TaskInfo real = process(42);
  add(real, "hog");
  TaskInfo next = real;
  next.process.start_ns += tick_ns();
  EXPECT_EQ(table.cmdline(next), "");
  real.process.start_ns += tick_ns() - 8;
  EXPECT_EQ(table.cmdline(real), "hog");
}

TEST_F(ProcessTableTest, GoneOrUnreadableProcessesAreUnknown) {
  ProcessTable table(root());
  EXPECT_EQ(table.cmdline(process(1)), "");
  const TaskInfo broken = process(42);
  for (const char* stat : {"", "42", "42 (hog", "42 (hog) S 1 2", "42 (hog) S a b c d e f g h i j k l m n o p q r s"}) {
    add(broken, "hog");
    std::ofstream(dir_.path() + "/42/stat") << stat;
    ProcessTable again(root());
    EXPECT_EQ(again.cmdline(broken), "") << stat;
  }
}

TEST_F(ProcessTableTest, KeepsTheMostRecentlyUsedAndNoMore) {
  ProcessTable table(root(), 3);
  for (std::uint32_t pid = 1; pid <= 3; ++pid) {
    table.started(exec_of(process(pid), "p" + std::to_string(pid)));
  }
  table.seen(process(1));
  table.started(exec_of(process(4), "p4"));  // 2 goes
  EXPECT_EQ(table.size(), 3);
  EXPECT_EQ(table.cmdline(process(1)), "p1");
  EXPECT_EQ(table.cmdline(process(3)), "p3");
  EXPECT_EQ(table.cmdline(process(4)), "p4");
  EXPECT_EQ(table.cmdline(process(2)), "");
  EXPECT_EQ(table.size(), 3);
  for (std::uint32_t pid = 100; pid < 1100; ++pid) {
    table.started(exec_of(process(pid), "x"));
    table.seen(process(pid / 2));
    ASSERT_LE(table.size(), 3);
  }
}

TEST_F(ProcessTableTest, ATableOfNoSizeStillAnswers) {
  ProcessTable table(root(), 0);
  table.started(exec_of(process(1), "one"));
  EXPECT_EQ(table.cmdline(process(1)), "one");
  EXPECT_EQ(table.cmdline(process(2)), "");
  EXPECT_EQ(table.size(), 1);
}

}  // namespace
}  // namespace memcrest
