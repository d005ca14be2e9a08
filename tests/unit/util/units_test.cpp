// SPDX-License-Identifier: Apache-2.0
#include "util/units.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <ctime>
#include <limits>

namespace memcrest {
namespace {

using std::chrono::nanoseconds;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::uint64_t kKi = 1024;
constexpr std::uint64_t kMi = kKi * 1024;
constexpr std::uint64_t kGi = kMi * 1024;

struct SizeCase {
  const char* text;
  std::uint64_t bytes;
};

class ParseSize : public ::testing::TestWithParam<SizeCase> {};

TEST_P(ParseSize, Accepts) {
  const auto size = parse_size(GetParam().text);
  ASSERT_TRUE(size) << GetParam().text << ": " << size.error().message();
  EXPECT_EQ(*size, GetParam().bytes) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Forms, ParseSize,
    ::testing::Values(SizeCase{"64m", 64 * kMi}, SizeCase{"1g", kGi}, SizeCase{"64MiB", 64 * kMi},
                      SizeCase{"1.5GiB", kGi + kGi / 2}, SizeCase{"4096", 4096}, SizeCase{"512k", 512 * kKi},
                      SizeCase{"10kb", 10 * kKi}, SizeCase{"0", 0}, SizeCase{"0m", 0}, SizeCase{"7b", 7},
                      SizeCase{"64Mi", 64 * kMi}, SizeCase{"64 MiB", 64 * kMi}, SizeCase{"1T", kGi* kKi},
                      SizeCase{"1p", kGi* kMi}, SizeCase{"15EiB", 15 * kGi* kGi}, SizeCase{"0.1k", 102},
                      SizeCase{"1.0000000000000000000000000000000000000001k", 1024},
                      SizeCase{"18446744073709551615", std::numeric_limits<std::uint64_t>::max()}));

class ParseSizeRefuses : public ::testing::TestWithParam<std::string> {};

TEST_P(ParseSizeRefuses, AndNamesTheForms) {
  const auto size = parse_size(GetParam());
  ASSERT_FALSE(size) << GetParam();
  EXPECT_THAT(size.error().message(), HasSubstr("64m"));
  EXPECT_THAT(size.error().message(), HasSubstr("64MiB"));
  EXPECT_LT(size.error().message().size(), 300U);
}

INSTANTIATE_TEST_SUITE_P(Garbage, ParseSizeRefuses,
                         ::testing::Values("", " ", "-1", "-1m", "+1m", "nan", "inf", "NaN", "m", "64x", "64mm",
                                           "64mibs", "1e", "1e9", "0x10", "1.5", "1.5b", "1.", ".5g", "1..5g", "1,5g",
                                           "64m ", " 64m", "64  m", "64m\n", std::string("64\0m", 4),
                                           "18446744073709551616", "16EiB", "99999999999999999999999g",
                                           "17592186044416m", std::string(100000, '9'), "\xff\xfe", "6\xc2\xb2m"));

TEST(ParseDuration, Accepts) {
  EXPECT_EQ(parse_duration("500ms"), nanoseconds(500ms));
  EXPECT_EQ(parse_duration("10s"), nanoseconds(10s));
  EXPECT_EQ(parse_duration("5m"), nanoseconds(5min));
  EXPECT_EQ(parse_duration("5min"), nanoseconds(5min));
  EXPECT_EQ(parse_duration("2h"), nanoseconds(2h));
  EXPECT_EQ(parse_duration("250us"), nanoseconds(250us));
  EXPECT_EQ(parse_duration("250\u00b5s"), nanoseconds(250us));
  EXPECT_EQ(parse_duration("7ns"), 7ns);
  EXPECT_EQ(parse_duration("1.5s"), nanoseconds(1500ms));
  EXPECT_EQ(parse_duration("0s"), 0ns);
  EXPECT_EQ(parse_duration("9223372036s"), nanoseconds(9223372036s));
}

TEST(ParseDuration, RefusesAndNamesTheForms) {
  for (const char* text : {"", "10", "1.5", "s", "-1s", "+1s", "nan", "10S", "10 days", "10sec", "1e3s", "9223372037s",
                           "99999999999999999999s", "3000000h", "\x1b[2Js"}) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration) << text;
    EXPECT_THAT(duration.error().message(), HasSubstr("500ms")) << text;
  }
  EXPECT_THAT(parse_duration("10").error().message(), HasSubstr("unit is missing"));
}

