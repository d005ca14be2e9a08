// SPDX-License-Identifier: Apache-2.0
#include "incident/charge_failures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memcrest {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kMs = 1'000'000;

ChargeFailureEvent failed(std::uint64_t time_ns, std::uint64_t count, std::uint64_t serial = 7) {
  ChargeFailureEvent out;
  out.time_ns = time_ns;
  out.serial = serial;
  out.cgroup_id = serial;
  out.count = count;
  out.error = 12;
  return out;
}

TEST(ChargeFailures, ARunOfThemIsOneFinding) {
  ChargeFailures failures;
  EXPECT_FALSE(failures.deadline());
  failures.feed(failed(100 * kMs, 1), 100 * kMs);
  failures.feed(failed(300 * kMs, 50), 300 * kMs);
  EXPECT_THAT(failures.take(1'200 * kMs, false), IsEmpty());
  EXPECT_EQ(failures.deadline(), 1'300 * kMs);
  const auto found = failures.take(1'300 * kMs, false);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].count, 50U);
  EXPECT_EQ(found[0].first_ns, 100 * kMs);
  EXPECT_EQ(found[0].last.time_ns, 300 * kMs);
  EXPECT_THAT(failures.take(9'000 * kMs, true), IsEmpty());
}

TEST(ChargeFailures, WhatIsReadLateIsOneFindingStill) {
  ChargeFailures failures;
  failures.feed(failed(100 * kMs, 1), 2'000 * kMs);
  EXPECT_THAT(failures.take(2'001 * kMs, false), IsEmpty()) << "the next one may be waiting to be read";
  failures.feed(failed(110 * kMs, 50), 2'002 * kMs);
  EXPECT_THAT(failures.take(3'001 * kMs, false), IsEmpty());
  const auto found = failures.take(3'002 * kMs, false);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].count, 50U);
}

TEST(ChargeFailures, WhatWasToldIsNotCountedAgain) {
  ChargeFailures failures;
  failures.feed(failed(0, 10), 0);
  ASSERT_THAT(failures.take(0, true), SizeIs(1));
  failures.feed(failed(5'000 * kMs, 13), 5'000 * kMs);
  const auto found = failures.take(9'000 * kMs, false);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].count, 3U);
}

TEST(ChargeFailures, AnEndlessRunIsToldEveryTenSeconds) {
  ChargeFailures failures;
  std::uint64_t told = 0;
  for (std::uint64_t i = 1; i <= 250; ++i) {
    failures.feed(failed(i * 100 * kMs, i), i * 100 * kMs);
    for (const auto& finding : failures.take(i * 100 * kMs, false)) {
      told += finding.count;
    }
  }
  EXPECT_GE(told, 200U);
  for (const auto& finding : failures.take(0, true)) {
    told += finding.count;
  }
  EXPECT_EQ(told, 250U);
}

TEST(ChargeFailures, ACountThatBeginsAnewIsNotNegative) {
  ChargeFailures failures;
  failures.feed(failed(0, 100), 0);
  ASSERT_THAT(failures.take(0, true), SizeIs(1));
  failures.feed(failed(kMs, 2), kMs);
  const auto found = failures.take(0, true);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].count, 2U);
}

TEST(ChargeFailures, OnlyTheFirstFindingOfACgroupMayMissSome) {
  ChargeFailures failures;
  auto first = failed(0, 1);
  first.at_least = true;
  failures.feed(first, 0);
  EXPECT_TRUE(failures.take(0, true).at(0).at_least);
  auto second = failed(kMs, 2);
  second.at_least = true;
  failures.feed(second, kMs);
  EXPECT_FALSE(failures.take(0, true).at(0).at_least) << "the counting never stopped in between";
}

}  // namespace
}  // namespace memcrest
