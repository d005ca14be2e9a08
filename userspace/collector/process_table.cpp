// SPDX-License-Identifier: Apache-2.0
#include "collector/process_table.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <thread>

#include "incident/runtime_settings.h"
#include "util/fd.h"
#include "util/process_start.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCmdline = 4096;
constexpr std::size_t kMaxEnvironment = 128U << 10U;
constexpr std::size_t kMaxParents = 8;
constexpr std::uint64_t kShortly = 10'000'000'000;
constexpr std::size_t kMaxExe = 1024;
constexpr std::size_t kMaxCgroup = 4096;
constexpr std::chrono::milliseconds kPatience{250};
constexpr std::size_t kMostStuck = 16;

// A start as /proc knows it: cut down to a tick.
std::uint64_t tick_of(const ProcessKey& key) { return to_tick(key.start_ns); }

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
    : reader_{std::move(root), detail},
      patience_(kPatience, kMostStuck),
      max_(std::max<std::size_t>(max_processes, 1)) {}

void ProcessTable::started(const ExecEvent& event) {
  put(event.task.process, {.cmdline = redact_cmdline(event.cmdline, event.cmdline_cut, reader_.detail),
                           .exe = is_lasting(event.exe) ? event.exe : "",
                           .comm = event.task.comm,
                           .parent = event.parent_tgid});
}

