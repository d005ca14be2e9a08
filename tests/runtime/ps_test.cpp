// SPDX-License-Identifier: Apache-2.0
// What `memcrest ps --json` says of containers' memory, against the kernel's own files: on whichever version of cgroups
// this machine has. No container runtime is needed: the path alone tells that a cgroup is a container's. Needs root.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "identity/cgroup_tree.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1U << 20U;
// The kernel charges ahead, per processor: two looks at an idle cgroup may differ by so much.
constexpr auto kSlack = static_cast<std::int64_t>(2 * kMiB);

class PsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    auto opened = CgroupTree::open(SystemRoot{});
    ASSERT_TRUE(opened) << opened.error().message();
    tree_.emplace(std::move(*opened));
    pod_ = "/memcrest_ps_" + std::to_string(::getpid()) + ".slice";
    container_ = pod_ + "/cri-containerd-" + std::string(64, 'a') + ".scope";
    fs::create_directory(dir(pod_));
    if (tree_->version() == 2) {
      write(pod_, "cgroup.subtree_control", "+memory");
    }
    fs::create_directory(dir(container_));
  }

  void TearDown() override {
    for (const pid_t pid : running_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    for (const std::string& path : {container_, pod_}) {
      std::error_code error;
      for (int i = 0; i < 100 && !path.empty() && !fs::remove(dir(path), error); ++i) {
        std::this_thread::sleep_for(20ms);  // the kernel lets go of a dead process's memory by and by
      }
    }
  }

  [[nodiscard]] std::string dir(const std::string& path) const { return *tree_->dir_of(path); }
  void write(const std::string& path, const std::string& file, const std::string& value) const {
    std::ofstream out(dir(path) + "/" + file);
    out << value << std::flush;
    ASSERT_TRUE(out) << path << "/" << file;
  }
  void limit(const std::string& path, std::uint64_t bytes) const {
    write(path, tree_->limit_file(), std::to_string(bytes));
  }
  [[nodiscard]] std::uint64_t number(const std::string& path, const std::string& file) const {
    return tree_->read_number(path, file).value().value();
  }
  [[nodiscard]] std::uint64_t usage(const std::string& path) const { return number(path, tree_->usage_file()); }

  // Starts hog in the container; it is ended with the test.
  pid_t start(const std::vector<const char*>& arguments) {
    std::vector<const char*> argv = {MEMCREST_HOG};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.push_back(nullptr);
    const std::string procs = dir(container_) + "/cgroup.procs";
    const pid_t pid = ::fork();
    if (pid == 0) {
      const int fd = ::open(procs.c_str(), O_WRONLY | O_CLOEXEC);
      if (::write(fd, "0", 1) == 1) {
        ::execv(MEMCREST_HOG, const_cast<char**>(argv.data()));
      }
      ::_exit(126);
    }
    running_.push_back(pid);
    return pid;
  }
  // Starts hog and waits for its end; its wait status.
  int run(const std::vector<const char*>& arguments) {
    const pid_t pid = start(arguments);
    running_.pop_back();
    int status = -1;
    ::waitpid(pid, &status, 0);
    return status;
  }
  void hold(const char* size, std::uint64_t bytes) {
    start({"anon", size, "--hold", "600000"});
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (usage(container_) < bytes) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(10ms);
    }
  }

  // The container's line; no daemon is asked.
  [[nodiscard]] json row() const {
    const std::string command = std::string(MEMCREST_PROGRAM) +
                                " ps --json --docker-socket= --podman-socket= --no-bundles --cgroup '" + pod_ +
                                "/**' 2>/dev/null";
    std::FILE* const out = ::popen(command.c_str(), "r");
    std::string text;
    for (int c = std::fgetc(out); c != EOF; c = std::fgetc(out)) {
      text += static_cast<char>(c);
    }
    EXPECT_EQ(::pclose(out), 0);
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    return json::parse(text.substr(0, text.find('\n')));
  }

  std::optional<CgroupTree> tree_;
  std::string pod_;
  std::string container_;
  std::vector<pid_t> running_;
};

std::uint64_t bytes(const json& value) { return value.get<std::uint64_t>(); }

void expect_near(const json& told, std::uint64_t is) {
  EXPECT_LE(std::abs(told.get<std::int64_t>() - static_cast<std::int64_t>(is)), kSlack) << told << " for " << is;
}

