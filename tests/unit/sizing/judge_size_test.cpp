// SPDX-License-Identifier: Apache-2.0
#include "sizing/judge_size.h"

#include <gmock/gmock.h>

#include <limits>

#include "support/sizing_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

Sizing judged(SizedUsage usage, std::uint32_t margin = 20) {
  SizingSettings settings;
  settings.margin_percent = margin;
  return judge_size(std::move(usage), settings);
}

std::optional<std::uint64_t> above(const Sizing& one, OtherLimit::Kind kind) {
  for (const OtherLimit& limit : one.other_limits) {
    if (limit.kind == kind) {
      return limit.windows_above;
    }
  }
  ADD_FAILURE() << "no such limit";
  return std::nullopt;
}

TEST(JudgeSize, ClassesByPeakAndLimit) {
  const struct {
    std::uint64_t peak;
    std::optional<std::uint64_t> limit;
    SizeClass expected;
  } kCases[] = {
      {96_MiB, 100_MiB, SizeClass::kTooSmall},  // 95 % and more
      {94_MiB, 100_MiB, SizeClass::kTight},
      {84_MiB, 100_MiB, SizeClass::kTight},
      {83_MiB, 100_MiB, SizeClass::kFine},
      {43_MiB, 100_MiB, SizeClass::kFine},
      {40_MiB, 100_MiB, SizeClass::kWasteful},
      {1_MiB, 100_MiB, SizeClass::kWasteful},
      {1_MiB, 20_MiB, SizeClass::kFine},  // less than 12 MiB is never advised
      {40_MiB, std::nullopt, SizeClass::kUnlimited},
  };
  for (const auto& one : kCases) {
    EXPECT_EQ(judged(usage_of(one.peak, one.limit)).size_class, one.expected)
        << one.peak / 1_MiB << " of " << one.limit.value_or(0) / 1_MiB;
  }
}

TEST(JudgeSize, TheLimitAdvisedIsThePeakAndTheMargin) {
  const Sizing one = judged(usage_of(100_MiB, 1_GiB));
  EXPECT_EQ(one.needed_bytes, 100_MiB);
  EXPECT_EQ(one.advised_bytes, 120_MiB);
  EXPECT_FALSE(one.needed_estimated);
  EXPECT_EQ(judged(usage_of(100_MiB, 1_GiB), 50).advised_bytes, 152_MiB) << "up to what people write";
  SizedUsage slack = usage_of(100_MiB, 1_GiB);
  slack.slack_bytes = 8_MiB;
  EXPECT_EQ(judged(slack).needed_bytes, 108_MiB) << "what the mark may have risen since";
}

TEST(JudgeSize, AMarkFromBeforeHasBeenNeeded) {
  SizedUsage usage = usage_of(20_MiB, 1_GiB);
  usage.peak_exact = false;
  usage.mark_bytes = 100_MiB;
  const Sizing one = judged(usage);
  EXPECT_EQ(one.advised_bytes, 120_MiB);
  EXPECT_THAT(one.reasons, Contains(HasSubstr("is from before")));
}

TEST(JudgeSize, TooShortIsSaidAndNothingIsAdvised) {
  for (const auto limit : {std::optional<std::uint64_t>(1_GiB), std::optional<std::uint64_t>()}) {
    const Sizing one = judged(usage_of(20_MiB, limit, kLeastWindows - 1));
    EXPECT_EQ(one.size_class, limit ? SizeClass::kUnknown : SizeClass::kUnlimited);
    EXPECT_EQ(one.advised_bytes, std::nullopt);
    EXPECT_THAT(one.lines, IsEmpty());
    EXPECT_THAT(one.reasons, Contains(HasSubstr("9 windows of 1 min")));
    EXPECT_TRUE(judged(usage_of(20_MiB, limit, kLeastWindows)).advised_bytes);
  }
  EXPECT_EQ(judged(usage_of(96_MiB, 100_MiB, 1)).size_class, SizeClass::kTooSmall) << "a peak only rises with time";
}

TEST(JudgeSize, AnOomWithAnEstimateOfTheNeed) {
  SizedUsage usage = oomed(64_MiB);
  usage.ooms.needed_bytes = 200_MiB;
  const Sizing one = judged(usage);
  EXPECT_EQ(one.size_class, SizeClass::kTooSmall);
  EXPECT_EQ(one.advised_bytes, 240_MiB);
  EXPECT_TRUE(one.needed_estimated);
  EXPECT_EQ(above(one, OtherLimit::Kind::kCurrent), 1U) << "the window of the OOM wanted more";
  EXPECT_EQ(above(one, OtherLimit::Kind::kAdvised), std::nullopt) << "nobody saw it there";
}

TEST(JudgeSize, AnOomThatHidTheNeedGivesAGuess) {
  SizedUsage usage = oomed(64_MiB);
  usage.ooms.guessed_bytes = 96_MiB;
  const Sizing one = judged(usage);
  EXPECT_EQ(one.size_class, SizeClass::kTooSmall);
  EXPECT_TRUE(one.advised_guessed);
  EXPECT_EQ(one.advised_bytes, 96_MiB);
  EXPECT_EQ(one.needed_bytes, std::nullopt);
  EXPECT_THAT(one.reasons, Contains(HasSubstr("a guess")));
}

