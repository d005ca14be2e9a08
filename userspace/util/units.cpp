// SPDX-License-Identifier: Apache-2.0
#include "util/units.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <optional>

namespace memcrest {
namespace {

constexpr std::string_view kSizeForms =
    "write 64m, 1g, 64MiB, 1.5GiB, 512k, 10kb or a number of bytes (units are binary: 1k is 1024)";
constexpr std::string_view kDurationForms = "write 500ms, 10s, 5m, 2h, 7d, 250us or 1.5s";

struct Number {
  std::uint64_t whole = 0;
  std::uint64_t fraction = 0;  // fraction / scale
  std::uint64_t scale = 1;
  bool has_point = false;
  std::string_view unit;  // what follows, one separating space left out
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// digits [. digits] [space] unit; nullopt for anything else, or when the whole part needs more than 64 bits.
std::optional<Number> split_number(std::string_view text) {
  Number number;
  const char* const end = text.data() + text.size();
  if (text.empty() || !is_digit(text.front())) {
    return std::nullopt;
  }
  const auto whole = std::from_chars(text.data(), end, number.whole);
  if (whole.ec != std::errc()) {
    return std::nullopt;
  }
  const char* next = whole.ptr;
  if (next != end && *next == '.') {
    number.has_point = true;
    const char* const first = ++next;
    // More digits than this cannot change the result by one byte or nanosecond that anyone means: they are skipped.
    constexpr std::uint64_t kMaxScale = 1'000'000'000'000'000;
    for (; next != end && is_digit(*next); ++next) {
      if (number.scale < kMaxScale) {
        number.fraction = number.fraction * 10 + static_cast<std::uint64_t>(*next - '0');
        number.scale *= 10;
      }
    }
    if (next == first) {
      return std::nullopt;
    }
  }
  if (next != end && *next == ' ' && next + 1 != end) {
    ++next;
  }
  number.unit = std::string_view(next, static_cast<std::size_t>(end - next));
  return number;
}

// whole.fraction * multiplier, rounded down; nullopt on overflow of 64 bits.
std::optional<std::uint64_t> multiply(const Number& number, std::uint64_t multiplier) {
  using Wide = unsigned __int128;
  const Wide product = Wide{number.whole} * multiplier + Wide{number.fraction} * multiplier / number.scale;
  if (product > std::numeric_limits<std::uint64_t>::max()) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(product);
}

// "", "b"; "k", "kb", "ki", "kib", and so on up to "eib", any case.
std::optional<std::uint64_t> size_multiplier(std::string_view unit) {
  std::string lower;
  for (const char c : unit.substr(0, 4)) {
    lower += to_lower(c);
  }
  if (lower.empty() || lower == "b") {
    return 1;
  }
  constexpr std::string_view kLetters = "kmgtpe";
  const std::size_t power = kLetters.find(lower.front());
  const std::string_view rest = std::string_view(lower).substr(1);
  if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "i" || rest == "ib")) {
    return std::nullopt;
  }
  if (lower == "e") {
    return std::nullopt;  // "1e" is more likely half of an exponent than one exbibyte
  }
  return std::uint64_t{1} << (10 * (power + 1));
}

std::optional<std::uint64_t> duration_multiplier(std::string_view unit) {
  struct Unit {
    std::string_view name;
    std::uint64_t ns;
  };
  static constexpr std::array kUnits = {
      Unit{"ns", 1},
      Unit{"us", 1'000},
      Unit{"\u00b5s", 1'000},
      Unit{"ms", 1'000'000},
      Unit{"s", 1'000'000'000},
      Unit{"m", 60'000'000'000},
      Unit{"min", 60'000'000'000},
      Unit{"h", 3'600'000'000'000},
      Unit{"d", 86'400'000'000'000},
  };
  for (const Unit& known : kUnits) {
    if (unit == known.name) {
      return known.ns;
    }
  }
  return std::nullopt;
}

std::unexpected<Error> refuse(const char* operation, std::string_view text, std::string_view why,
                              std::string_view forms) {
  constexpr std::size_t kShown = 48;
  std::string object = "\"" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "...\"" : "\"");
  return fail(operation, std::move(object), 0, std::string(why) + "; " + std::string(forms));
}

// Three significant digits; a value of at least 100 keeps all digits of its whole part. Not subject to the locale.
std::string three_digits(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::array<char, 32> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals);
  return std::string(buffer.data(), end.ptr);
}

std::string padded(std::int64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  return digits.size() >= width ? digits : std::string(width - digits.size(), '0') + digits;
}

struct SplitTime {
  std::time_t seconds;
  std::int64_t ns;  // 0..999'999'999, also before 1970
};

SplitTime split_time(std::int64_t unix_ns) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  std::int64_t seconds = unix_ns / kNsPerSecond;
  std::int64_t ns = unix_ns % kNsPerSecond;
  if (ns < 0) {
    seconds -= 1;
    ns += kNsPerSecond;
  }
  return {seconds, ns};
}

std::string clock_text(const std::tm& t) {
  return padded(t.tm_hour, 2) + ":" + padded(t.tm_min, 2) + ":" + padded(t.tm_sec, 2);
}

// Two units at most: "3 min 20 s", "2 h", "1 d 4 h".
std::string two_units(std::uint64_t large, const char* large_name, std::uint64_t small, const char* small_name) {
  std::string text = std::to_string(large) + " " + large_name;
  if (small != 0) {
    text += " " + std::to_string(small) + " " + small_name;
  }
  return text;
}

std::string format_minutes(std::uint64_t seconds) {
  if (seconds < 3600) {
    return two_units(seconds / 60, "min", seconds % 60, "s");
  }
  const std::uint64_t minutes = (seconds + 30) / 60;
  if (minutes < 24ULL * 60) {
    return two_units(minutes / 60, "h", minutes % 60, "min");
  }
  const std::uint64_t hours = (seconds + 1800) / 3600;
  return two_units(hours / 24, "d", hours % 24, "h");
}

// `count` digits and one of the separators, unless there are none to be; both are taken off.
std::optional<int> take_digits(std::string_view& text, std::size_t count, std::string_view separators) {
  const std::size_t whole = count + (separators.empty() ? 0 : 1);
  if (text.size() < whole || (!separators.empty() && separators.find(text[count]) == std::string_view::npos)) {
    return std::nullopt;
  }
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (!is_digit(c)) {
      return std::nullopt;
    }
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(whole);
  return value;
}

// ".841" or nothing; it is taken off.
std::optional<std::chrono::nanoseconds> take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) {
    return std::chrono::nanoseconds(0);
  }
  text.remove_prefix(1);
  std::int64_t ns = 0;
  std::int64_t unit = 100'000'000;
  std::size_t digits = 0;
  for (; digits < text.size() && is_digit(text[digits]); ++digits) {
    ns += unit * (text[digits] - '0');
    unit /= 10;
  }
  text.remove_prefix(digits);
  return digits > 0 ? std::optional(std::chrono::nanoseconds(ns)) : std::nullopt;
}

// "Z" or "+01:00"; it is taken off.
std::optional<std::chrono::minutes> take_zone(std::string_view& text) {
  const char sign = text.empty() ? '\0' : text.front();
  if (sign == 'Z' || sign == 'z') {
    text.remove_prefix(1);
    return std::chrono::minutes(0);
  }
  if (sign != '+' && sign != '-') {
    return std::nullopt;
  }
  text.remove_prefix(1);
  const auto hours = take_digits(text, 2, ":");
  const auto minutes = take_digits(text, 2, "");
  if (!hours || !minutes || *hours > 23 || *minutes > 59) {
    return std::nullopt;
  }
  const auto zone = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return sign == '-' ? -zone : zone;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto number = split_number(text);
  if (!number) {
    return refuse("parse size", text, "not a size", kSizeForms);
  }
  const auto multiplier = size_multiplier(number->unit);
  if (!multiplier) {
    return refuse("parse size", text, "unknown unit", kSizeForms);
  }
  if (number->has_point && *multiplier == 1) {
    return refuse("parse size", text, "a part of a byte", kSizeForms);
  }
  const auto bytes = multiply(*number, *multiplier);
  if (!bytes) {
    return refuse("parse size", text, "too large", kSizeForms);
  }
  return *bytes;
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto number = split_number(text);
  if (!number) {
    return refuse("parse duration", text, "not a duration", kDurationForms);
  }
  const auto multiplier = duration_multiplier(number->unit);
  if (!multiplier) {
    return refuse("parse duration", text, number->unit.empty() ? "the unit is missing" : "unknown unit",
                  kDurationForms);
  }
  const auto ns = multiply(*number, *multiplier);
  if (!ns || *ns > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return refuse("parse duration", text, "too long", kDurationForms);
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(*ns));
}

std::string format_size(std::uint64_t bytes) {
  if (bytes < 1024) {
    return std::to_string(bytes) + " B";
  }
  static constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {  // .5: never round up to "1024 KiB"
    value /= 1024;
    ++unit;
  }
  return three_digits(value) + " " + kUnits[unit];
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const std::int64_t count = duration.count();
  const std::uint64_t ns =
      count < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  const std::string sign = count < 0 ? "-" : "";
  if (ns == 0) {
    return "0 s";
  }
  if (ns < 1000) {
    return sign + std::to_string(ns) + " ns";
  }
  if (ns >= 59'950'000'000) {  // would read "60.0 s"
    return sign + format_minutes(ns / 1'000'000'000 + (ns % 1'000'000'000 >= 500'000'000 ? 1 : 0));
  }
  static constexpr std::array kUnits = {"us", "ms", "s"};
  double value = static_cast<double>(ns) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return sign + three_digits(value) + " " + kUnits[unit];
}

