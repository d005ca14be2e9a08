// SPDX-License-Identifier: Apache-2.0
#include "collector/process_table.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

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
  void link_exe(const TaskInfo& who, const std::string& target) {
    const std::string link = dir_.path() + "/" + std::to_string(who.process.tgid) + "/exe";
    std::filesystem::remove(link);
    std::filesystem::create_symlink(target, link);
  }
  static void read_running(ProcessTable& table) {
    table.read_running();
    for (int i = 0; table.take_running(); ++i) {
      ASSERT_LT(i, 5000);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
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
  table.seen(hog.process);
  end(hog);
  EXPECT_EQ(table.cmdline(hog.process), "hog --size 'two words'");
}

// A kill(1) is gone at once; the shell that ran it is there.
TEST_F(ProcessTableTest, ParentsAreKnownFromEventsAndFromProc) {
  ProcessTable table(root());
  const auto started = [&](const TaskInfo& who, const std::string& name, std::uint32_t parent) {
    ExecEvent event = exec_of(who, name + std::string(1, '\0'));
    event.task.comm = name;
    event.parent_tgid = parent;
    table.started(event);
  };
  add(process(40, 80), std::string("sshd\0", 5), "sshd");
  started(process(41, 90), "bash", 40);
  started(process(42, 100), "kill", 41);
  const auto parents = table.parents(process(42, 100).process);
  ASSERT_EQ(parents.size(), 2U);
  EXPECT_EQ(parents[0].comm, "bash");
  EXPECT_EQ(parents[0].pid, 41U);
  EXPECT_EQ(parents[1].comm, "sshd");
  EXPECT_EQ(parents[1].cmdline, "sshd");

  add(process(71, 90), std::string("bash\0--login\0", 13), "bash");
  started(process(71, 90), "bash", 40);
  const std::size_t before = table.size();
  started(process(72, 100), "kill", 71);
  ASSERT_EQ(table.parents(process(72, 100).process).size(), 2U);
  EXPECT_EQ(table.parents(process(72, 100).process)[0].cmdline, "bash") << "as the event told it";
  EXPECT_EQ(table.size(), before + 1) << "no second entry for one that still runs";

  started(process(81, 50), "backup", 40);
  started(process(82, 100), "kill", 81);
  EXPECT_TRUE(table.parents(process(82, 100).process).empty()) << "long gone: the id may have been another's since";

  started(process(52, 100), "kill", 51);
  add(process(51, 200), std::string("other\0", 6), "other");
  EXPECT_TRUE(table.parents(process(52, 100).process).empty()) << "that id was taken later";
  started(process(61, 100), "loop", 61);
  EXPECT_EQ(table.parents(process(61, 100).process).size(), 8U) << "whatever it says, it ends";
}

TEST_F(ProcessTableTest, OfTheEnvironmentOnlySettingsOfMemory) {
  const TaskInfo before = process(42);
  const TaskInfo told = process(43);
  for (const TaskInfo& who : {before, told}) {
    add(who, std::string("server\0", 7));
    link_exe(who, "/bin/server");
    std::ofstream(dir_.path() + "/" + std::to_string(who.process.tgid) + "/environ")
        << std::string("TOKEN=secret\0GOMEMLIMIT=1GiB\0", 30);
  }
  ProcessTable table(root());
  table.seen(before.process, true);
  table.started(exec_of(told, std::string("server\0", 7)));
  EXPECT_EQ(table.environment(told.process), "GOMEMLIMIT=1GiB") << "an event told of it, the environment is read";
  end(before);
  end(told);
  EXPECT_EQ(table.environment(before.process), "GOMEMLIMIT=1GiB");
  EXPECT_EQ(table.environment(told.process), "GOMEMLIMIT=1GiB");
  add(before, std::string("server\0", 7));
  ProcessTable names_only(root(), 16, CmdlineDetail::kProgramOnly);
  std::ofstream(dir_.path() + "/42/environ") << "GOGC=off";
  EXPECT_EQ(names_only.environment(before.process), "");
}

// Half of a number is another number.
TEST_F(ProcessTableTest, AnEnvironmentThatIsTooLongEndsWithAWholeEntry) {
  const TaskInfo who = process(42);
  add(who, std::string("server\0", 7));
  const std::string filler = "X=" + std::string((128U << 10U) - 2 - 12, 'x') + std::string(1, '\0');
  std::ofstream(dir_.path() + "/42/environ") << filler << "GOMEMLIMIT=1000000000" << '\0';
  ProcessTable table(root());
  EXPECT_EQ(table.environment(who.process), "");
}

TEST_F(ProcessTableTest, CountsFieldsFromTheLastParenthesisOfTheName) {
  ProcessTable table(root());
  const TaskInfo evil = process(42);
  add(evil, "evil", "a) S 1 2 3 (b) 4");
  EXPECT_EQ(table.cmdline(evil.process), "evil");
}

TEST_F(ProcessTableTest, AnExecBeatsWhatProcSaid) {
  ProcessTable table(root());
  const TaskInfo child = process(42);
  add(child, std::string("shell\0", 6));
  table.seen(child.process);
  table.started(exec_of(child, std::string("hog\0anon\0", 9)));
  table.seen(child.process);
  EXPECT_EQ(table.cmdline(child.process), "hog anon");
  table.started(exec_of(child, std::string("other\0", 6)));
  EXPECT_EQ(table.cmdline(child.process), "other");
}

TEST_F(ProcessTableTest, ACutCommandLineSaysSo) {
  ProcessTable table(root());
  ExecEvent exec = exec_of(process(42), std::string("java\0-cp\0a:b", 12));
  exec.cmdline_cut = true;
  table.started(exec);
  EXPECT_EQ(table.cmdline(exec.task.process), "java -cp a:b …");
  const TaskInfo wordy = process(43);
  add(wordy, std::string("java\0", 5) + std::string(20'000, 'x'));
  EXPECT_THAT(table.cmdline(wordy.process), EndsWith("xxx …"));
  EXPECT_LE(table.cmdline(wordy.process).size(), 4200);
}

TEST_F(ProcessTableTest, AnotherProcessWithTheSamePidIsNotTaken) {
  ProcessTable table(root());
  const TaskInfo old = process(42, 100);
  const TaskInfo fresh = process(42, 200);
  add(fresh, "fresh");
  EXPECT_EQ(table.cmdline(old.process), "");
  EXPECT_EQ(table.cmdline(fresh.process), "fresh");
  // Each keeps its own.
  table.started(exec_of(old, "old"));
  EXPECT_EQ(table.cmdline(old.process), "old");
  EXPECT_EQ(table.cmdline(fresh.process), "fresh");
}

TEST_F(ProcessTableTest, TheStartMayDifferByLessThanATickOnly) {
  ProcessTable table(root());
  TaskInfo real = process(42);
  add(real, "hog");
  TaskInfo next = real;
  next.process.start_ns += tick_ns();
  EXPECT_EQ(table.cmdline(next.process), "");
  real.process.start_ns += tick_ns() - 8;
  EXPECT_EQ(table.cmdline(real.process), "hog");
}

TEST_F(ProcessTableTest, GoneOrUnreadableProcessesAreUnknown) {
  ProcessTable table(root());
  EXPECT_EQ(table.cmdline(process(1).process), "");
  const TaskInfo broken = process(42);
  for (const char* stat : {"", "42", "42 (hog", "42 (hog) S 1 2", "42 (hog) S a b c d e f g h i j k l m n o p q r s"}) {
    add(broken, "hog");
    std::ofstream(dir_.path() + "/42/stat") << stat;
    ProcessTable again(root());
    EXPECT_EQ(again.cmdline(broken.process), "") << stat;
  }
}

TEST_F(ProcessTableTest, KeepsTheMostRecentlyUsedAndNoMore) {
  ProcessTable table(root(), 3);
  for (std::uint32_t pid = 1; pid <= 3; ++pid) {
    table.started(exec_of(process(pid), "p" + std::to_string(pid)));
  }
  table.seen(process(1).process);
  table.started(exec_of(process(4), "p4"));  // 2 goes
  EXPECT_EQ(table.size(), 3);
  EXPECT_EQ(table.cmdline(process(1).process), "p1");
  EXPECT_EQ(table.cmdline(process(3).process), "p3");
  EXPECT_EQ(table.cmdline(process(4).process), "p4");
  EXPECT_EQ(table.cmdline(process(2).process), "");
  EXPECT_EQ(table.size(), 3);
  for (std::uint32_t pid = 100; pid < 1100; ++pid) {
    table.started(exec_of(process(pid), "x"));
    table.seen(process(pid / 2).process);
    ASSERT_LE(table.size(), 3);
  }
}

TEST_F(ProcessTableTest, ATableOfNoSizeStillAnswers) {
  ProcessTable table(root(), 0);
  table.started(exec_of(process(1), "one"));
  EXPECT_EQ(table.cmdline(process(1).process), "one");
  EXPECT_EQ(table.cmdline(process(2).process), "");
  EXPECT_EQ(table.size(), 1);
}

TEST_F(ProcessTableTest, SecretsAreMaskedWhereverTheLineComesFrom) {
  ProcessTable table(root());
  table.started(exec_of(process(41), std::string("hog\0--password\0hunter2\0", 23)));
  EXPECT_EQ(table.cmdline(process(41).process), "hog --password '***'");
  ExecEvent cut = exec_of(process(42), std::string("hog\0ghp_abcd", 12));
  cut.cmdline_cut = true;
  table.started(cut);
  EXPECT_EQ(table.cmdline(process(42).process), "hog '***' …");
  add(process(43), std::string("hog\0TOKEN=abc\0", 14));
  EXPECT_EQ(table.cmdline(process(43).process), "hog 'TOKEN=***'");
}

TEST_F(ProcessTableTest, RedactedLinesKeepTheProgramOnly) {
  ProcessTable table(root(), 16, CmdlineDetail::kProgramOnly);
  table.started(exec_of(process(41), std::string("hog\0anon\00064m\0", 13)));
  EXPECT_EQ(table.cmdline(process(41).process), "hog [redacted]");
  add(process(42), std::string("hog\0", 4));
  EXPECT_EQ(table.cmdline(process(42).process), "hog");
}

TEST_F(ProcessTableTest, TheExecutableComesFromProcWhileItLives) {
  ProcessTable table(root());
  ExecEvent exec = exec_of(process(42), "sh");
  exec.exe = "/bin/sh";
  table.started(exec);
  EXPECT_EQ(table.exe(process(42).process), "/bin/sh") << "as it was asked for";
  table.started(exec);
  add(process(42), "sh");
  link_exe(process(42), "/usr/bin/busybox");
  table.seen(process(42).process);
  end(process(42));
  EXPECT_EQ(table.exe(process(42).process), "/usr/bin/busybox");
  EXPECT_EQ(table.cmdline(process(42).process), "sh");
  // The next program of the same process: what /proc said is of the last one.
  exec.exe = "/bin/hog";
  table.started(exec);
  EXPECT_EQ(table.exe(process(42).process), "/bin/hog");
}

TEST_F(ProcessTableTest, APathThatSaysNothingLaterIsNotKept) {
  ProcessTable table(root());
  for (const char* path : {"./hog", "hog", "../hog", "/dev/fd/5", "/proc/self/fd/6", ""}) {
    ExecEvent exec = exec_of(process(42), "hog");
    exec.exe = path;
    table.started(exec);
    EXPECT_EQ(table.exe(process(42).process), "") << path;
  }
}

TEST_F(ProcessTableTest, TheExecutableOfAnotherProcessIsNotTaken) {
  ProcessTable table(root());
  const TaskInfo old = process(42, 100);
  add(process(42, 200), "fresh");
  link_exe(process(42, 200), "/bin/fresh");
  EXPECT_EQ(table.exe(old.process), "");
  table.started(exec_of(process(42, 150), "x"));
  EXPECT_EQ(table.exe(process(42, 150).process), "");
  EXPECT_EQ(table.exe(process(42, 200).process), "/bin/fresh");
  const TaskInfo far = process(43);
  add(far, "far");
  link_exe(far, "/" + std::string(3000, 'x'));
  EXPECT_EQ(table.exe(far.process), "") << "a path that was cut is no path";
}

TEST_F(ProcessTableTest, WhatRanBeforeIsReadInTime) {
  ProcessTable table(root());
  for (std::uint32_t pid = 1; pid <= 100; ++pid) {
    add(process(pid), "p" + std::to_string(pid));
    link_exe(process(pid), "/bin/p" + std::to_string(pid));
  }
  add(process(200), "");                                      // a kernel thread
  std::filesystem::create_directories(dir_.path() + "/300");  // gone between two looks
  std::filesystem::create_directories(dir_.path() + "/12x");
  EXPECT_FALSE(table.take_running()) << "nobody asked for it yet";
  read_running(table);
  EXPECT_FALSE(table.take_running());
  EXPECT_EQ(table.size(), 100);
  for (std::uint32_t pid = 1; pid <= 100; ++pid) {
    end(process(pid));
  }
  // An event knows the start to the nanosecond, /proc to a tick.
  EXPECT_EQ(table.cmdline(process(7).process), "p7");
  EXPECT_EQ(table.exe(process(7).process), "/bin/p7");
  TaskInfo other = process(7);
  other.process.start_ns += tick_ns();
  EXPECT_EQ(table.cmdline(other.process), "");
  table.started(exec_of(process(8), "next"));
  EXPECT_EQ(table.cmdline(process(8).process), "next");
}

TEST_F(ProcessTableTest, WhatEventsToldIsNotReadAgain) {
  ProcessTable table(root());
  table.started(exec_of(process(5), "from the event"));
  add(process(5), "from proc");
  read_running(table);
  EXPECT_EQ(table.cmdline(process(5).process), "from the event");
  EXPECT_EQ(table.size(), 1);
}

TEST_F(ProcessTableTest, TheRunningOnesFillHalfOfTheTableAtMost) {
  ProcessTable table(root(), 20);
  for (std::uint32_t pid = 1; pid <= 100; ++pid) {
    add(process(pid), "p");
  }
  read_running(table);
  EXPECT_EQ(table.size(), 10);
}

// A process can make its own command line hang (a page of it in a file system of its own that does not answer).
TEST_F(ProcessTableTest, AProcessThatHangsHoldsUpNobody) {
  const TaskInfo evil = process(7);
  add(evil, "evil");
  std::filesystem::remove(dir_.path() + "/7/cmdline");
  ASSERT_EQ(::mkfifo((dir_.path() + "/7/cmdline").c_str(), 0600), 0);  // open waits for a writer
  {
    ProcessTable table(root());
    table.read_running();
    EXPECT_TRUE(table.take_running());
    table.started(exec_of(process(8), "other"));
    EXPECT_EQ(table.cmdline(process(8).process), "other");
  }
  std::ofstream(dir_.path() + "/7/cmdline") << "x";  // lets the thread go on
}

TEST_F(ProcessTableTest, AnExecThatWasSeenIsNotReadAgain) {
  ProcessTable table(root());
  const TaskInfo evil = process(7);
  add(evil, "evil");
  link_exe(evil, "/bin/evil");
  std::filesystem::remove(dir_.path() + "/7/cmdline");
  ASSERT_EQ(::mkfifo((dir_.path() + "/7/cmdline").c_str(), 0600), 0);
  table.started(exec_of(evil, "evil"));
  table.seen(evil.process);
  EXPECT_EQ(table.cmdline(evil.process), "evil");
  EXPECT_EQ(table.exe(evil.process), "/bin/evil");
}

TEST_F(ProcessTableTest, WithoutProcNothingIsReadAndNothingFails) {
  ProcessTable table({.proc = dir_.path() + "/nowhere", .sys = "", .run = ""});
  read_running(table);
  EXPECT_EQ(table.size(), 0);
}

// As one whose arguments lie in memory that its own file system does not deliver.
TEST_F(ProcessTableTest, AProcessThatHangsIsNotWaitedFor) {
  const TaskInfo hostile = process(7);
  add(hostile, "");
  const std::string cmdline = dir_.path() + "/7/cmdline";
  std::filesystem::remove(cmdline);
  ASSERT_EQ(::mkfifo(cmdline.c_str(), 0600), 0);
  link_exe(hostile, "/bin/hostile");
  add(process(8), "hog");

  ProcessTable table(root());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(table.cmdline(hostile.process), "");
  EXPECT_EQ(table.cmdline(hostile.process), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_EQ(table.exe(hostile.process), "/bin/hostile");
  EXPECT_EQ(table.cmdline(process(8).process), "hog");
  const int writer = ::open(cmdline.c_str(), O_WRONLY | O_NONBLOCK);  // lets the reader go
  EXPECT_GE(writer, 0) << "nobody reads it";
  ::close(writer);
}

}  // namespace
}  // namespace memcrest
