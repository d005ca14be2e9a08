// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/dump.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "breakpoint/action_child.h"
#include "support/test_child.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(Dump, KindsAreWordsOfTheCommandLine) {
  for (const DumpKind kind :
       {DumpKind::kSmaps, DumpKind::kCore, DumpKind::kPython, DumpKind::kJvm, DumpKind::kNode, DumpKind::kGo}) {
    EXPECT_EQ(parse_dump_kind(to_string(kind)), kind);
    EXPECT_FALSE(!dump_command(kind, 7, "/d").empty() && signal_of(kind) != 0) << to_string(kind);
  }
  EXPECT_EQ(missing_tool(DumpKind::kSmaps), "");
  EXPECT_EQ(missing_tool(DumpKind::kCore), is_in_path("gcore") ? "" : "gcore");
  EXPECT_FALSE(parse_dump_kind("heap"));
  EXPECT_FALSE(wants_it_running(DumpKind::kCore));
  EXPECT_TRUE(wants_it_running(DumpKind::kJvm));
  EXPECT_EQ(dump_command(DumpKind::kCore, 7, "/d"), (std::vector<std::string>{"gcore", "-o", "/d/core", "7"}));
}

class DumpDir : public testing::Test {
 protected:
  static bool write_new_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    return ::chmod(path.c_str(), 0600) == 0 && file.good();
  }
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_ = testing::TempDir() + "dump.XXXXXX";
};

TEST_F(DumpDir, SmapsOfRealProcesses) {
  const TestChild child;
  const std::vector<ContainerProcess> all{{.process = child.key(), .ns_pid = 0, .comm = "x", .rss_bytes = {}}};
  const auto out = write_smaps(all, dir_, 1U << 20U);
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ(out->processes, 1);
  EXPECT_FALSE(out->cut);
  EXPECT_TRUE(read_file(dir_ + "/" + std::to_string(child.pid()) + ".smaps")->contains("Rss:"));
}

TEST_F(DumpDir, IsCutWhereItWouldBeTooMuch) {
  const TestChild child;
  const std::vector<ContainerProcess> one{{.process = child.key(), .ns_pid = 0, .comm = "x", .rss_bytes = {}}};
  const auto out = write_smaps(one, dir_, 600);
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_TRUE(out->cut);
  std::uintmax_t all = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir_)) {
    all += file.file_size();
  }
  EXPECT_LE(all, 600);
}

TEST_F(DumpDir, CommandsForAVirtualMachine) {
  ASSERT_TRUE(prepare_dump(DumpKind::kJvm, 7, 99, dir_));
  EXPECT_EQ(*read_file(dir_ + "/commands"), "GC.class_histogram\nGC.heap_dump /tmp/memcrest-7-99.hprof\n");
  EXPECT_EQ(dump_command(DumpKind::kJvm, 7, dir_).back(), dir_ + "/commands");
  EXPECT_FALSE(prepare_dump(DumpKind::kJvm, 7, 99, dir_)) << "nothing is written over";
  EXPECT_TRUE(prepare_dump(DumpKind::kCore, 7, 99, dir_ + "/nowhere"));
}

// A process with a root of our own making.
class DumpRoot : public DumpDir {
 protected:
  void SetUp() override {
    DumpDir::SetUp();
    const std::string folder = dir_ + "/" + std::to_string(child_.pid());
    tmp_ = folder + "/root/tmp";
    heap_ = tmp_ + "/memcrest-" + std::to_string(child_.pid()) + "-99.hprof";
    std::filesystem::create_directories(tmp_);
    std::ofstream(folder + "/stat") << read_file("/proc/" + std::to_string(child_.pid()) + "/stat").value_or("");
  }
  [[nodiscard]] Result<LeftFile> left() const { return left_heap(child_.key(), 99, {.proc = dir_}); }

  TestChild child_;
  std::string tmp_;
  std::string heap_;
};

TEST_F(DumpRoot, AHeapIsTakenFromTheProcesssOwnRoot) {
  EXPECT_FALSE(left()) << "no such file";
  ASSERT_TRUE(write_new_file(heap_, "JAVA"));
  const auto found = left();
  ASSERT_TRUE(found) << found.error().message();
  char text[8]{};
  EXPECT_EQ(::read(found->file.get(), text, sizeof(text)), 4);
  ProcessKey other = child_.key();
  other.start_ns += 5'000'000'000;
  EXPECT_FALSE(left_heap(other, 99, {.proc = dir_})) << "the number is another's by now";
  ASSERT_TRUE(found->remove());
  EXPECT_FALSE(std::filesystem::exists(heap_));
}

TEST_F(DumpRoot, WhatAContainerPutsThereInsteadIsNotRead) {
  std::filesystem::create_symlink("/etc/passwd", heap_);
  EXPECT_FALSE(left()) << "a link";
  std::filesystem::remove(heap_);
  ASSERT_EQ(::mkfifo(heap_.c_str(), 0600), 0);
  EXPECT_FALSE(left()) << "a pipe";
  std::filesystem::remove(heap_);
  ASSERT_TRUE(write_new_file(heap_, "JAVA"));
  ASSERT_EQ(::chmod(heap_.c_str(), 0666), 0);
  EXPECT_FALSE(left()) << "anybody may write it";
  if (::geteuid() == 0) {
    ASSERT_EQ(::chmod(heap_.c_str(), 0600), 0);
    ASSERT_EQ(::chown(heap_.c_str(), 12345, 12345), 0);
    EXPECT_FALSE(left()) << "another user's";
  }
  std::filesystem::remove_all(tmp_);
  std::filesystem::create_directory(dir_ + "/elsewhere");
  ASSERT_TRUE(write_new_file(dir_ + "/elsewhere/" + std::filesystem::path(heap_).filename().string(), "JAVA"));
  std::filesystem::create_directory_symlink(dir_ + "/elsewhere", tmp_);
  EXPECT_FALSE(left()) << "a directory that leads elsewhere";
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
