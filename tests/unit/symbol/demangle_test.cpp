// SPDX-License-Identifier: Apache-2.0
#include "symbol/demangle.h"

#include <gtest/gtest.h>

#include <chrono>

namespace memcrest {
namespace {

TEST(Demangle, CxxAndRust) {
  EXPECT_EQ(demangle("_ZN4json5parseEPKcm"), "json::parse(char const*, unsigned long)");
  EXPECT_EQ(demangle("_ZN3app10load_batch17h0123456789abcdefE"), "app::load_batch");
  EXPECT_EQ(demangle("_RNvCs15kBYyAo9fc_7mycrate7example"), "mycrate::example");
}

TEST(Demangle, OtherNamesStay) {
  for (const char* name : {"main", "runtime.mallocgc", "_Zno", "", "_R", "_Z", "py::f:/app.py"}) {
    EXPECT_EQ(demangle(name), name);
  }
}

// Each S_ doubles what comes before it: a name of some hundred bytes that stands for more than memory holds.
TEST(Demangle, ANameThatExplodesIsCut) {
  std::string bomb = "_Z1fI";
  for (int i = 0; i < 30; ++i) {
    bomb += "1AI";
  }
  bomb += "i";
  for (int i = 0; i < 30; ++i) {
    bomb += "S" + std::string(i == 0 ? "" : std::to_string(i - 1)) + "_E";
  }
  bomb += "Evv";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_LE(demangle(bomb).size(), 1024U);
  EXPECT_LE(demangle("_Z" + std::string(100'000, 'P') + "i").size(), 1024U);
  EXPECT_LE(demangle("_ZN" + std::string(2000, 'S')).size(), 1024U);
  std::string doubling = "_Z1f";
  for (int i = 0; i < 40; ++i) {
    doubling +=
        i == 0 ? "PFviiE"
               : "PFvS" +
                     std::string(i == 1 ? "" : std::string(1, static_cast<char>(i < 12 ? '0' + i - 2 : 'A' + i - 12))) +
                     "_S_E";
  }
  EXPECT_LE(demangle(doubling).size(), 1024U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace memcrest
