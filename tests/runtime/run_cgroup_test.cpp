// SPDX-License-Identifier: Apache-2.0
// The run verb's cgroup, command and guard on the machine's own memory controller. Needs root.
#include "app/run_cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "app/run_child.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr const char* kHog = MEMCREST_HOG;

bool comes_true(const std::function<bool()>& condition, std::chrono::milliseconds within = 5s) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

std::string slurp(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class RunCgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    auto opened = CgroupTree::open(SystemRoot{});
    ASSERT_TRUE(opened) << opened.error().message();
    tree_.emplace(std::move(*opened));
    char name[] = "/tmp/memcrest-run-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    scratch_ = name;
  }
  void TearDown() override {
    if (!scratch_.empty()) {
      fs::remove_all(scratch_);
    }
  }

  RunCgroup make(RunLimits limits = {}) {
    auto made = RunCgroup::create(*tree_, limits);
    if (!made) {
      throw std::runtime_error(made.error().message());
    }
    return std::move(*made);
  }

  // Runs a command to its end in a fresh cgroup and returns its exit code.
  int run(const std::vector<std::string>& argv, RunLimits limits = {}) {
    auto signals = RunSignals::open();
    auto cgroup = make(limits);
    auto child = RunChild::spawn(cgroup.dir(), cgroup.version(), argv, *signals);
    if (!child) {
      error_ = child.error().error.message();
      ignore_result(cgroup.remove());
      return child.error().exit_code;
    }
    EXPECT_TRUE(child->wait_for(*signals, 20s));
    figures_ = cgroup.figures();
    EXPECT_EQ(cgroup.remove(), RunCgroup::Removal::kRemoved);
    EXPECT_FALSE(fs::exists(cgroup.dir()));
    return child->exit()->code();
  }

  std::optional<CgroupTree> tree_;
  fs::path scratch_;
  RunFigures figures_;
  std::string error_;
};

TEST_F(RunCgroupTest, IsMadeWithItsLimitsAndRemoved) {
  auto cgroup = make({.memory = 32 * kMiB, .swap = 8 * kMiB});
  struct stat info{};
  ASSERT_EQ(::stat(cgroup.dir().c_str(), &info), 0);
  EXPECT_EQ(cgroup.id(), info.st_ino);
  EXPECT_THAT(cgroup.path(), HasSubstr("/memcrest-run-" + std::to_string(::getpid()) + "-"));
  EXPECT_EQ(*tree_->read_number(cgroup.path(), tree_->limit_file()), 32 * kMiB);
  if (cgroup.version() == 1) {
    EXPECT_EQ(slurp(cgroup.dir() + "/memory.memsw.limit_in_bytes"), std::to_string(40 * kMiB) + "\n");
  } else {
    EXPECT_EQ(slurp(cgroup.dir() + "/memory.swap.max"), std::to_string(8 * kMiB) + "\n");
  }
  EXPECT_EQ(cgroup.remove(), RunCgroup::Removal::kRemoved);
  EXPECT_FALSE(fs::exists(cgroup.dir()));
}

TEST_F(RunCgroupTest, TwoOfOneProcessHaveDifferentNames) {
  auto one = make();
  auto two = make();
  EXPECT_NE(one.path(), two.path());
  EXPECT_TRUE(one.remove());
  EXPECT_TRUE(two.remove());
}

TEST_F(RunCgroupTest, SwapWithoutMemoryIsRefusedWhereTheKernelCannotHoldIt) {
  if (tree_->version() != 1) {
    GTEST_SKIP() << "cgroup v2 limits swap on its own";
  }
  const auto made = RunCgroup::create(*tree_, {.memory = {}, .swap = kMiB});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), HasSubstr("--swap needs --memory"));
}

TEST_F(RunCgroupTest, ExitCodesPassThrough) {
  EXPECT_EQ(run({"sh", "-c", "exit 0"}), 0);
  EXPECT_EQ(run({"sh", "-c", "exit 7"}), 7);
  EXPECT_EQ(run({"sh", "-c", "kill -TERM $$"}), 128 + SIGTERM);
  EXPECT_EQ(run({"no-such-program-anywhere"}), kExitNotFound);
  EXPECT_THAT(error_, HasSubstr("no-such-program-anywhere"));
  EXPECT_EQ(run({"/proc/version"}), kExitNotExecutable);
  EXPECT_EQ(run({"/proc"}), kExitNotExecutable);
}

