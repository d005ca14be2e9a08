// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/dump.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/test_child.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(Dump, KindsAreWordsOfTheCommandLine) {
  for (const DumpKind kind :
       {DumpKind::kSmaps, DumpKind::kCore, DumpKind::kPython, DumpKind::kJvm, DumpKind::kNode, DumpKind::kGo}) {
    EXPECT_EQ(parse_dump_kind(to_string(kind)), kind);
    EXPECT_EQ(tool_of(kind).empty(), dump_command(kind, 7, "/d").empty()) << to_string(kind);
    EXPECT_FALSE(!tool_of(kind).empty() && signal_of(kind) != 0) << to_string(kind);
  }
  EXPECT_FALSE(parse_dump_kind("heap"));
  EXPECT_FALSE(wants_it_running(DumpKind::kCore));
  EXPECT_TRUE(wants_it_running(DumpKind::kJvm));
  EXPECT_EQ(dump_command(DumpKind::kCore, 7, "/d"), (std::vector<std::string>{"gcore", "-o", "/d/core", "7"}));
}

class DumpDir : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_ = testing::TempDir() + "dump.XXXXXX";
};

TEST_F(DumpDir, SmapsOfRealProcesses) {
  const TestChild child;
  const auto out = write_smaps({{.process = child.key(), .ns_pid = 0, .comm = "x", .rss_bytes = {}}}, dir_, 1U << 20U);
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ(out->processes, 1);
  EXPECT_FALSE(out->cut);
  EXPECT_TRUE(read_file(dir_ + "/" + std::to_string(child.pid()) + ".smaps")->contains("Rss:"));
}

TEST_F(DumpDir, IsCutWhereItWouldBeTooMuch) {
  const TestChild child;
  const auto out = write_smaps({{.process = child.key(), .ns_pid = 0, .comm = "x", .rss_bytes = {}}}, dir_, 600);
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_TRUE(out->cut);
  std::uintmax_t all = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir_)) {
    all += file.file_size();
  }
  EXPECT_LE(all, 600);
}

TEST_F(DumpDir, OutputIsForItsOwnerAlone) {
  const auto made = make_output_dir(dir_ + "/out", "one");
  ASSERT_TRUE(made) << made.error().message();
  struct stat info{};
  ASSERT_EQ(stat(made->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  EXPECT_FALSE(make_output_dir(dir_ + "/out", "one")) << "nothing is written over";
  ASSERT_EQ(chmod((dir_ + "/out").c_str(), 0777), 0);
  EXPECT_FALSE(make_output_dir(dir_ + "/out", "two")) << "others could put links there";
  std::filesystem::create_directory_symlink(dir_ + "/out", dir_ + "/link");
  EXPECT_FALSE(make_output_dir(dir_ + "/link", "three"));
}

}  // namespace
}  // namespace memcrest
