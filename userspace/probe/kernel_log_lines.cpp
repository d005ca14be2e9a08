// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_lines.h"

#include <algorithm>
#include <limits>

#include "probe/kernel_log_text.h"

namespace memcrest::kernel_log {
namespace {

constexpr std::size_t kMaxStatName = 64;
constexpr std::size_t kMaxColumns = 24;

}  // namespace

std::optional<Invoked> parse_invoked(std::string_view line) {
  constexpr std::string_view kInvoked = " invoked oom-killer: gfp_mask=";
  // task_struct's comm, at most 15 bytes: in a longer one the words are somebody else's.
  constexpr std::size_t kLongest = 15;
  const std::size_t at = line.find(kInvoked);
  if (at == std::string_view::npos || at > kLongest) {
    return std::nullopt;
  }
  Invoked out;
  out.comm = line.substr(0, at);
  line.remove_prefix(at + kInvoked.size());
  if (take(line, "0x")) {
    out.gfp_mask = take_number<std::uint64_t>(line, 16);
  } else if (line.starts_with("0")) {
    out.gfp_mask = 0;  // %#x of nothing
  }
  out.order = value_of<std::int32_t>(line, ", order=");
  return out;
}

std::optional<std::uint32_t> parse_stack_pid(std::string_view line) {
  constexpr std::string_view kPid = " PID: ";
  if (!line.starts_with("CPU: ")) {
    return std::nullopt;
  }
  return value_of<std::uint32_t>(line.substr(0, line.find(" Comm: ")), kPid);
}

std::optional<NamedCounter> parse_counter(std::string_view line, std::uint64_t page_size) {
  NamedCounter out;
  for (const std::string_view name : {"memory: ", "memory+swap: ", "swap: ", "kmem: "}) {
    if (take(line, name)) {
      out.name = name.substr(0, name.size() - 2);
      break;
    }
  }
  if (out.name.empty() || !take(line, "usage ")) {
    return std::nullopt;
  }
  const auto usage = take_number<std::uint64_t>(line);
  if (!usage || !take(line, "kB, limit ")) {
    return std::nullopt;
  }
  const auto limit = take_number<std::uint64_t>(line);
  if (!limit || !take(line, "kB, failcnt ")) {
    return std::nullopt;
  }
  const auto failcnt = take_number<std::uint64_t>(line);
  if (!failcnt) {
    return std::nullopt;
  }
  out.counter.usage_bytes = times(*usage, 1024);
  out.counter.failcnt = *failcnt;
  // PAGE_COUNTER_MAX is LONG_MAX / PAGE_SIZE pages: 9007199254740988kB with pages of 4 KiB.
  if (*limit < (1ULL << 53U) - page_size / 1024) {
    out.counter.limit_bytes = times(*limit, 1024);
  }
  return out;
}

std::optional<StatsHeader> parse_stats_header(std::string_view line) {
  if (!take(line, kStatsStart)) {
    return std::nullopt;
  }
  StatsHeader out;
  if (line.ends_with(':')) {
    out.path = line.substr(0, line.size() - 1);
    return out;
  }
  const std::size_t at = line.rfind(": ");
  out.path = line.substr(0, at);
  if (at == std::string_view::npos) {
    return out;
  }
  line.remove_prefix(at + 2);
  while (!line.empty() && out.stats.size() < kMaxStats) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon > kMaxStatName) {
      break;
    }
    std::string name(line.substr(0, colon));
    line.remove_prefix(colon + 1);
    const auto value = take_number<std::uint64_t>(line);
    if (!value || !take(line, "KB")) {
      break;
    }
    out.stats.emplace_back(std::move(name), times(*value, 1024));
    skip_spaces(line);
  }
  return out;
}

std::optional<std::pair<std::string, std::uint64_t>> parse_stat(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space > kMaxStatName) {
    return std::nullopt;
  }
  const std::string_view name = line.substr(0, space);
  if (!std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
      })) {
    return std::nullopt;
  }
  line.remove_prefix(space + 1);
  const auto value = take_number<std::uint64_t>(line);
  if (!value || !line.empty()) {
    return std::nullopt;
  }
  return std::pair{std::string(name), *value};
}

std::optional<TaskColumns> parse_task_header(std::string_view line) {
  if (!take(line, "[")) {
    return std::nullopt;
  }
  skip_spaces(line);
  if (!take(line, "pid")) {
    return std::nullopt;
  }
  skip_spaces(line);
  if (!take(line, "]")) {
    return std::nullopt;
  }
  TaskColumns out;
  while (out.names.size() < kMaxColumns) {
    skip_spaces(line);
    const std::string_view name = line.substr(0, line.find(' '));
    line.remove_prefix(name.size());
    if (name == "name") {
      return out;
    }
    if (name.empty()) {
      break;
    }
    out.names.emplace_back(name);
  }
  return std::nullopt;
}

std::optional<LogTask> parse_task(std::string_view line, const TaskColumns& columns, std::uint64_t page_size) {
  if (columns.names.empty() || !take(line, "[")) {
    return std::nullopt;
  }
  skip_spaces(line);
  const auto pid = take_number<std::uint32_t>(line);
  if (!pid || !take(line, "]")) {
    return std::nullopt;
  }
  LogTask out;
  out.pid = *pid;
  for (const auto& name : columns.names) {
    skip_spaces(line);
    const auto value = take_number<std::int64_t>(line);
    if (!value || !line.starts_with(' ')) {
      return std::nullopt;
    }
    const auto positive = static_cast<std::uint64_t>(std::max<std::int64_t>(*value, 0));
    if (name == "uid") {
      out.uid = static_cast<std::uint32_t>(*value);  // printed with %d: (uid_t)-2 is -2
    } else if (name == "tgid") {
      out.tgid = static_cast<std::uint32_t>(positive);
    } else if (name == "rss") {
      out.rss_bytes = times(positive, page_size);
    } else if (name == "swapents") {
      out.swap_bytes = times(positive, page_size);
    } else if (name == "oom_score_adj") {
      out.oom_score_adj = static_cast<std::int32_t>(std::clamp<std::int64_t>(
          *value, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()));
    }
  }
  line.remove_prefix(1);  // one space, then the name, which may begin with others
  out.comm = line.substr(0, kLongComm);
  return out;
}

}  // namespace memcrest::kernel_log