TEST_F(RunCgroupTest, TheCommandIsInsideFromTheStart) {
  auto signals = RunSignals::open();
  auto cgroup = make();
  const auto file = scratch_ / "cgroup";
  auto child = RunChild::spawn(cgroup.dir(), cgroup.version(),
                               {"sh", "-c", "cat /proc/self/cgroup > '" + file.native() + "'"}, *signals);
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->wait_for(*signals, 10s));
  EXPECT_THAT(slurp(file), HasSubstr(cgroup.path() + "\n"));
  EXPECT_TRUE(cgroup.remove());
}

// Born in the cgroup (clone3): tried on the empty v2 hierarchy that hybrid machines have too.
TEST_F(RunCgroupTest, Version2CommandIsBornInside) {
  std::string mount;
  for (const char* candidate : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (fs::exists(std::string(candidate) + "/cgroup.controllers")) {
      mount = candidate;
    }
  }
  if (mount.empty()) {
    GTEST_SKIP() << "no cgroup v2 hierarchy is mounted";
  }
  const std::string name = "memcrest-test-" + std::to_string(::getpid());
  const std::string dir = mount + '/' + name;
  ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
  auto signals = RunSignals::open();
  const auto file = scratch_ / "cgroup";
  auto child =
      RunChild::spawn(dir, 2, {"sh", "-c", "cat /proc/self/cgroup > '" + file.native() + "'; exit 3"}, *signals);
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->wait_for(*signals, 10s));
  EXPECT_EQ(child->exit()->code(), 3);
  EXPECT_THAT(slurp(file), HasSubstr("0::/" + name + "\n"));
  EXPECT_TRUE(remove_cgroup_tree(dir));
}

TEST_F(RunCgroupTest, TheCommandGetsTheSignalStateThatWeWereStartedWith) {
  const auto before = ::signal(SIGUSR2, SIG_IGN);  // as nohup would
  auto signals = RunSignals::open();
  const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);  // our own business
  auto cgroup = make();
  const auto file = scratch_ / "status";
  auto child = RunChild::spawn(cgroup.dir(), cgroup.version(), {"cp", "/proc/self/status", file.native()}, *signals);
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->wait_for(*signals, 10s));
  EXPECT_THAT(slurp(file), HasSubstr("SigBlk:\t0000000000000000\n"));
  EXPECT_THAT(slurp(file), HasSubstr("SigIgn:\t0000000000000800\n"));
  EXPECT_TRUE(cgroup.remove());
  ::signal(SIGUSR2, before);
  ::signal(SIGPIPE, pipe_before);
}

TEST_F(RunCgroupTest, NoDescriptorOfOursReachesTheCommand) {
  const auto file = scratch_ / "fds";
  const std::string list = "ls /proc/self/fd > '" + file.native() + "'";
  ASSERT_EQ(std::system(list.c_str()), 0);  // what we ourselves inherited
  const auto inherited = slurp(file);
  EXPECT_EQ(run({"sh", "-c", list}), 0);
  EXPECT_EQ(slurp(file), inherited);
}

TEST_F(RunCgroupTest, AnOomShowsInTheFigures) {
  EXPECT_EQ(run({kHog, "anon", "64m"}, {.memory = 16 * kMiB, .swap = 0}), 128 + SIGKILL);
  EXPECT_GE(figures_.oom_kills.value_or(0), 1U);
  if (figures_.peak_bytes) {
    EXPECT_EQ(*figures_.peak_bytes, 16 * kMiB);
  }
}

TEST_F(RunCgroupTest, ThePeakIsTheCommandsOwn) {
  EXPECT_EQ(run({kHog, "anon", "40m"}), 0);
  EXPECT_EQ(figures_.oom_kills, 0U);
  if (figures_.peak_bytes) {
    EXPECT_GE(*figures_.peak_bytes, 40 * kMiB);
    EXPECT_LT(*figures_.peak_bytes, 46 * kMiB);
  }
  EXPECT_LT(figures_.anon_bytes.value_or(0), 2 * kMiB);
}

TEST_F(RunCgroupTest, SignalsSentToUsReachTheCommand) {
  auto signals = RunSignals::open();
  auto cgroup = make();
  const auto ready = scratch_ / "ready";
  auto child = RunChild::spawn(
      cgroup.dir(), cgroup.version(),
      {"sh", "-c", "trap 'exit 42' TERM; : > '" + ready.native() + "'; while :; do sleep 0.02; done"}, *signals);
  ASSERT_TRUE(child);
  ASSERT_TRUE(comes_true([&] { return fs::exists(ready); }));
  EXPECT_FALSE(child->wait_for(*signals, 50ms));
  ::kill(::getpid(), SIGTERM);
  ASSERT_TRUE(child->wait_for(*signals, 5s));
  EXPECT_EQ(child->exit()->code(), 42);
  EXPECT_TRUE(cgroup.remove());
}