TEST(FormatSize, ThreeSignificantDigits) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1.00 KiB");
  EXPECT_EQ(format_size(412 * kMi), "412 MiB");
  EXPECT_EQ(format_size(2 * kGi), "2.00 GiB");
  EXPECT_EQ(format_size(kGi + kGi / 2), "1.50 GiB");
  EXPECT_EQ(format_size(10 * kMi - 1), "10.0 MiB");
  EXPECT_EQ(format_size(100 * kMi - 1), "100 MiB");
  EXPECT_EQ(format_size(1023 * kMi), "1023 MiB");
  EXPECT_EQ(format_size(kGi - 1), "1.00 GiB");
  EXPECT_EQ(format_size(std::numeric_limits<std::uint64_t>::max()), "16.0 EiB");
}

TEST(FormatSize, ReadsBackWithinItsPrecision) {
  for (std::uint64_t bytes = 1; bytes < (std::uint64_t{1} << 60U); bytes = bytes * 3 + 1) {
    const auto back = parse_size(format_size(bytes));
    ASSERT_TRUE(back) << format_size(bytes);
    EXPECT_NEAR(static_cast<double>(*back), static_cast<double>(bytes), static_cast<double>(bytes) * 0.006);
  }
}

TEST(FormatDuration, PicksTheUnit) {
  EXPECT_EQ(format_duration(0ns), "0 s");
  EXPECT_EQ(format_duration(999ns), "999 ns");
  EXPECT_EQ(format_duration(850us), "850 us");
  EXPECT_EQ(format_duration(740ms), "740 ms");
  EXPECT_EQ(format_duration(999'600us), "1.00 s");
  EXPECT_EQ(format_duration(1200ms), "1.20 s");
  EXPECT_EQ(format_duration(59'960ms), "1 min");
  EXPECT_EQ(format_duration(200s), "3 min 20 s");
  EXPECT_EQ(format_duration(3600s), "1 h");
  EXPECT_EQ(format_duration(2h + 5min), "2 h 5 min");
  EXPECT_EQ(format_duration(3599s + 600ms), "1 h");
  EXPECT_EQ(format_duration(28h), "1 d 4 h");
  EXPECT_EQ(format_duration(-740ms), "-740 ms");
  EXPECT_EQ(format_duration(nanoseconds::min()), "-106752 d") << "no overflow";
}

TEST(FormatTime, Rfc3339KeepsNanoseconds) {
  EXPECT_EQ(format_rfc3339(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(format_rfc3339(1795340143'841000123), "2026-11-22T09:35:43.841000123Z");
  EXPECT_EQ(format_rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(format_rfc3339(std::numeric_limits<std::int64_t>::min()).substr(0, 4), "1677");
}

TEST(ParseRfc3339, AsItIsWritten) {
  EXPECT_EQ(parse_rfc3339("2026-11-22T09:35:43.841000123Z"), 1795340143'841000123);
  EXPECT_EQ(parse_rfc3339("2026-11-22T09:35:43Z"), 1795340143'000000000);
  EXPECT_EQ(parse_rfc3339("2026-11-22 10:35:43.5+01:00"), 1795340143'500000000) << "Podman's local time";
  EXPECT_EQ(parse_rfc3339("2026-11-22T05:05:43.5-04:30"), 1795340143'500000000);
  EXPECT_EQ(parse_rfc3339("2026-11-22T09:35:43.84100012399Z"), 1795340143'841000123);
  EXPECT_EQ(parse_rfc3339("2024-02-29T00:00:00Z"), 1709164800'000000000);
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), 0);
}

TEST(ParseRfc3339, NothingElse) {
  for (const char* text : {"",
                           "Z",
                           "2026",
                           "0001-01-01T00:00:00Z",
                           "1969-12-31T23:59:59Z",
                           "1970-01-01T00:00:00+01:00",
                           "2026-02-29T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-11-22T24:00:00Z",
                           "2026-11-22T09:60:00Z",
                           "2026-11-22T09:35:43",
                           "2026-11-22T09:35:43.Z",
                           "2026-11-22T09:35:43Zx",
                           "2026-11-22T09:35:43+1:00",
                           "2026-11-22T09:35:43+99:00",
                           "2262-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z",
                           "-026-11-22T09:35:43Z",
                           "2026-11-22T 9:35:43Z"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

TEST(FormatTime, TimeOfDayIsLocal) {
  ASSERT_EQ(setenv("TZ", "UTC-2", 1), 0);  // POSIX: two hours east
  tzset();
  EXPECT_EQ(format_time_of_day(1795340143'841999999), "11:35:43.841");
  ASSERT_EQ(setenv("TZ", "UTC", 1), 0);
  tzset();
  EXPECT_EQ(format_time_of_day(-1), "23:59:59.999");
}

}  // namespace
}  // namespace memcrest
