// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/action_child.h"

#include <fcntl.h>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/test_child.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals
using namespace std::chrono_literals;

class ActionChildTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  [[nodiscard]] ActionCommand shell(const std::string& text) const {
    return {.argv = {"sh", "-c", text},
            .environment = {"MEMCREST_PID=42"},
            .output = dir_ + "/output",
            .most_bytes = 4096,
            .most_time = 60s};
  }
  static std::string ended(ActionChild& child) {
    std::string out;
    EXPECT_TRUE(comes_true([&] { return !(out = child.look()).empty(); }));
    return out;
  }
  std::string dir_ = testing::TempDir() + "action.XXXXXX";
};

TEST_F(ActionChildTest, RunsWithItsEnvironmentAndKeepsItsOutput) {
  auto child = ActionChild::start(shell("echo $MEMCREST_PID; echo bad >&2"));
  ASSERT_TRUE(child) << child.error().message();
  EXPECT_EQ(ended(*child), "sh ended with 0");
  EXPECT_TRUE(child->succeeded());
  EXPECT_EQ(*read_file(dir_ + "/output"), "42\nbad\n");
  struct stat info{};
  ASSERT_EQ(stat((dir_ + "/output").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(ActionChildTest, TellsAFailure) {
  auto child = ActionChild::start(shell("exit 3"));
  EXPECT_EQ(ended(*child), "sh ended with 3");
  EXPECT_FALSE(child->succeeded());
}

TEST_F(ActionChildTest, TellsASignal) {
  auto child = ActionChild::start(shell("kill -TERM $$"));
  EXPECT_EQ(ended(*child), "sh was ended by SIGTERM");
  EXPECT_FALSE(child->succeeded());
}

TEST_F(ActionChildTest, MayNotWriteMoreThanAllowed) {
  auto child = ActionChild::start(shell("exec head -c 100000 /dev/zero"));
  EXPECT_EQ(ended(*child), "sh was ended by SIGXFSZ");
  EXPECT_EQ(std::filesystem::file_size(dir_ + "/output"), 4096);
}

TEST_F(ActionChildTest, IsEndedWithAllThatItStartedWhenItsTimeIsOver) {
  ActionCommand command = shell("sleep 1000 & echo $!; wait");
  command.most_time = 200ms;
  auto child = ActionChild::start(command);
  EXPECT_EQ(ended(*child), "sh was ended: its time was over");
  EXPECT_FALSE(child->succeeded());
  const std::string left = *read_file(dir_ + "/output");
  EXPECT_TRUE(comes_true([&] {
    const auto stat = read_file("/proc/" + left.substr(0, left.find('\n')) + "/stat");
    return !stat || stat->find(") Z ") != std::string::npos;
  })) << left;
}

TEST_F(ActionChildTest, WhatIsNotThereIsSaid) {
  ActionCommand command = shell("");
  command.argv = {"no-such-command-at-all"};
  auto child = ActionChild::start(command);
  EXPECT_EQ(ended(*child), "no-such-command-at-all ended with 127");
  EXPECT_FALSE(is_in_path("no-such-command-at-all"));
  EXPECT_TRUE(is_in_path("sh"));
}

TEST_F(ActionChildTest, DoesNotWriteOverAFile) {
  ASSERT_TRUE(open_file(dir_ + "/output", O_CREAT | O_WRONLY, 0600));
  EXPECT_FALSE(ActionChild::start(shell("true")));
}

}  // namespace
}  // namespace memcrest