TEST(JudgeSize, ALeakIsHelpedByNoLimit) {
  SizedUsage usage = oomed(64_MiB);
  usage.ooms.guessed_bytes = 96_MiB;
  usage.leak_confidence = 0.8;
  const Sizing one = judged(usage);
  EXPECT_EQ(one.size_class, SizeClass::kLeaking);
  EXPECT_EQ(one.advised_bytes, std::nullopt);
  SizedUsage burst = usage_of(60_MiB, 100_MiB);
  burst.leak_confidence = 0.8;
  EXPECT_EQ(judged(burst).size_class, SizeClass::kLeaking) << "also without an OOM";
  usage.leak_confidence = 0.55;
  const Sizing perhaps = judged(usage);
  EXPECT_EQ(perhaps.size_class, SizeClass::kTooSmall);
  EXPECT_EQ(perhaps.advised_bytes, 96_MiB);
  EXPECT_THAT(perhaps.reasons, Contains(HasSubstr("may leak")));
}

TEST(JudgeSize, AnOomThatALargerLimitHasOutlivedIsPast) {
  SizedUsage usage = usage_of(200_MiB, 300_MiB);
  usage.ooms.own = 2;
  usage.ooms.limit_bytes = 64_MiB;
  const Sizing one = judged(usage);
  EXPECT_EQ(one.size_class, SizeClass::kFine);
  EXPECT_THAT(one.reasons, Contains(HasSubstr("2 OOM kills by an earlier limit")));
}

TEST(JudgeSize, AnOomOfOthersIsNoReasonForItsOwnLimit) {
  SizedUsage usage = usage_of(50_MiB, 100_MiB);
  usage.ooms.elsewhere = 1;
  const Sizing one = judged(usage);
  EXPECT_EQ(one.size_class, SizeClass::kFine);
  EXPECT_THAT(one.reasons, Contains(HasSubstr("its own limit did not cause")));
}

TEST(JudgeSize, PageCacheThatFillsTheLimitIsNoNeed) {
  SizedUsage usage = usage_of(100_MiB, 100_MiB);
  usage.grown_bytes = 1000;
  usage.cache_bytes = 900;
  EXPECT_EQ(judged(usage).size_class, SizeClass::kFine);
  EXPECT_EQ(judged(usage).advised_bytes, std::nullopt);
  usage.reclaim_ns = usage.observed_ns / 100;
  EXPECT_EQ(judged(usage).size_class, SizeClass::kTight) << "its tasks had to wait";
  usage.cache_bytes = 100;
  EXPECT_EQ(judged(usage).size_class, SizeClass::kTooSmall);
}

TEST(JudgeSize, OtherLimitsCountTheWindowsThatWentAbove) {
  const Sizing one = judged(usage_of(100_MiB, 300_MiB));  // 59 windows of 50 MiB, one of 100 MiB
  ASSERT_EQ(one.other_limits.size(), 9U);
  EXPECT_TRUE(std::ranges::is_sorted(one.other_limits, {}, &OtherLimit::bytes));
  EXPECT_EQ(one.other_limits[0].bytes, 60_MiB);
  EXPECT_EQ(one.other_limits[0].windows_above, 1U);
  EXPECT_EQ(above(one, OtherLimit::Kind::kCurrent), 0U);
  EXPECT_EQ(above(one, OtherLimit::Kind::kAdvised), 0U);
}

TEST(JudgeSize, TheRequestHoldsInNearlyAllWindows) {
  const Sizing one = judged(usage_of(100_MiB, 300_MiB));
  EXPECT_EQ(one.request_bytes, 52_MiB) << "the 95th percentile of 50 MiB, rounded up";
  EXPECT_LE(*one.request_bytes, *one.advised_bytes);
}

TEST(JudgeSize, LinesAreThoseOfTheContainersTool) {
  const Sizing one = judged(usage_of(100_MiB, 1_GiB));
  ASSERT_FALSE(one.lines.empty());
  EXPECT_EQ(one.lines[0].text, "docker update --memory 120m --memory-swap 120m web");
}

TEST(JudgeSize, NothingSeenIsUnknown) {
  SizedUsage usage = usage_of(0, 100_MiB);
  usage.peaks = {};
  const Sizing one = judged(usage);
  EXPECT_EQ(one.size_class, SizeClass::kUnknown);
  EXPECT_THAT(one.reasons, Contains(HasSubstr("crossed no level")));
  usage.limit_known = false;
  usage.limit_bytes.reset();
  EXPECT_EQ(judged(usage).size_class, SizeClass::kUnknown);
}

TEST(JudgeSize, FiguresThatCannotBeGiveNoLimit) {
  constexpr std::uint64_t kHuge = 1ULL << 60U;
  SizedUsage usage = usage_of(kHuge, std::nullopt);
  usage.slack_bytes = kHuge;
  usage.mark_bytes = kHuge;
  const Sizing one = judged(usage, 400);
  EXPECT_EQ(one.advised_bytes, std::nullopt);
  EXPECT_THAT(one.lines, IsEmpty());
  EXPECT_THAT(one.reasons, Contains(HasSubstr("cannot be true")));
}

TEST(JudgeSize, WhatWantsActionComesFirst) {
  std::vector<Sizing> all;
  all.push_back(judged(usage_of(50_MiB, 100_MiB)));
  all.push_back(judged(usage_of(1_MiB, 1_GiB)));
  all.push_back(judged(usage_of(1_MiB, 2_GiB)));
  all.push_back(judged(usage_of(40_MiB, std::nullopt)));
  all.push_back(judged(usage_of(96_MiB, 100_MiB)));
  sort_by_urgency(all);
  EXPECT_EQ(all[0].size_class, SizeClass::kTooSmall);
  EXPECT_EQ(all[1].size_class, SizeClass::kUnlimited);
  EXPECT_EQ(all[2].usage.limit_bytes, 2_GiB) << "the larger waste first";
  EXPECT_EQ(all[3].size_class, SizeClass::kWasteful);
  EXPECT_EQ(all[4].size_class, SizeClass::kFine);
}

}  // namespace
}  // namespace memcrest
