// SPDX-License-Identifier: Apache-2.0
#include "collector/waiting_tasks.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxLooked = 4096;
constexpr std::size_t kMaxTold = 64;

std::vector<std::uint32_t> numbers(std::string_view text) {
  std::vector<std::uint32_t> out;
  while (!text.empty() && out.size() < kMaxLooked) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
      break;
    }
    out.push_back(number);
    text.remove_prefix(std::min(static_cast<std::size_t>(end - text.data()) + 1, text.size()));
  }
  return out;
}

// The rest of the line that begins with `key`, without the blanks before it.
std::string_view field(std::string_view text, std::string_view key) {
  const std::size_t at = text.starts_with(key) ? 0 : text.find("\n" + std::string(key));
  if (at == std::string_view::npos) {
    return {};
  }
  std::string_view line = text.substr(at == 0 ? key.size() : at + 1 + key.size());
  line = line.substr(0, line.find('\n'));
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line;
}

// /proc/PID/status writes a newline and a backslash in a name as \n and \\.
std::string unescaped(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool escape = name[i] == '\\' && i + 1 < name.size();
    out += !escape ? name[i] : name[i + 1] == 'n' ? '\n' : name[i + 1];
    i += escape ? 1 : 0;
  }
  return out;
}

// mem_cgroup_oom_synchronize, and whatever it is called inside it on another kernel.
bool is_oom_wait(std::string_view place) {
  return place.find("mem_cgroup_oom") != std::string_view::npos || place.find("memcg_oom") != std::string_view::npos;
}

// nullopt: it may not be read.
std::optional<bool> waits_in_oom(const std::string& folder) {
  const auto place = read_file(folder + "/wchan");
  if (place && !place->empty() && *place != "0") {
    return is_oom_wait(*place);
  }
  const auto stack = read_file(folder + "/stack");
  return stack && !stack->empty() ? std::optional(is_oom_wait(*stack)) : std::nullopt;
}

std::optional<StuckTask> waiting(const SystemRoot& root, std::uint32_t tid) {
  const auto status = read_file(root.proc + "/" + std::to_string(tid) + "/status");
  if (!status) {
    return std::nullopt;
  }
  const std::string_view state = field(*status, "State:");
  if (!state.starts_with('D') && !state.starts_with('S')) {
    return std::nullopt;
  }
  StuckTask task{0, tid, unescaped(field(*status, "Name:"))};
  const auto pids = numbers(field(*status, "Tgid:"));
  task.pid = pids.empty() ? tid : pids.front();
  const std::string folder = root.proc + "/" + std::to_string(task.pid) + "/task/" + std::to_string(tid);
  const auto waits = waits_in_oom(folder);
  task.verified = waits.has_value();
  return waits.value_or(true) ? std::optional(std::move(task)) : std::nullopt;
}

}  // namespace

WaitingTasks find_waiting(const CgroupTree& tree, const SystemRoot& root, const std::vector<std::string>& paths) {
  std::vector<std::uint32_t> tids;
  for (const std::string& path : paths) {
    const auto folder = tree.dir_of(path);
    const auto text = folder ? read_file(*folder + "/tasks") : Result<std::string>(std::string());
    if (text && tids.size() < kMaxLooked) {
      std::ranges::copy(numbers(*text), std::back_inserter(tids));
    }
  }
  std::ranges::sort(tids);
  tids.resize(std::min(tids.size(), kMaxLooked));
  WaitingTasks out;
  for (const std::uint32_t tid : tids) {
    auto task = waiting(root, tid);
    out.total += task ? 1 : 0;
    if (task && out.tasks.size() < kMaxTold) {
      out.tasks.push_back(std::move(*task));
    }
  }
  return out;
}

}  // namespace memcrest