TEST_F(PsTest, UsageLimitAndPeakOfAContainer) {
  limit(container_, 64 * kMiB);
  ASSERT_EQ(run({"anon", "40m"}), 0);
  hold("8m", 8 * kMiB);
  const json found = row();
  EXPECT_EQ(found["kind"], "container");
  EXPECT_EQ(found["container"]["runtime"], "containerd");
  EXPECT_EQ(found["container"]["id"], std::string(64, 'a'));
  EXPECT_EQ(found["cgroup"]["path"], container_);
  expect_near(found["usage_bytes"], usage(container_));
  EXPECT_LT(bytes(found["usage_bytes"]), 24 * kMiB) << "the first program's memory is given back";
  EXPECT_EQ(found["has_limit"], true);
  EXPECT_EQ(bytes(found["limit_bytes"]), 64 * kMiB);
  EXPECT_EQ(bytes(found["effective_limit"]["bytes"]), 64 * kMiB);
  EXPECT_EQ(found["effective_limit"]["cgroup_path"], container_);
  EXPECT_EQ(found["oom_kills"], 0);
  if (fs::exists(dir(container_) + "/" + tree_->peak_file())) {
    EXPECT_EQ(bytes(found["peak_bytes"]), number(container_, tree_->peak_file()));
    EXPECT_GE(bytes(found["peak_bytes"]), 40 * kMiB);
  } else {  // cgroup v2 before 5.19
    EXPECT_TRUE(found["peak_bytes"].is_null());
  }
}

TEST_F(PsTest, AnAncestorsLimitThatIsTheSmallerOne) {
  limit(pod_, 32 * kMiB);
  limit(container_, 64 * kMiB);
  hold("8m", 8 * kMiB);
  const json found = row();
  EXPECT_EQ(bytes(found["limit_bytes"]), 64 * kMiB);
  EXPECT_EQ(bytes(found["effective_limit"]["bytes"]), 32 * kMiB);
  EXPECT_EQ(found["effective_limit"]["cgroup_path"], pod_);
  expect_near(found["effective_limit"]["usage_bytes"], usage(pod_));
  EXPECT_GT(found["share_of_limit"].get<double>(), 0.25);
  EXPECT_LT(found["share_of_limit"].get<double>(), 0.4);
}

TEST_F(PsTest, NoLimitOfItsOwn) {
  limit(pod_, 32 * kMiB);
  hold("8m", 8 * kMiB);
  const json found = row();
  EXPECT_EQ(found["has_limit"], false);
  EXPECT_TRUE(found["limit_bytes"].is_null());
  EXPECT_EQ(bytes(found["effective_limit"]["bytes"]), 32 * kMiB);
}

TEST_F(PsTest, SwapLimit) {
  limit(container_, 64 * kMiB);
  if (!fs::exists(dir(container_) + "/" + tree_->swap_limit_file())) {
    GTEST_SKIP() << "this kernel does not account swap";
  }
  write(container_, tree_->swap_limit_file(), std::to_string(96 * kMiB));
  hold("8m", 8 * kMiB);
  const json found = row();
  EXPECT_EQ(found["swap"]["kind"], tree_->swap_limit_file());
  EXPECT_EQ(bytes(found["swap"]["limit_bytes"]), 96 * kMiB);
  if (tree_->version() == 2) {
    EXPECT_EQ(found["swap"]["usage_bytes"], 0);
  } else {  // memory and swap together
    expect_near(found["swap"]["usage_bytes"], usage(container_));
  }
}

TEST_F(PsTest, OomKillsAreCounted) {
  limit(container_, 32 * kMiB);
  if (fs::exists(dir(container_) + "/" + tree_->swap_limit_file())) {
    write(container_, tree_->swap_limit_file(), tree_->version() == 2 ? "0" : std::to_string(32 * kMiB));
  }
  hold("4m", 4 * kMiB);
  const int status = run({"anon", "64m"});
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(row()["oom_kills"], 1);
  ASSERT_TRUE(WIFSIGNALED(run({"anon", "64m"})));
  EXPECT_EQ(row()["oom_kills"], 2);
}

}  // namespace
}  // namespace memcrest
