// SPDX-License-Identifier: Apache-2.0
#include "symbol/code_place.h"

#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

std::string bytes(std::initializer_list<unsigned char> values) { return {values.begin(), values.end()}; }

TEST(CodePlace, CallsOfX86) {
  EXPECT_TRUE(ends_in_call(bytes({0, 0, 0, 0xe8, 1, 2, 3, 4}), EM_X86_64));
  EXPECT_TRUE(ends_in_call(bytes({0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0}), EM_X86_64)) << "call *%rax";
  EXPECT_TRUE(ends_in_call(bytes({0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18}), EM_X86_64)) << "call *0x18(%rax)";
  EXPECT_TRUE(ends_in_call(bytes({0x90, 0x90, 0xff, 0x15, 1, 2, 3, 4}), EM_X86_64)) << "call *0x4030201(%rip)";
  EXPECT_FALSE(ends_in_call(bytes({0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}), EM_X86_64));
  EXPECT_FALSE(ends_in_call(bytes({0xff, 0xe0}), EM_X86_64)) << "a jump";
  EXPECT_FALSE(ends_in_call({}, EM_X86_64));
}

TEST(CodePlace, CallsOfArm64) {
  EXPECT_TRUE(ends_in_call(bytes({0x01, 0x00, 0x00, 0x94}), EM_AARCH64)) << "bl";
  EXPECT_TRUE(ends_in_call(bytes({0x00, 0x00, 0x3f, 0xd6}), EM_AARCH64)) << "blr x0";
  EXPECT_FALSE(ends_in_call(bytes({0xc0, 0x03, 0x5f, 0xd6}), EM_AARCH64)) << "ret";
  EXPECT_FALSE(ends_in_call(bytes({0x94}), EM_AARCH64));
}

TEST(CodePlace, AStackEndsWhereNoCodeIs) {
  ProcessCode code;
  code.known = true;
  code.mappings = {{0x1000, 0x2000, 0, 0, ""}, {0x5000, 0x6000, 0, 0, "[vdso]"}};
  code.modules.resize(2);
  const auto placed = place_stack(code, {0x1500, 0x5001, 0x9999, 0x1600}, 32);
  ASSERT_EQ(placed.places.size(), 2U);
  EXPECT_TRUE(placed.cut);
  EXPECT_EQ(placed.places[0].label, "[jit]");
  EXPECT_EQ(placed.places[0].address, 0x1500U);
  EXPECT_EQ(placed.places[1].label, "[vdso]");
  EXPECT_EQ(placed.places[1].address, 0x5000U) << "of the call";
  EXPECT_TRUE(place_stack(code, {0x9999}, 32).places.empty());
  EXPECT_TRUE(place_stack(code, {}, 32).places.empty());
  EXPECT_TRUE(place_stack(code, {0x1500, 0x1501}, 2).full);
}

// What a container could put there to have another file read.
TEST(CodePlace, NoLinkLeadsOutOfTheRoot) {
  testing_support::TempDir dir;
  const std::string root = dir.path() + "/root";
  std::filesystem::create_directories(root + "/lib");
  std::ofstream(dir.path() + "/secret") << "outside";
  std::ofstream(root + "/inside") << "inside";
  std::filesystem::create_symlink(dir.path() + "/secret", root + "/absolute");
  std::filesystem::create_symlink("../../secret", root + "/lib/relative");
  std::filesystem::create_symlink("/inside", root + "/lib/link");
  std::filesystem::create_symlink("/proc/self/exe", root + "/magic");
  ASSERT_EQ(::mkfifo((root + "/pipe").c_str(), 0600), 0);
  const Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(open_in_root(top.get(), "/inside"));
  EXPECT_TRUE(open_in_root(top.get(), "/lib/link"));
  EXPECT_TRUE(open_in_root(top.get(), "/../../inside")) << "as in a chroot";
  for (const char* path : {"/absolute", "/lib/relative", "/magic", "/pipe", "/lib", "/nothing", ""}) {
    EXPECT_FALSE(open_in_root(top.get(), path)) << path;
  }
}

}  // namespace
}  // namespace memcrest