TEST_F(RunCgroupTest, CgroupsThatTheCommandMadeInsideGoToo) {
  auto cgroup = make();
  ASSERT_EQ(::mkdir((cgroup.dir() + "/inner").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((cgroup.dir() + "/inner/most").c_str(), 0755), 0);
  EXPECT_EQ(cgroup.remove(), RunCgroup::Removal::kRemoved);
  EXPECT_FALSE(fs::exists(cgroup.dir()));
}

TEST_F(RunCgroupTest, WhatTheCommandLeavesRunningIsReportedAndTheGuardCleansUpLater) {
  std::string dir;
  {
    auto signals = RunSignals::open();
    auto cgroup = make();
    dir = cgroup.dir();
    auto child = RunChild::spawn(dir, cgroup.version(), {"sh", "-c", "sleep 1 >/dev/null 2>&1 &"}, *signals);
    ASSERT_TRUE(child);
    ASSERT_TRUE(child->wait_for(*signals, 5s));
    EXPECT_EQ(cgroup.remove(), RunCgroup::Removal::kInUse);
    EXPECT_EQ(cgroup.members().size(), 1U);
  }
  EXPECT_TRUE(fs::exists(dir));
  EXPECT_TRUE(comes_true([&] { return !fs::exists(dir); }));
}

// A process that makes a cgroup, runs a command in it and is killed before it can clean up.
std::string killed_owner(const CgroupTree& tree, const fs::path& scratch, const std::vector<std::string>& argv) {
  const auto file = scratch / "dir";
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto signals = RunSignals::open();
    auto cgroup = RunCgroup::create(tree, {});
    if (cgroup && !argv.empty()) {
      ignore_result(RunChild::spawn(cgroup->dir(), cgroup->version(), argv, *signals));
    }
    std::ofstream(file.native() + ".new") << cgroup->dir();
    fs::rename(file.native() + ".new", file);
    ::pause();
    ::_exit(0);
  }
  EXPECT_TRUE(comes_true([&] { return fs::exists(file); }));
  const auto dir = slurp(file);
  EXPECT_TRUE(fs::exists(dir));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return dir;
}

TEST_F(RunCgroupTest, AKilledOwnersEmptyCgroupGoesAtOnce) {
  const auto dir = killed_owner(*tree_, scratch_, {});
  EXPECT_TRUE(comes_true([&] { return !fs::exists(dir); }));
}

TEST_F(RunCgroupTest, AKilledOwnersCommandRunsOnAndThenTheCgroupGoes) {
  const auto witness = scratch_ / "survived";
  const auto dir = killed_owner(*tree_, scratch_, {"sh", "-c", "sleep 0.6; : > '" + witness.native() + "'"});
  std::this_thread::sleep_for(200ms);
  EXPECT_TRUE(fs::exists(dir));
  EXPECT_TRUE(comes_true([&] { return !fs::exists(dir); }));
  EXPECT_TRUE(fs::exists(witness));
}

TEST_F(RunCgroupTest, OldEmptyCgroupsOfDeadOwnersGoWithTheNextRun) {
  const auto parent = tree_->dir_of(*choose_run_parent(*tree_));
  ASSERT_TRUE(parent);
  const pid_t dead = ::fork();
  if (dead == 0) {
    ::_exit(0);
  }
  ::waitpid(dead, nullptr, 0);
  const std::string old_one = *parent + "/memcrest-run-" + std::to_string(dead) + "-0";
  const std::string young_one = *parent + "/memcrest-run-" + std::to_string(dead) + "-1";
  const std::string other_name = *parent + "/memcrest-run-" + std::to_string(dead) + "-x";
  for (const auto& dir : {old_one, young_one, other_name}) {
    ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
  }
  for (const auto& dir : {old_one, other_name}) {
    const timespec minute_ago{::time(nullptr) - 60, 0};
    const timespec times[] = {minute_ago, minute_ago};
    ASSERT_EQ(::utimensat(AT_FDCWD, dir.c_str(), times, 0), 0);
  }
  auto cgroup = make();
  EXPECT_FALSE(fs::exists(old_one));
  EXPECT_TRUE(fs::exists(young_one));
  EXPECT_TRUE(fs::exists(other_name));
  EXPECT_TRUE(cgroup.remove());
  ::rmdir(young_one.c_str());
  ::rmdir(other_name.c_str());
}

