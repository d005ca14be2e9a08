// SPDX-License-Identifier: Apache-2.0
#include "incident/runtime_settings.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace memcrest {
namespace {

constexpr std::size_t kMaxSettings = 16;
constexpr std::size_t kLongestValue = 24;
constexpr std::size_t kMaxWords = 256;

enum class Unit { kSize, kMebibytes, kPercent, kCount };

struct Known {
  std::string_view program;  // what the first word's file name begins with
  std::string_view option;   // the value follows at once, after '=' or as the next word
  std::string_view name;
  Unit unit;
};

constexpr Known kKnown[] = {
    {"java", "-Xmx", "-Xmx", Unit::kSize},
    {"java", "-XX:MaxHeapSize=", "-XX:MaxHeapSize", Unit::kSize},
    {"java", "-XX:MaxRAMPercentage=", "-XX:MaxRAMPercentage", Unit::kPercent},
    {"java", "-XX:MaxDirectMemorySize=", "-XX:MaxDirectMemorySize", Unit::kSize},
    {"java", "-XX:MaxMetaspaceSize=", "-XX:MaxMetaspaceSize", Unit::kSize},
    {"node", "--max-old-space-size=", "--max-old-space-size", Unit::kMebibytes},
    {"node", "--max_old_space_size=", "--max-old-space-size", Unit::kMebibytes},
    {"gunicorn", "--workers=", "workers", Unit::kCount},
    {"gunicorn", "--workers", "workers", Unit::kCount},
    {"gunicorn", "-w", "workers", Unit::kCount},
    {"uwsgi", "--processes=", "workers", Unit::kCount},
    {"uwsgi", "--processes", "workers", Unit::kCount},
    {"uwsgi", "-p", "workers", Unit::kCount},
    {"postgres", "shared_buffers=", "shared_buffers", Unit::kSize},
    {"postgres", "work_mem=", "work_mem", Unit::kSize},
    {"postgres", "max_connections=", "max_connections", Unit::kCount},
};

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty() && out.size() < kMaxWords) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) {
      break;
    }
    line.remove_prefix(begin);
    out.push_back(line.substr(0, line.find(' ')));
    line.remove_prefix(out.back().size());
  }
  return out;
}

bool is_plain(std::string_view value) {
  return !value.empty() && value.size() <= kLongestValue && value.find_first_of("0123456789") == 0 &&
         std::ranges::all_of(value, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
         });
}

std::optional<std::uint64_t> size_of(std::string_view value, Unit unit) {
  std::uint64_t number = 0;
  const auto [end, wrong] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (wrong != std::errc{} || number > (1ULL << 40U)) {
    return std::nullopt;
  }
  const std::string_view letters(end, static_cast<std::size_t>(value.data() + value.size() - end));
  if (unit == Unit::kMebibytes && letters.empty()) {
    return number << 20U;
  }
  if (unit != Unit::kSize || letters.size() > 2) {
    return std::nullopt;
  }
  switch (letters.empty() ? '\0' : letters.front()) {
    case '\0':
      return number;
    case 'k':
    case 'K':
      return number << 10U;
    case 'm':
    case 'M':
      return number < (1ULL << 40U) ? std::optional(number << 20U) : std::nullopt;
    case 'g':
    case 'G':
      return number < (1ULL << 30U) ? std::optional(number << 30U) : std::nullopt;
    default:
      return std::nullopt;
  }
}

// The program itself, or what an interpreter runs: "python3 /usr/bin/gunicorn".
bool runs(const std::vector<std::string_view>& words, std::string_view program) {
  return std::ranges::any_of(words.begin(),
                             words.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, words.size())),
                             [&](std::string_view word) { return file_name(word).starts_with(program); });
}

}  // namespace

std::vector<RuntimeSetting> settings_of(std::string_view cmdline) {
  std::vector<RuntimeSetting> out;
  const auto words = words_of(cmdline);
  for (const Known& known : kKnown) {
    if (!runs(words, known.program)) {
      continue;
    }
    for (std::size_t i = 1; i < words.size() && out.size() < kMaxSettings; ++i) {
      if (!words[i].starts_with(known.option)) {
        continue;
      }
      std::string_view value = words[i].substr(known.option.size());
      if (value.empty() && !known.option.ends_with('=') && i + 1 < words.size()) {
        value = words[i + 1];
      }
      if (is_plain(value)) {
        out.push_back({0, {}, std::string(known.name), std::string(value), size_of(value, known.unit)});
      }
    }
  }
  return out;
}

}  // namespace memcrest
