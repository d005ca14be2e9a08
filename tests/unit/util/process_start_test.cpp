// SPDX-License-Identifier: Apache-2.0
#include "util/process_start.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

TEST(ProcessStat, OfThisProcess) {
  const auto stat = process_stat("/proc/self");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->parent, static_cast<std::uint32_t>(::getppid()));
  EXPECT_TRUE(process_start_ns("/proc/self"));
  EXPECT_FALSE(process_stat("/nonexistent"));
}

// A name may hold whatever would end it.
TEST(ProcessStat, OfHostileNames) {
  const testing_support::TempDir dir;
  const auto stat_of = [&](const std::string& text) {
    std::ofstream(dir.path() + "/stat") << text;
    return process_stat(dir.path());
  };
  EXPECT_EQ(stat_of("7 (a) S 1 (b) S 42 0 0").value().comm, "a) S 1 (b");
  EXPECT_EQ(stat_of("7 (a) S 1 (b) S 42 0 0").value().parent, 42U);
  for (const char* text :
       {"", "7", "7 (a", "7 a)", ")(", "7 (a)", "7 (a) S", "7 (a) S ", "7 (a) S x 0", "7 (a) S -1 0"}) {
    EXPECT_FALSE(stat_of(text)) << text;
  }
}

}  // namespace
}  // namespace memcrest
