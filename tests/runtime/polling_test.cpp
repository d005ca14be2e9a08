// SPDX-License-Identifier: Apache-2.0
// Polling on the machine's own memory controller, v1 or v2. Needs root. Never more than its own cgroups runs out.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "collector/polling_source.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::Field;
using testing::SizeIs;
namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr const char* kHog = MEMCREST_HOG;

class PollingTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    auto opened = CgroupTree::open(SystemRoot{});
    ASSERT_TRUE(opened) << opened.error().message();
    tree_.emplace(std::move(*opened));
    path_ = "/memcrest-polling-" + std::to_string(::getpid());
    make(path_);
    if (tree_->version() == 2) {
      set(path_, "cgroup.subtree_control", "+memory");
    }
  }
  void TearDown() override {
    if (!tree_ || path_.empty()) {
      return;
    }
    // A task that hangs under OOM can only be killed; the cgroup goes once it is gone.
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    std::ranges::reverse(made_);
    for (const std::string& path : made_) {
      for (int i = 0; i < 200 && ::rmdir(dir(path).c_str()) != 0 && errno == EBUSY; ++i) {
        std::this_thread::sleep_for(10ms);
      }
      EXPECT_FALSE(fs::exists(dir(path)));
    }
  }

  std::string dir(const std::string& path) { return *tree_->dir_of(path); }
  bool has(const std::string& path, const char* file) { return fs::exists(dir(path) + "/" + file); }
  void make(const std::string& path) {
    ASSERT_EQ(::mkdir(dir(path).c_str(), 0755), 0) << path;
    made_.push_back(path);
  }
  std::string box(const std::string& name, std::uint64_t limit) {
    std::string path = path_ + "/" + name;
    make(path);
    set(path, tree_->limit_file(), std::to_string(limit));
    // No swap: the limit must be one.
    const bool v1 = tree_->version() == 1;
    if (has(path, tree_->swap_limit_file())) {
      set(path, tree_->swap_limit_file(), v1 ? std::to_string(limit) : "0");
    }
    return path;
  }
  void set(const std::string& path, const std::string& file, const std::string& value) {
    const auto written = write_file(dir(path) + "/" + file, value);
    ASSERT_TRUE(written) << written.error().message();
  }
  pid_t run(const std::string& path, std::vector<std::string> arguments) {
    const std::string procs = dir(path) + "/cgroup.procs";
    arguments.insert(arguments.begin(), kHog);
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      const int fd = ::open(procs.c_str(), O_WRONLY);
      if (fd < 0 || ::write(fd, "0", 1) != 1) {
        ::_exit(98);
      }
      ::execv(kHog, argv.data());
      ::_exit(99);
    }
    children_.push_back(child);
    return child;
  }
  int end_of(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    std::erase(children_, child);
    return status;
  }

  void start(PollingSettings settings) {
    auto opened = PollingSource::open(*tree_, clock_, SystemRoot{}, settings);
    ASSERT_TRUE(opened) << opened.error().message();
    source_ = std::move(*opened);
    poll(0ms);
    events_.clear();
  }
  void poll(std::chrono::milliseconds timeout) { source_->poll(timeout, events_); }
  bool until(const std::function<bool()>& condition, std::chrono::milliseconds within = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      poll(100ms);
    }
    return true;
  }
  // What was told of cgroups at or below `path`; others may be at work on this machine.
  template <typename T>
  std::vector<T> told(const std::string& path) {
    std::vector<T> out;
    for (const Event& event : events_) {
      if (const T* typed = std::get_if<T>(&event); typed != nullptr && typed->path.starts_with(path)) {
        out.push_back(*typed);
      }
    }
    return out;
  }
  std::uint64_t id(const std::string& path) {
    struct stat info{};
    return ::stat(dir(path).c_str(), &info) == 0 ? info.st_ino : 0;
  }

  std::optional<CgroupTree> tree_;
  std::string path_;
  std::vector<std::string> made_;
  std::vector<pid_t> children_;
  SystemClock clock_;
  std::unique_ptr<PollingSource> source_;
  std::vector<Event> events_;
};