void ProcessTable::seen(const ProcessKey& process, bool environment) {
  Known* const known = find(process);
  if (known == nullptr) {
    // A container whose processes hang costs its own command lines.
    put(process,
        reader_.program(process, patience_.run(reader_.cgroup(process), [reader = reader_, process, environment] {
          return reader.memory(process, environment);
        })));
    find(process)->program.environment_read = environment;
    return;
  }
  Program& program = known->program;
  if (!program.looked) {
    program.looked = true;
    // Only the link: what an event told of the command line holds.
    if (std::string exe = reader_.exe(process); !exe.empty()) {
      program.exe = std::move(exe);
    }
  }
  if (environment && !program.environment_read) {
    program.environment_read = true;
    auto read =
        patience_.run(reader_.cgroup(process), [reader = reader_, process] { return reader.environment(process); });
    if (read && process_start_ns(reader_.folder(process)) == tick_of(process)) {
      program.environment = std::move(*read);
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

std::string ProcessTable::environment(const ProcessKey& process) {
  seen(process, true);
  return find(process)->program.environment;
}

// Its end is not noted: one that is no more counts only where it began shortly before, since its id may have been
// another's meanwhile.
std::optional<ProcessKey> ProcessTable::holder(std::uint32_t pid, const ProcessKey& child) const {
  const bool rounded = child.start_ns % tick_ns() == 0;
  const std::uint64_t latest = child.start_ns + (rounded ? tick_ns() - 1 : 0);
  const auto alive = process_start_ns(reader_.folder({pid, 0}));
  if (alive && *alive > latest) {
    return std::nullopt;  // the id was taken after the child began
  }
  const auto later = known_.upper_bound({pid, alive ? *alive + tick_ns() - 1 : latest});
  const auto known = later == known_.begin() ? known_.end() : std::prev(later);
  const bool there = known != known_.end() && known->first.tgid == pid;
  if (alive) {
    return there && known->first.start_ns >= *alive ? known->first : ProcessKey{pid, *alive};
  }
  return there && latest - known->first.start_ns <= kShortly ? std::optional(known->first) : std::nullopt;
}

std::vector<Parent> ProcessTable::parents(const ProcessKey& process) {
  std::vector<Parent> out;
  ProcessKey child = process;
  seen(child);
  while (out.size() < kMaxParents) {
    const std::uint32_t pid = find(child)->program.parent;
    const auto parent = pid == 0 ? std::nullopt : holder(pid, child);
    if (!parent) {
      break;
    }
    seen(*parent);
    const Program& program = find(*parent)->program;
    out.push_back({pid, 0, program.comm, program.cmdline});
    child = *parent;
  }
  return out;
}

// Detached: it cannot be made to return while it hangs, and nobody may wait for it then.
void ProcessTable::read_running() {
  running_ = std::make_shared<Running>();
  std::thread([reader = reader_, most = max_ / 2, running = running_] { read_all(reader, most, *running); }).detach();
}

bool ProcessTable::take_running() {
  if (!running_) {
    return false;
  }
  std::vector<std::pair<ProcessKey, Program>> read;
  bool done = false;
  {
    const std::lock_guard lock(running_->mutex);
    read.swap(running_->read);
    done = running_->done;
  }
  for (auto& [key, program] : read) {
    put_running(key, std::move(program));
  }
  if (done) {
    running_.reset();
  }
  return !done;
}

void ProcessTable::read_all(const Reader& reader, std::size_t most, Running& out) {
  std::error_code error;
  std::size_t count = 0;
  std::filesystem::directory_iterator entry(reader.root.proc, error);
  for (; !error && entry != std::filesystem::directory_iterator() && count < most; entry.increment(error)) {
    ProcessKey key;
    const std::string name = entry->path().filename();
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), key.tgid);
    if (wrong != std::errc{} || end != name.data() + name.size()) {
      continue;
    }
    const auto start_ns = process_start_ns(reader.folder(key));
    if (!start_ns) {
      continue;
    }
    key.start_ns = *start_ns;
    Program program = reader.program(key, reader.memory(key, true));
    program.environment_read = true;
    if (!program.cmdline.empty()) {  // kernel threads have none
      const std::lock_guard lock(out.mutex);
      out.read.emplace_back(key, std::move(program));
      ++count;
    }
  }
  const std::lock_guard lock(out.mutex);
  out.done = true;
}

// Its start is known to a tick only: find() takes that into account.
void ProcessTable::put_running(const ProcessKey& key, Program program) {
  const auto known = known_.lower_bound(key);
  const bool told =
      known != known_.end() && known->first.tgid == key.tgid && known->first.start_ns - key.start_ns < tick_ns();
  if (!told) {
    put(key, std::move(program));
  }
}

ProcessTable::Known* ProcessTable::find(const ProcessKey& key) {
  auto found = known_.find(key);
  if (found == known_.end()) {
    found = known_.find({key.tgid, tick_of(key)});
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

std::string ProcessTable::Reader::folder(const ProcessKey& key) const {
  return root.proc + "/" + std::to_string(key.tgid);
}

ProcessTable::Memory ProcessTable::Reader::memory(const ProcessKey& key, bool environment_too) const {
  return {read_start(folder(key) + "/cmdline", kMaxCmdline + 1).value_or(""),
          environment_too ? environment(key) : std::string()};
}

std::string ProcessTable::Reader::environment(const ProcessKey& key) const {
  if (detail == CmdlineDetail::kProgramOnly) {
    return "";
  }
  std::string raw = read_start(folder(key) + "/environ", kMaxEnvironment).value_or("");
  if (raw.size() == kMaxEnvironment) {  // its last entry may be cut, and a number then is another one
    raw.resize(raw.rfind('\0') == std::string::npos ? 0 : raw.rfind('\0'));
  }
  return memory_environment(raw);
}

// Reading it never waits for the process.
std::string ProcessTable::Reader::cgroup(const ProcessKey& key) const {
  return read_start(folder(key) + "/cgroup", kMaxCgroup).value_or(std::to_string(key.tgid));
}

// The start is read last: the pid may belong to somebody else by then.
ProcessTable::Program ProcessTable::Reader::program(const ProcessKey& key, std::optional<Memory> memory) const {
  Program out{.exe = read_exe(folder(key)), .looked = true};
  if (auto stat = process_stat(folder(key))) {
    out.comm = std::move(stat->comm);
    out.parent = stat->parent;
  }
  if (process_start_ns(folder(key)) != tick_of(key)) {
    return {.looked = true};
  }
  if (memory) {
    const bool cut = memory->cmdline.size() > kMaxCmdline;
    memory->cmdline.resize(std::min(memory->cmdline.size(), kMaxCmdline));
    out.cmdline = redact_cmdline(memory->cmdline, cut, detail);
    out.environment = std::move(memory->environment);
  }
  return out;
}

std::string ProcessTable::Reader::exe(const ProcessKey& key) const {
  std::string out = read_exe(folder(key));
  return process_start_ns(folder(key)) == tick_of(key) ? out : "";
}

}  // namespace memcrest
