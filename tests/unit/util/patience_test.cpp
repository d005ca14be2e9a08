// SPDX-License-Identifier: Apache-2.0
#include "util/patience.h"

#include <gtest/gtest.h>

#include <atomic>

namespace memcrest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{10'000};  // on a loaded machine

// Hangs until it is let go.
struct Gate {
  std::shared_ptr<std::atomic<bool>> open = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<std::atomic<int>> through = std::make_shared<std::atomic<int>>(0);
  int operator()() const {
    while (!*open) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    return ++*through;
  }
};

TEST(Patience, WhatReturnsIsHandedOn) {
  const Patience patience(kLong, 1);
  EXPECT_EQ(patience.run("a", [] { return 7; }), 7);
  EXPECT_EQ(patience.run("a", [text = std::string("x")] { return text + "y"; }), "xy");
}

TEST(Patience, WhatHangsIsLeftAlone) {
  const Gate gate;
  const Patience patience(milliseconds(20), 2);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(patience.run("a", gate), std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kLong);
  std::atomic<bool> ran = false;
  const auto run = [&] { return ran = true; };
  EXPECT_EQ(patience.run("a", run), std::nullopt) << "one thread for each to blame";
  EXPECT_FALSE(ran);
  EXPECT_EQ(patience.run("b", gate), std::nullopt);
  EXPECT_EQ(patience.run("c", run), std::nullopt) << "and two in all";
  EXPECT_FALSE(ran);
  *gate.open = true;
  while (*gate.through < 2) {
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST(Patience, OnceItReturnsThereIsRoomAgain) {
  const Gate gate;
  const Patience patience(milliseconds(200), 1);
  EXPECT_EQ(patience.run("a", gate), std::nullopt);
  *gate.open = true;
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  std::optional<int> answer;
  while (!answer && std::chrono::steady_clock::now() < deadline) {
    answer = patience.run("a", [] { return 7; });
  }
  EXPECT_EQ(answer, 7);
}

TEST(Patience, TheThreadMayOutliveIt) {
  const Gate gate;
  {
    const Patience patience(milliseconds(5), 1);
    EXPECT_EQ(patience.run("a", gate), std::nullopt);
  }
  *gate.open = true;
  while (*gate.through < 1) {
    std::this_thread::sleep_for(milliseconds(1));
  }
}

}  // namespace
}  // namespace memcrest
