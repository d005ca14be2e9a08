// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/container_processes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "breakpoint/freezer.h"
#include "support/test_child.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class ContainerProcessesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir_ + "/" + name) << text; }
  std::string dir_ = testing::TempDir() + "processes.XXXXXX";
};

TEST_F(ContainerProcessesTest, AreThoseOfTheCgroupAndBelowIt) {
  const TestChild one;
  const TestChild two;
  std::filesystem::create_directory(dir_ + "/inner");
  write("cgroup.procs", std::to_string(one.pid()) + "\n0\n" + std::to_string(one.pid()) + "\n");
  write("inner/cgroup.procs", std::to_string(two.pid()) + "\nx\n4194999\n");
  const auto found = processes_in(dir_);
  ASSERT_EQ(found.size(), 2) << "one that is gone is left out, one listed twice counts once";
  EXPECT_GE(found[0].rss_bytes.value(), found[1].rss_bytes.value());
  for (const ContainerProcess& process : found) {
    EXPECT_TRUE(process.process == one.key() || process.process == two.key());
    EXPECT_GT(process.ns_pid, 0);
    EXPECT_FALSE(process.comm.empty());
  }
}

TEST_F(ContainerProcessesTest, NoneWhereThereIsNoCgroup) { EXPECT_TRUE(processes_in(dir_ + "/none").empty()); }

TEST_F(ContainerProcessesTest, DaemonsAreNamedUnlessAllowed) {
  const auto of = [](const char* comm, std::uint32_t pid) {
    return ContainerProcess{.process = {pid, 1}, .ns_pid = 0, .comm = comm, .rss_bytes = {}};
  };
  EXPECT_EQ(runtime_daemon_in({of("python", 7)}, {}), "");
  EXPECT_EQ(runtime_daemon_in({of("python", 7), of("containerd-shim", 9)}, {}), "containerd-shim, pid 9");
  EXPECT_EQ(runtime_daemon_in({of("dockerd", 9)}, {"containerd"}), "dockerd, pid 9");
  EXPECT_EQ(runtime_daemon_in({of("dockerd", 9)}, {"dockerd"}), "");
  EXPECT_NE(runtime_daemon_in({of("init", 1)}, {"init"}), "") << "the first process never";
}

TEST_F(ContainerProcessesTest, OnV2ItsOwnFileFreezes) {
  const TestChild one;
  write("cgroup.procs", std::to_string(one.pid()));
  EXPECT_FALSE(freeze_file(dir_, 2, processes_in(dir_))) << "no such file";
  write("cgroup.freeze", "0");
  const auto file = freeze_file(dir_, 2, processes_in(dir_));
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->path, dir_ + "/cgroup.freeze");
  EXPECT_FALSE(freeze_file(dir_, 2, {})) << "nothing runs in it";
}

TEST_F(ContainerProcessesTest, OnV1OnlyACgroupWithNobodyElseIsFrozen) {
  const TestChild mine;
  const TestChild other;
  const std::string pid = std::to_string(mine.pid());
  SystemRoot root;
  root.proc = dir_ + "/proc";
  std::filesystem::create_directories(root.proc + "/self");
  for (const TestChild* child : {&mine, &other}) {
    const std::string number = std::to_string(child->pid());
    std::filesystem::create_directory(root.proc + "/" + number);
    for (const char* name : {"stat", "status"}) {
      std::ofstream(root.proc + "/" + number + "/" + name) << read_file("/proc/" + number + "/" + name).value_or("");
    }
  }
  std::ofstream(root.proc + "/" + pid + "/cgroup") << "4:freezer:/box\n3:memory:/box\n";
  std::ofstream(root.proc + "/self/mountinfo") << "30 24 0:27 / " << dir_ << "/freezer rw - cgroup cgroup rw,freezer\n";
  std::filesystem::create_directories(dir_ + "/freezer/box");
  std::ofstream(dir_ + "/freezer/box/freezer.state") << "THAWED";
  std::ofstream(dir_ + "/freezer/box/cgroup.procs") << pid << "\n";
  write("cgroup.procs", pid);
  const auto processes = processes_in(dir_, root);
  const auto file = freeze_file(dir_, 1, processes, root);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->path, dir_ + "/freezer/box/freezer.state");
  EXPECT_EQ(file->freeze, "FROZEN");
  std::ofstream(dir_ + "/freezer/box/cgroup.procs") << pid << "\n" << other.pid() << "\n";
  EXPECT_FALSE(freeze_file(dir_, 1, processes, root)) << "somebody else would stand still with it";
  std::ofstream(root.proc + "/" + pid + "/cgroup") << "4:freezer:/\n";
  EXPECT_FALSE(freeze_file(dir_, 1, processes, root)) << "the root is everybody's";
}

}  // namespace
}  // namespace memcrest
