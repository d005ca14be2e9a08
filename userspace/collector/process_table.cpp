// SPDX-License-Identifier: Apache-2.0
#include "collector/process_table.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCmdline = 4096;
constexpr std::size_t kMaxExe = 1024;
// About a millisecond.
constexpr int kReadAtOnce = 32;

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

std::uint64_t tick_ns() { return 1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)); }

// The kernel cuts the start time down to a tick.
std::optional<std::uint64_t> start_in_proc(const std::string& folder) {
  const auto stat = read_file(folder + "/stat");
  const auto ticks = stat ? start_ticks(*stat) : std::nullopt;
  if (!ticks || *ticks > std::numeric_limits<std::uint64_t>::max() / tick_ns()) {
    return std::nullopt;
  }
  return *ticks * tick_ns();
}

// Empty where it may not be read, or is too long.
std::string read_exe(const std::string& folder) {
  char path[kMaxExe];
  const ssize_t length = ::readlink((folder + "/exe").c_str(), path, sizeof(path));
  return length > 0 && static_cast<std::size_t>(length) < sizeof(path) ? std::string(path, path + length) : "";
}

// As execve was given it. A relative path, or one through a descriptor (execveat), says nothing later on.
bool is_lasting(const std::string& path) {
  return path.starts_with('/') && !path.starts_with("/dev/fd/") && !path.starts_with("/proc/");
}

}  // namespace

ProcessTable::ProcessTable(SystemRoot root, std::size_t max_processes, CmdlineDetail detail)
    : root_(std::move(root)), max_(std::max<std::size_t>(max_processes, 1)), detail_(detail) {}

void ProcessTable::started(const ExecEvent& event) {
  put(event.task.process, {line(event.cmdline, event.cmdline_cut), is_lasting(event.exe) ? event.exe : "", false});
}

void ProcessTable::seen(const ProcessKey& process) {
  Known* const known = find(process);
  if (known == nullptr) {
    put(process, read(process));
    return;
  }
  if (!known->program.looked) {
    known->program.looked = true;
    if (std::string exe = read(process).exe; !exe.empty()) {
      known->program.exe = std::move(exe);
    }
  }
  by_age_.splice(by_age_.begin(), by_age_, known->age);
}

std::string ProcessTable::cmdline(const ProcessKey& process) {
  seen(process);
  return find(process)->program.cmdline;
}

std::string ProcessTable::exe(const ProcessKey& process) {
  seen(process);
  return find(process)->program.exe;
}

bool ProcessTable::read_more_running() {
  if (running_read_) {
    return false;
  }
  if (!running_) {
    running_.reset(::opendir(root_.proc.c_str()));
  }
  for (int i = 0; running_ && i < kReadAtOnce;) {
    const dirent* const entry = known_.size() < max_ / 2 ? ::readdir(running_.get()) : nullptr;  // NOLINT: own stream
    if (entry == nullptr) {
      running_.reset();
      break;
    }
    std::uint32_t pid = 0;
    const std::string_view name = entry->d_name;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc{} && end == name.data() + name.size()) {
      read_running(pid);
      ++i;
    }
  }
  running_read_ = !running_;
  return !running_read_;
}

// Its start is known to a tick only: find() takes that into account.
void ProcessTable::read_running(std::uint32_t pid) {
  const auto start_ns = start_in_proc(root_.proc + "/" + std::to_string(pid));
  if (!start_ns) {
    return;
  }
  const ProcessKey key{pid, *start_ns};
  const auto known = known_.lower_bound(key);
  if (known != known_.end() && known->first.tgid == pid && known->first.start_ns - *start_ns < tick_ns()) {
    return;
  }
  Program program = read(key);
  if (!program.cmdline.empty()) {  // kernel threads have none
    put(key, std::move(program));
  }
}

ProcessTable::Known* ProcessTable::find(const ProcessKey& key) {
  auto found = known_.find(key);
  if (found == known_.end()) {
    found = known_.find({key.tgid, key.start_ns - key.start_ns % tick_ns()});
  }
  return found == known_.end() ? nullptr : &found->second;
}

void ProcessTable::put(const ProcessKey& key, Program program) {
  if (Known* const known = find(key)) {
    known->program = std::move(program);
    by_age_.splice(by_age_.begin(), by_age_, known->age);
    return;
  }
  by_age_.push_front(key);
  known_.emplace(key, Known{std::move(program), by_age_.begin()});
  if (known_.size() > max_) {
    known_.erase(by_age_.back());
    by_age_.pop_back();
  }
}

std::string ProcessTable::line(const std::string& raw, bool cut) const { return redact_cmdline(raw, cut, detail_); }

ProcessTable::Program ProcessTable::read(const ProcessKey& key) const {
  const std::string folder = root_.proc + "/" + std::to_string(key.tgid);
  auto text = read_start(folder + "/cmdline", kMaxCmdline + 1);
  const std::string exe = read_exe(folder);
  // Last: the pid may belong to somebody else by now.
  const auto start_ns = start_in_proc(folder);
  if (!start_ns || *start_ns != key.start_ns - key.start_ns % tick_ns()) {
    return {.looked = true};
  }
  Program out{.exe = exe, .looked = true};
  if (text) {
    const bool cut = text->size() > kMaxCmdline;
    text->resize(std::min(text->size(), kMaxCmdline));
    out.cmdline = line(*text, cut);
  }
  return out;
}

}  // namespace memcrest
