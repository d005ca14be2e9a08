// SPDX-License-Identifier: Apache-2.0
#include "symbol/perf_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"

namespace memcrest {
namespace {

Fd file_of(const std::string& text) {
  Fd out(::memfd_create("map", MFD_CLOEXEC));
  EXPECT_EQ(::write(out.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return out;
}

std::vector<std::string> names(const std::string& map, const std::vector<std::uint64_t>& addresses) {
  std::vector<FunctionAt> wanted;
  for (const auto address : addresses) {
    wanted.push_back({address, {}, 0});
  }
  const Fd file = file_of(map);
  EXPECT_TRUE(find_in_perf_map(file.get(), wanted));
  std::vector<std::string> out;
  for (const auto& one : wanted) {
    out.push_back(one.name);
  }
  return out;
}

TEST(PerfMap, NamesByAddress) {
  EXPECT_THAT(
      names("1000 20 LazyCompile:*load /app.js:3\n0x1020 0x10 py::f:/a.py\n2000 1 last",
            {0x1000, 0x101f, 0x1020, 0x1030, 0x2000}),
      testing::ElementsAre("LazyCompile:*load /app.js:3", "LazyCompile:*load /app.js:3", "py::f:/a.py", "", "last"));
}

TEST(PerfMap, OfReplacedCodeTheLastNameCounts) {
  EXPECT_THAT(names("1000 20 old\n1000 20 new\n", {0x1004}), testing::ElementsAre("new"));
}

TEST(PerfMap, HostileLinesCostNothing) {
  const std::string junk = std::string(300'000, 'x') +
                           "\n\n \n1000\n1000 zz name\nffffffffffffffff ffffffffffffffff end\n" +
                           "0 ffffffffffffffff all\n" + std::string("\0\n", 2);
  EXPECT_THAT(names(junk, {5, ~0ULL - 1}), testing::ElementsAre("all", "all"));
  EXPECT_THAT(names("1000 10 " + std::string(100'000, 'n') + "\n", {0x1000}),
              testing::ElementsAre(testing::SizeIs(testing::Le(4096U))));
}

}  // namespace
}  // namespace memcrest