// cgroup v2 lets no cgroup but the root hold processes and limited children at once: as under systemd, the parent does.
TEST_F(RunCgroupTest, AProcessInALeafUsesItsParent) {
  if (tree_->version() != 2) {
    GTEST_SKIP() << "cgroup v1 has no such rule";
  }
  const auto home = tree_->own_path();
  ASSERT_TRUE(home);
  const std::string parent = "/memcrest-test-" + std::to_string(::getpid());
  const std::string dir = *tree_->dir_of(parent);
  ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((dir + "/leaf").c_str(), 0755), 0);
  ASSERT_TRUE(write_file(dir + "/cgroup.subtree_control", "+memory"));
  ASSERT_TRUE(write_file(dir + "/leaf/cgroup.procs", "0"));
  {
    auto cgroup = make({.memory = 32 * kMiB});
    EXPECT_EQ(fs::path(cgroup.path()).parent_path(), fs::path(parent));
    EXPECT_TRUE(cgroup.remove());
  }
  ASSERT_TRUE(write_file(*tree_->dir_of(*home) + "/cgroup.procs", "0"));
  EXPECT_TRUE(remove_cgroup_tree(dir));
}

TEST_F(RunCgroupTest, TheGuardHoldsNoDescriptorOfOurs) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  auto guard = RunGuard::start();
  ASSERT_TRUE(guard);
  const std::string fds = "/proc/" + std::to_string(guard->pid()) + "/fd";
  EXPECT_TRUE(comes_true([&] { return std::distance(fs::directory_iterator(fs::path(fds)), {}) == 1; }));
  EXPECT_EQ(slurp("/proc/" + std::to_string(guard->pid()) + "/comm"), "memcrest-guard\n");
  ::close(ends[0]);
  ::close(ends[1]);
}

Result<std::string> chosen_in(const testing_support::FakeCgroups& host) {
  return choose_run_parent(*CgroupTree::open(host.root()));
}

TEST(ChooseRunParentTest, Version1TakesTheOwnCgroupElseTheRoot) {
  testing_support::FakeCgroups host;
  host.own_cgroup("4:memory:/a/b\n");
  EXPECT_EQ(chosen_in(host), "/");
  host.add("/a/b");
  EXPECT_EQ(chosen_in(host), "/a/b");
}

TEST(ChooseRunParentTest, Version2TakesTheNearestThatHandsMemoryDown) {
  testing_support::FakeCgroups host(testing_support::FakeCgroups::Version::kV2);
  host.add("/user.slice/session.scope");
  host.own_cgroup("0::/user.slice/session.scope\n");
  host.write("/user.slice/session.scope", "cgroup.subtree_control", "\n");
  host.write("/", "cgroup.subtree_control", "cpu memory pids\n");
  EXPECT_EQ(chosen_in(host), "/");
  host.write("/user.slice", "cgroup.subtree_control", "memory\n");
  EXPECT_EQ(chosen_in(host), "/user.slice");
}

TEST(ChooseRunParentTest, Version2SaysWhatToDoWhereNothingHandsMemoryDown) {
  testing_support::FakeCgroups host(testing_support::FakeCgroups::Version::kV2);
  host.add("/app");
  host.own_cgroup("0::/app\n");
  const auto chosen = chosen_in(host);
  ASSERT_FALSE(chosen);
  EXPECT_THAT(chosen.error().message(), HasSubstr("Delegate=yes"));
}

TEST(KeyedNumberTest, ReadsKeyValueFiles) {
  constexpr const char* kText = "anon 12\nanon_thp 7\nfile 40960\nlast 3";
  EXPECT_EQ(keyed_number(kText, "anon"), 12U);
  EXPECT_EQ(keyed_number(kText, "anon_thp"), 7U);
  EXPECT_EQ(keyed_number(kText, "last"), 3U);
  EXPECT_EQ(keyed_number(kText, "fil"), std::nullopt);
  EXPECT_EQ(keyed_number("anon\nanon x\n", "anon"), std::nullopt);
  EXPECT_EQ(keyed_number("", "anon"), std::nullopt);
}

}  // namespace
}  // namespace memcrest