std::string format_rfc3339(std::int64_t unix_ns) {
  const SplitTime time = split_time(unix_ns);
  std::tm utc{};
  gmtime_r(&time.seconds, &utc);
  return padded(utc.tm_year + 1900, 4) + "-" + padded(utc.tm_mon + 1, 2) + "-" + padded(utc.tm_mday, 2) + "T" +
         clock_text(utc) + "." + padded(time.ns, 9) + "Z";
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  const auto year = take_digits(text, 4, "-");
  const auto month = take_digits(text, 2, "-");
  const auto day = take_digits(text, 2, "Tt ");
  const auto hour = take_digits(text, 2, ":");
  const auto minute = take_digits(text, 2, ":");
  const auto second = take_digits(text, 2, "");
  if (!year || !month || !day || !hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  const auto fraction = take_fraction(text);
  const auto zone = take_zone(text);
  constexpr int kLastYear = 2261;  // whose nanoseconds fit in 64 bits
  if (!date.ok() || *year < 1970 || *year > kLastYear || !fraction || !zone || !text.empty()) {
    return std::nullopt;
  }
  const auto time = std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
                    std::chrono::seconds(*second) - *zone + *fraction;
  const std::int64_t unix_ns = std::chrono::nanoseconds(time.time_since_epoch()).count();
  return unix_ns >= 0 ? std::optional(unix_ns) : std::nullopt;
}

std::string format_time_of_day(std::int64_t unix_ns) {
  const SplitTime time = split_time(unix_ns);
  std::tm local{};
  localtime_r(&time.seconds, &local);
  return clock_text(local) + "." + padded(time.ns / 1'000'000, 3);
}

}  // namespace memcrest