TEST_F(PollingTest, AKillIsCountedWhereItHappened) {
  const std::string path = box("box", 24 * kMiB);
  start({.oom_counts = true});
  const std::uint64_t before = clock_.boot_ns();
  const pid_t child = run(path, {"anon", "64m"});
  ASSERT_TRUE(until([&] { return !told<OomCountEvent>(path_).empty(); }));
  EXPECT_TRUE(WIFSIGNALED(end_of(child)));
  const auto events = told<OomCountEvent>(path_);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, path);
  EXPECT_EQ(events[0].cgroup_id, id(path));
  EXPECT_EQ(events[0].kills, 1);
  EXPECT_FALSE(events[0].group_kill);
  EXPECT_EQ(events[0].limit_path, events[0].path);
  EXPECT_EQ(events[0].limit_bytes, 24 * kMiB);
  EXPECT_GE(events[0].time_ns, before);
  EXPECT_LE(events[0].window_ns, 2'000'000'000);
  if (has(path, tree_->peak_file())) {
    EXPECT_GE(events[0].peak_bytes.value_or(0), 23 * kMiB);
  }
  until([] { return false; }, 300ms);
  EXPECT_THAT(told<OomCountEvent>(path_), SizeIs(1)) << "told once";
}

TEST_F(PollingTest, AKillForAnAncestorsLimitIsNotTheOwnOne) {
  const std::string pod = box("pod", 24 * kMiB);
  if (tree_->version() == 2) {
    set(pod, "cgroup.subtree_control", "+memory");
  }
  const std::string path = pod + "/web";
  make(path);
  start({.oom_counts = true});
  run(path, {"anon", "64m"});
  ASSERT_TRUE(until([&] { return !told<OomCountEvent>(path_).empty(); }));
  const auto events = told<OomCountEvent>(path_);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, path);
  EXPECT_NE(events[0].limit_path, events[0].path);
}

TEST_F(PollingTest, AGroupKillIsOneEventWithAllItsVictims) {
  const std::string path = box("group", 24 * kMiB);
  if (!has(path, "memory.oom.group")) {
    GTEST_SKIP() << "no memory.oom.group with this version of cgroups";
  }
  set(path, "memory.oom.group", "1");
  start({.oom_counts = true});
  run(path, {"sleep", "60000"});
  run(path, {"sleep", "60000"});
  run(path, {"sleep", "300", "anon", "64m"});
  ASSERT_TRUE(until([&] { return !told<OomCountEvent>(path_).empty(); }));
  until([] { return false; }, 300ms);
  const auto events = told<OomCountEvent>(path_);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_TRUE(events[0].group_kill);
  EXPECT_EQ(events[0].kills, 3);
  EXPECT_EQ(events[0].limit_path, events[0].path);
}

TEST_F(PollingTest, AKillWhoseCgroupIsGoneIsCounted) {
  const std::string path = box("brief", 16 * kMiB);
  start({.oom_counts = true});
  if (!source_->gone_unread()) {
    GTEST_SKIP() << "only a part of the hierarchy is visible here";
  }
  EXPECT_TRUE(WIFSIGNALED(end_of(run(path, {"anon", "64m"}))));
  const std::uint64_t before = *source_->gone_unread();
  ASSERT_EQ(::rmdir(dir(path).c_str()), 0);
  EXPECT_TRUE(until([&] { return *source_->gone_unread() > before; }));
  EXPECT_THAT(told<OomCountEvent>(path_), SizeIs(0));
}

