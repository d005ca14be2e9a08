// SPDX-License-Identifier: Apache-2.0
#include "identity/known_cgroups.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSecond = 1'000'000'000;
const std::string kId(64, 'a');

TEST(KnownCgroups, SubCgroupsShareTheirContainer) {
  KnownCgroups known(100, 10min);
  const auto own = known.add(1, "/docker/" + kId, 0);
  const auto child = known.add(2, "/docker/" + kId + "/init.scope", 0);
  const auto other = known.add(3, "/system.slice", 0);
  EXPECT_TRUE(own.fresh);
  EXPECT_EQ(own.entry->container, child.entry->container);
  EXPECT_EQ(own.entry->container->live, 2U);
  EXPECT_EQ(other.entry->container, nullptr);
}

TEST(KnownCgroups, AddingTwiceIsOnce) {
  KnownCgroups known(100, 10min);
  known.add(1, "/docker/" + kId, 0);
  const auto again = known.add(1, "/docker/" + kId, 0);
  EXPECT_FALSE(again.fresh);
  EXPECT_EQ(again.entry->container->live, 1U);
  EXPECT_EQ(known.size(), 1U);
}

TEST(KnownCgroups, TombstonesLastForTheirAge) {
  KnownCgroups known(100, std::chrono::seconds(60));
  known.add(1, "/docker/" + kId, 0);
  known.remove(1, 10 * kSecond);
  known.remove(1, 50 * kSecond);  // told twice: the first counts
  known.remove(99, 50 * kSecond);
  known.prune(69 * kSecond);
  ASSERT_NE(known.find(1), nullptr);
  EXPECT_EQ(known.find(1)->container->live, 0U);
  known.prune(70 * kSecond);
  EXPECT_EQ(known.find(1), nullptr);
}

TEST(KnownCgroups, AnIdUsedAgain) {
  KnownCgroups known(100, std::chrono::seconds(60));
  known.add(1, "/docker/" + kId, 0);
  known.remove(1, 10 * kSecond);
  EXPECT_TRUE(known.add(1, "/docker/" + kId, 20 * kSecond).fresh);
  known.prune(75 * kSecond);
  ASSERT_NE(known.find(1), nullptr) << "the old tombstone must not take the new life";
  EXPECT_EQ(known.find(1)->container->live, 1U);
  EXPECT_TRUE(known.add(1, "/elsewhere", 0).fresh);
  EXPECT_EQ(known.find(1)->path, "/elsewhere");
}

TEST(KnownCgroups, BoundedOldestTombstonesFirst) {
  KnownCgroups known(3, 10min);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    known.add(id, "/c" + std::to_string(id), 0);
  }
  EXPECT_TRUE(known.full());
  EXPECT_EQ(known.add(4, "/c4", 0).entry, nullptr) << "live ones are not thrown out";
  known.remove(2, 1);
  known.remove(1, 2);
  EXPECT_FALSE(known.full());
  EXPECT_NE(known.add(4, "/c4", 3).entry, nullptr);
  EXPECT_EQ(known.find(2), nullptr);
  EXPECT_NE(known.find(1), nullptr);
  EXPECT_EQ(known.size(), 3U);
}

TEST(KnownCgroups, OfManyThatComeAndGoTheLastAreKnown) {
  KnownCgroups known(1'000'000, 10min);
  for (std::uint64_t id = 1; id <= 3000; ++id) {
    known.add(id, "/c" + std::to_string(id), id);
    known.remove(id, id);
  }
  EXPECT_EQ(known.size(), 1024U);
  EXPECT_EQ(known.find(1976), nullptr);
  EXPECT_NE(known.find(1977), nullptr);
  EXPECT_NE(known.find(3000), nullptr);
}

TEST(KnownCgroups, AllThatWentUnseenMayBeMoreThanAreKept) {
  KnownCgroups known(1'000'000, 10min);
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    known.add(id, "/c" + std::to_string(id), 0);
  }
  known.keep_only({1}, known.begin_generation(), 1);
  EXPECT_EQ(known.size(), 1025U);
  EXPECT_FALSE(known.find(1)->removed_ns);
}

TEST(KnownCgroups, BoundedInBytesOfPaths) {
  KnownCgroups known(1'000'000, 10min);
  EXPECT_EQ(known.add(1, "/" + std::string(5000, 'x'), 0).entry, nullptr);
  std::uint64_t id = 1;
  while (known.add(id, "/" + std::string(4000, 'x'), 0).entry != nullptr) {
    ASSERT_LT(++id, 100'000U);
  }
  EXPECT_GT(id, 1000U);
  known.remove(1, 1);
  EXPECT_NE(known.add(id, "/" + std::string(4000, 'x'), 2).entry, nullptr);
}

TEST(KnownCgroups, WhatAScanDoesNotShowHasGone) {
  KnownCgroups known(100, 10min);
  known.add(1, "/gone", 0);
  known.add(2, "/stays", 0);
  const auto generation = known.begin_generation();
  known.add(3, "/made-during-the-scan", 0);
  known.keep_only({2}, generation, kSecond);
  EXPECT_TRUE(known.find(1)->removed_ns);
  EXPECT_FALSE(known.find(2)->removed_ns);
  EXPECT_FALSE(known.find(3)->removed_ns);
}

TEST(KnownCgroups, NotFoundIsATombstoneUntilItAppears) {
  KnownCgroups known(100, std::chrono::seconds(60));
  known.add(1, "", 0);
  EXPECT_EQ(known.find(1)->path, "");
  EXPECT_TRUE(known.find(1)->removed_ns);
  known.add(1, "/late", kSecond);
  known.prune(61 * kSecond);
  ASSERT_NE(known.find(1), nullptr);
  EXPECT_EQ(known.find(1)->path, "/late");
}

TEST(KnownCgroups, AContainerIsForgottenWithItsLastCgroup) {
  KnownCgroups known(100, std::chrono::seconds(1));
  const std::weak_ptr<KnownContainer> container = known.add(1, "/docker/" + kId, 0).entry->container;
  known.add(2, "/docker/" + kId + "/x", 0);
  known.remove(1, 0);
  known.prune(5 * kSecond);
  EXPECT_FALSE(container.expired());
  known.remove(2, 5 * kSecond);
  known.prune(10 * kSecond);
  EXPECT_TRUE(container.expired());
  EXPECT_EQ(known.size(), 0U);
}

}  // namespace
}  // namespace memcrest
