// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/dump.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

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

TEST_F(DumpDir, CommandsForAVirtualMachine) {
  ASSERT_TRUE(prepare_dump(DumpKind::kJvm, 7, dir_));
  EXPECT_EQ(*read_file(dir_ + "/commands"), "GC.class_histogram\nGC.heap_dump /tmp/memcrest-7.hprof\n");
  EXPECT_EQ(dump_command(DumpKind::kJvm, 7, dir_).back(), dir_ + "/commands");
  EXPECT_FALSE(prepare_dump(DumpKind::kJvm, 7, dir_)) << "nothing is written over";
  EXPECT_TRUE(prepare_dump(DumpKind::kCore, 7, dir_ + "/nowhere"));
}

TEST_F(DumpDir, AHeapIsTakenFromTheProcesssOwnRoot) {
  const std::string tmp = dir_ + "/7/root/tmp";
  const std::string heap = tmp + "/memcrest-7.hprof";
  const SystemRoot root{.proc = dir_};
  EXPECT_FALSE(left_heap(7, root)) << "no such process";
  std::filesystem::create_directories(tmp);
  EXPECT_FALSE(left_heap(7, root)) << "no such file";
  ASSERT_TRUE(write_new_file(heap, "JAVA"));
  auto found = left_heap(7, root);
  ASSERT_TRUE(found) << found.error().message();
  char text[8]{};
  EXPECT_EQ(::read(found->file.get(), text, sizeof(text)), 4);
  ASSERT_TRUE(found->remove());
  EXPECT_FALSE(std::filesystem::exists(heap));
}

TEST_F(DumpDir, WhatAContainerPutsThereInsteadIsNotRead) {
  const std::string tmp = dir_ + "/7/root/tmp";
  const std::string heap = tmp + "/memcrest-7.hprof";
  const SystemRoot root{.proc = dir_};
  std::filesystem::create_directories(tmp);
  std::filesystem::create_symlink("/etc/passwd", heap);
  EXPECT_FALSE(left_heap(7, root)) << "a link";
  std::filesystem::remove(heap);
  ASSERT_EQ(::mkfifo(heap.c_str(), 0600), 0);
  EXPECT_FALSE(left_heap(7, root)) << "a pipe";
  std::filesystem::remove(heap);
  ASSERT_TRUE(write_new_file(heap, "JAVA"));
  ASSERT_EQ(::chmod(heap.c_str(), 0666), 0);
  EXPECT_FALSE(left_heap(7, root)) << "anybody may write it";
  if (::geteuid() == 0) {
    ASSERT_EQ(::chmod(heap.c_str(), 0600), 0);
    ASSERT_EQ(::chown(heap.c_str(), 12345, 12345), 0);
    EXPECT_FALSE(left_heap(7, root)) << "another user's";
  }
  std::filesystem::remove_all(tmp);
  std::filesystem::create_directory(dir_ + "/elsewhere");
  ASSERT_TRUE(write_new_file(dir_ + "/elsewhere/memcrest-7.hprof", "JAVA"));
  std::filesystem::create_directory_symlink(dir_ + "/elsewhere", tmp);
  EXPECT_FALSE(left_heap(7, root)) << "a directory that leads elsewhere";
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