TEST_F(PollingTest, ABurstHeldFor200MsIsSeen) {
  const std::string path = box("burst", 256 * kMiB);
  start({.usage = true});
  const std::uint64_t cgroup = id(path);
  const pid_t child = run(path, {"anon", "64m", "--hold", "200"});
  std::uint64_t highest = 0;
  std::uint64_t watermark = 0;
  bool fell = false;
  until([&] {
    for (const Event& event : events_) {
      const auto* step = std::get_if<StepEvent>(&event);
      if (step == nullptr || step->cgroup_id != cgroup) {
        continue;
      }
      EXPECT_TRUE(step->foreign);
      EXPECT_EQ(step->limit_bytes, 256 * kMiB);
      EXPECT_EQ(step->quantum_bytes, 2 * kMiB);
      highest = std::max(highest, step->usage_bytes);
      watermark = std::max(watermark, step->watermark_bytes);
      fell = fell || (step->down && step->usage_bytes < 8 * kMiB);
    }
    events_.clear();
    return fell;
  });
  EXPECT_EQ(end_of(child), 0);
  EXPECT_GE(highest, 62 * kMiB);
  EXPECT_GE(watermark, 62 * kMiB);
  EXPECT_TRUE(fell);
}

TEST_F(PollingTest, CgroupsThatComeAndGoAreTold) {
  start({.lifecycle = true});
  ASSERT_TRUE(source_->all_watched());
  const std::string path = path_ + "/new";
  make(path);
  const std::uint64_t cgroup = id(path);
  ASSERT_TRUE(until([&] { return !told<CgroupEvent>(path).empty(); }, 1s));
  const CgroupEvent created = told<CgroupEvent>(path).front();
  EXPECT_TRUE(created.created);
  EXPECT_EQ(created.cgroup_id, cgroup);
  EXPECT_EQ(created.parent_id, id(path_));
  events_.clear();
  ASSERT_EQ(::rmdir(dir(path).c_str()), 0);
  ASSERT_TRUE(until([&] { return !told<CgroupEvent>(path).empty(); }, 1s));
  EXPECT_FALSE(told<CgroupEvent>(path).front().created);
}

TEST_F(PollingTest, AHangUnderOomKillDisableIsToldWithItsTasksAndItsEnd) {
  const std::string path = box("stuck", 16 * kMiB);
  if (!has(path, "memory.oom_control")) {
    GTEST_SKIP() << "no memory.oom_control with this version of cgroups";
  }
  set(path, "memory.oom_control", "1");
  make(path + "/inner");
  start({.stuck = true});
  const pid_t child = run(path + "/inner", {"anon", "32m", "--hold", "100"});
  const pid_t bystander = run(path + "/inner", {"sleep", "60000"});
  ASSERT_TRUE(until([&] { return !told<StuckEvent>(path_).empty(); }, 20s));
  StuckEvent event = told<StuckEvent>(path_).front();
  EXPECT_FALSE(event.ended);
  EXPECT_EQ(event.path, path) << "where the limit is";
  EXPECT_EQ(event.cgroup_id, id(path));
  EXPECT_EQ(event.limit_bytes, 16 * kMiB);
  EXPECT_GE(event.usage_bytes, 15 * kMiB);
  EXPECT_GE(event.time_ns - event.since_ns, 1'000'000'000);
  EXPECT_THAT(event.tasks, Contains(Field(&StuckTask::pid, static_cast<std::uint32_t>(child))));
  EXPECT_THAT(event.tasks, Contains(Field(&StuckTask::comm, "hog")));
  const auto waits = read_file("/proc/" + std::to_string(bystander) + "/wchan");
  if (waits && *waits != "0" && !waits->empty()) {
    EXPECT_THAT(event.tasks, SizeIs(1)) << "the one that sleeps beside it does not wait for memory";
    EXPECT_EQ(event.total_tasks, 1);
  }
  events_.clear();
  if (has(path, tree_->swap_limit_file())) {
    set(path, tree_->swap_limit_file(), std::to_string(64 * kMiB));
  }
  set(path, tree_->limit_file(), std::to_string(64 * kMiB));
  EXPECT_EQ(end_of(child), 0) << "it went on";
  ASSERT_TRUE(until([&] { return !told<StuckEvent>(path_).empty(); }));
  event = told<StuckEvent>(path_).front();
  EXPECT_TRUE(event.ended);
  EXPECT_EQ(event.limit_bytes, 64 * kMiB);
  EXPECT_THAT(event.tasks, Contains(Field(&StuckTask::pid, static_cast<std::uint32_t>(child))));
}

}  // namespace
}  // namespace memcrest
