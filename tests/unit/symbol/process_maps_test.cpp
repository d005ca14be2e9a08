// SPDX-License-Identifier: Apache-2.0
#include "symbol/process_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::Field;

constexpr const char* kMaps =
    "55a0c0000000-55a0c0001000 r--p 00000000 08:01 1234                       /usr/bin/app\n"
    "55a0c0001000-55a0c0005000 r-xp 00001000 08:01 1234                       /usr/bin/app\n"
    "7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n"
    "7f0000002000-7f0000003000 r-xp 00002000 00:2f 77                         /tmp/with space (deleted)\n"
    "7fff00000000-7fff00002000 r-xp 00000000 00:00 0                          [vdso]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

TEST(ProcessMaps, ExecutableOnesOnly) {
  const auto all = parse_code_mappings(kMaps);
  EXPECT_THAT(all, ElementsAre(CodeMapping{0x55a0c0001000, 0x55a0c0005000, 0x1000, 1234, "/usr/bin/app"},
                               Field(&CodeMapping::path, ""), Field(&CodeMapping::path, "/tmp/with space"),
                               Field(&CodeMapping::path, "[vdso]"), Field(&CodeMapping::path, "[vsyscall]")));
  EXPECT_EQ(find_mapping(all, 0x55a0c0001000), &all[0]);
  EXPECT_EQ(find_mapping(all, 0x55a0c0004fff), &all[0]);
  EXPECT_EQ(find_mapping(all, 0x55a0c0005000), nullptr);
  EXPECT_EQ(find_mapping(all, 0), nullptr);
  EXPECT_EQ(find_mapping({}, 5), nullptr);
}

TEST(ProcessMaps, WhatIsNoLineIsLeftOut) {
  for (const char* text : {"", "\n\n", "x", "1-2", "1-2 r-xp", "1-2 r-xp 0 0:0", "5-2 r-xp 0 0:0 0\n",
                           "99999999999999999999-2 r-xp 0 0:0 0\n", "1-2 r-xp zz 0:0 0 /x\n"}) {
    EXPECT_TRUE(parse_code_mappings(text).empty()) << text;
  }
  std::string many;
  for (int i = 0; i < 10'000; ++i) {
    many += std::to_string(i) + "0-" + std::to_string(i) + "1 r-xp 0 0:0 0\n";
  }
  EXPECT_EQ(parse_code_mappings(many).size(), 4096U);
}

}  // namespace
}  // namespace memcrest
