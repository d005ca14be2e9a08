// SPDX-License-Identifier: Apache-2.0
#include "report/series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace memcrest {
namespace {

std::vector<UsagePoint> points_of(Series& series) {
  series.finish();
  return series.points();
}

// What the page's decoder does.
std::vector<UsagePoint> decoded(const EncodedSeries& encoded, std::uint64_t origin) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : encoded.base64) {
    if (c == '=') {
      break;
    }
    bits = (bits << 6U) | static_cast<std::uint32_t>(digits.find(c));
    have += 6;
    if (have >= 8) {
      have -= 8;
      bytes += static_cast<char>((bits >> static_cast<unsigned>(have)) & 0xffU);
    }
  }
  std::size_t at = 0;
  const auto next = [&] {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(at++));
      value |= static_cast<std::uint64_t>(byte & 127U) << shift;
      if (byte < 128) {
        return value;
      }
    }
  };
  std::vector<UsagePoint> out;
  UsagePoint point{origin, 0};
  for (std::size_t i = 0; i < encoded.count; ++i) {
    point.time_ns += next();
    const std::uint64_t change = next();
    const std::uint64_t by = (change % 2 == 0 ? change / 2 : (change + 1) / 2) * encoded.unit;
    point.usage_bytes = change % 2 == 0 ? point.usage_bytes + by : point.usage_bytes - by;
    out.push_back(point);
  }
  EXPECT_EQ(at, bytes.size());
  return out;
}

TEST(Series, KeepsEveryPointAsLongAsThereIsRoom) {
  Series series(10'000);
  for (std::uint64_t i = 0; i < 9'999; ++i) {
    series.add(i * 10, i * i);
  }
  const auto points = points_of(series);
  ASSERT_EQ(points.size(), 9'999U);
  EXPECT_EQ(series.stride(), 1U);
  EXPECT_EQ(points[77].time_ns, 770U);
  EXPECT_EQ(points[77].usage_bytes, 77U * 77U);
}

TEST(Series, PutsWhatComesALittleLateIntoItsPlace) {
  Series series(10'000);
  for (const std::uint64_t time : {10U, 30U, 20U, 50U, 40U}) {
    series.add(time, time);
  }
  const auto points = points_of(series);
  EXPECT_TRUE(std::ranges::is_sorted(points, {}, &UsagePoint::time_ns));
  EXPECT_EQ(points.size(), 5U);
}

TEST(Series, WhatComesFarTooLateCountsAtTheLastTime) {
  Series series(100'000);
  for (std::uint64_t i = 0; i < 5 * Series::kLate; ++i) {
    series.add(1'000'000 + i, 5);
  }
  series.add(3, 7);
  const auto points = points_of(series);
  EXPECT_TRUE(std::ranges::is_sorted(points, {}, &UsagePoint::time_ns));
  EXPECT_EQ(std::ranges::max_element(points, {}, &UsagePoint::usage_bytes)->usage_bytes, 7U);
}

TEST(Series, KeepsEveryPeakAndStaysBounded) {
  Series series(1'000);
  for (std::uint64_t i = 0; i < 1'000'000; ++i) {
    series.add(i, i == 123'456 ? 1'000'000'000 : i == 654'321 ? 0 : 1'000 + i % 7);
  }
  const auto points = points_of(series);
  EXPECT_LE(points.size(), 1'000U);
  EXPECT_GE(points.size(), 300U);
  EXPECT_GT(series.stride(), 1'000U);
  EXPECT_EQ(series.seen(), 1'000'000U);
  EXPECT_TRUE(std::ranges::is_sorted(points, {}, &UsagePoint::time_ns));
  const auto highest = std::ranges::max_element(points, {}, &UsagePoint::usage_bytes);
  EXPECT_EQ(highest->usage_bytes, 1'000'000'000U);
  EXPECT_EQ(highest->time_ns, 123'456U);
  EXPECT_EQ(std::ranges::min_element(points, {}, &UsagePoint::usage_bytes)->time_ns, 654'321U);
}

TEST(Series, ComesBackFromItsShortForm) {
  const std::vector<UsagePoint> pages{
      {1'000'000'007, 4096}, {1'000'000'007, 40'960}, {1'000'000'008, 0}, {99'000'000'000, 1ULL << 40U}};
  const auto encoded = encode(pages, 1'000'000'000);
  EXPECT_EQ(encoded.unit, 4096U);
  const auto back = decoded(encoded, 1'000'000'000);
  ASSERT_EQ(back.size(), pages.size());
  for (std::size_t i = 0; i < pages.size(); ++i) {
    EXPECT_EQ(back[i].time_ns, pages[i].time_ns);
    EXPECT_EQ(back[i].usage_bytes, pages[i].usage_bytes);
  }
  const auto odd = encode({{5, 4097}, {6, 1}}, 5);
  EXPECT_EQ(odd.unit, 1U);
  EXPECT_EQ(decoded(odd, 5)[1].usage_bytes, 1U);
  EXPECT_EQ(encode({}, 5).base64, "");
}

TEST(Series, NumbersThatABrowserCannotHoldAreCut) {
  const auto encoded = encode({{~0ULL, ~0ULL}, {0, 1}}, 0);
  const auto back = decoded(encoded, 0);
  EXPECT_EQ(back[0].usage_bytes, (1ULL << 53U) - 1);
  EXPECT_EQ(back[0].time_ns, (1ULL << 53U) - 1);
  EXPECT_EQ(back[1].usage_bytes, 1U);
}

}  // namespace
}  // namespace memcrest
