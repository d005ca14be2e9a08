// SPDX-License-Identifier: Apache-2.0
#include "symbol/debug_info.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/fake_cgroups.h"
#include "symbol/elf_file.h"
#include "util/fd.h"

extern "C" const char __executable_start;

namespace memcrest {
namespace {

// This test itself is a program with debug information.
__attribute__((noinline)) int a_function_of_this_test(int number) {
  asm volatile("" : "+r"(number));
  return number;
}

Frame frame_of_this_test() {
  const Fd fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const auto info = read_elf(fd.get());
  const auto address = reinterpret_cast<std::uintptr_t>(&a_function_of_this_test);
  const auto start = reinterpret_cast<std::uintptr_t>(&__executable_start);
  return {.module = "/app", .build_id = info ? info->build_id : "", .offset = address - start + 1};
}

DebugInfo open_in(const std::string& dir, std::size_t max_files = 1000) {
  auto out = DebugInfo::open({.dirs = {dir}, .debuginfod = {}, .max_files = max_files});
  EXPECT_TRUE(out) << out.error().message();
  return std::move(*out);
}

TEST(DebugInfo, ANameAndALineComeFromTheFileOfThisBuildId) {
  ASSERT_EQ(a_function_of_this_test(7), 7);
  testing_support::TempDir dir;
  std::ofstream(dir.path() + "/no-elf") << "text";
  std::filesystem::create_directory(dir.path() + "/deep");
  std::filesystem::copy_file(std::filesystem::read_symlink("/proc/self/exe"), dir.path() + "/deep/app");
  DebugInfo info = open_in(dir.path());
  const Frame frame = frame_of_this_test();
  ASSERT_FALSE(frame.build_id.empty());
  const auto found = info.expand(frame);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].name, testing::HasSubstr("a_function_of_this_test"));
  EXPECT_THAT(found[0].file, testing::EndsWith("debug_info_test.cpp"));
  EXPECT_GT(found[0].line, 0U);
  EXPECT_EQ(found[0].module, "/app");
  EXPECT_EQ(info.counts().lines, 1U);

  Frame named = frame;
  named.name = "as it was seen";
  EXPECT_EQ(info.expand(named)[0].name, "as it was seen");
  Frame nowhere = frame;
  nowhere.offset = 0xffff'ffff'ffff'fff0;
  EXPECT_EQ(info.expand(nowhere), std::vector{nowhere});
  EXPECT_TRUE(info.missing().empty());
}

TEST(DebugInfo, WhatIsNotFoundStaysAndIsTold) {
  testing_support::TempDir dir;
  std::filesystem::create_directories(dir.path() + "/.build-id/ab");
  std::ofstream(dir.path() + "/.build-id/ab/cdef012345.debug") << "\177ELF and nothing that makes sense";
  DebugInfo info = open_in(dir.path());
  for (const char* build_id : {"abcdef012345", "0123456789", "../../../../etc", "ab/../../x", "ABCDEF012345", "a"}) {
    const Frame frame{.module = "/app", .build_id = build_id, .offset = 16};
    EXPECT_EQ(info.expand(frame), std::vector{frame});
    EXPECT_TRUE(info.missing().contains(build_id));
  }
  const Frame kernel{.name = "do_anonymous_page", .module = "[kernel]"};
  EXPECT_EQ(info.expand(kernel), std::vector{kernel});
  EXPECT_EQ(info.counts().frames, 6U) << "those of files";
}

TEST(DebugInfo, HowFarItLooksIsBounded) {
  testing_support::TempDir dir;
  for (const char* name : {"a", "b", "c"}) {
    std::ofstream(dir.path() + "/" + name) << "x";
  }
  DebugInfo info = open_in(dir.path(), 2);
  const Frame frame{.module = "/app", .build_id = "abcdef012345", .offset = 16};
  EXPECT_EQ(info.expand(frame), std::vector{frame});
  EXPECT_TRUE(info.counts().cut);
  EXPECT_FALSE(DebugInfo::open({.dirs = {dir.path() + "/none"}, .debuginfod = {}}));
}

}  // namespace
}  // namespace memcrest
