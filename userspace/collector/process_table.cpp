// SPDX-License-Identifier: Apache-2.0
#include "collector/process_table.h"

#include <unistd.h>

#include <charconv>

#include "util/fd.h"
#include "util/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCmdline = 4096;

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

ProcessTable::ProcessTable(SystemRoot root, std::size_t max_processes)
    : root_(std::move(root)), max_(std::max<std::size_t>(max_processes, 1)) {}

void ProcessTable::started(const ExecEvent& event) {
  put(event.task.process, join_cmdline(event.cmdline) + (event.cmdline_cut ? " …" : ""));
}

void ProcessTable::seen(const TaskInfo& task) {
  const auto found = known_.find(task.process);
  if (found == known_.end()) {
    put(task.process, read(task.process));
    return;
  }
  by_age_.splice(by_age_.begin(), by_age_, found->second.age);
}

std::string ProcessTable::cmdline(const TaskInfo& task) {
  seen(task);
  return known_.at(task.process).cmdline;
}

void ProcessTable::put(const ProcessKey& key, std::string cmdline) {
  if (const auto found = known_.find(key); found != known_.end()) {
    found->second.cmdline = std::move(cmdline);
    by_age_.splice(by_age_.begin(), by_age_, found->second.age);
    return;
  }
  by_age_.push_front(key);
  known_.emplace(key, Known{std::move(cmdline), by_age_.begin()});
  if (known_.size() > max_) {
    known_.erase(by_age_.back());
    by_age_.pop_back();
  }
}

std::string ProcessTable::read(const ProcessKey& key) const {
  const std::string folder = root_.proc + "/" + std::to_string(key.tgid);
  auto text = read_start(folder + "/cmdline", kMaxCmdline + 1);
  const auto stat = read_file(folder + "/stat");
  if (!text || !stat) {
    return {};
  }
  // The pid may belong to somebody else by now. The kernel cuts the start time down to a tick.
  const auto ticks = start_ticks(*stat);
  const auto tick_ns = 1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  if (!ticks || *ticks != key.start_ns / tick_ns) {
    return {};
  }
  const bool cut = text->size() > kMaxCmdline;
  text->resize(std::min(text->size(), kMaxCmdline));
  return join_cmdline(*text) + (cut ? " …" : "");
}

}  // namespace memcrest
