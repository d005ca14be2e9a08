// SPDX-License-Identifier: Apache-2.0
#include "util/process_start.h"

#include <unistd.h>

#include <charconv>
#include <limits>
#include <utility>

#include "util/fd.h"

namespace memcrest {
namespace {

// Field 22 of /proc/PID/stat, in clock ticks since boot. comm may hold anything, so count from the last ')'.
std::optional<std::uint64_t> start_ticks(const std::string& stat) {
  std::size_t at = stat.rfind(')');
  for (int field = 2; field < 22; ++field) {
    at = at == std::string::npos ? at : stat.find(' ', at + 1);
  }
  if (at == std::string::npos) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), value);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::uint64_t tick_ns() { return 1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)); }

std::optional<std::uint64_t> process_start_ns(const std::string& folder) {
  const auto stat = read_file(folder + "/stat");
  const auto ticks = stat ? start_ticks(*stat) : std::nullopt;
  if (!ticks || *ticks > std::numeric_limits<std::uint64_t>::max() / tick_ns()) {
    return std::nullopt;
  }
  return *ticks * tick_ns();
}

std::optional<ProcessStat> process_stat(const std::string& folder) {
  const auto stat = read_file(folder + "/stat");
  const std::size_t begin = stat ? stat->find('(') : std::string::npos;
  const std::size_t end = stat ? stat->rfind(')') : std::string::npos;
  if (begin == std::string::npos || end == std::string::npos || end < begin || end + 4 > stat->size()) {
    return std::nullopt;
  }
  ProcessStat out{.comm = stat->substr(begin + 1, end - begin - 1)};
  // ") S 1234 ": the state is one letter.
  const auto [rest, error] = std::from_chars(stat->data() + end + 4, stat->data() + stat->size(), out.parent);
  return error == std::errc{} ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace memcrest
