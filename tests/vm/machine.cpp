// SPDX-License-Identifier: Apache-2.0
#include "vm/machine.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "util/fd.h"

namespace memcrest::scenarios {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* kCpusets = "/sys/fs/cgroup/cpuset";  // v1

[[noreturn]] void give_up(const std::string& what) { throw std::runtime_error(what); }

std::string slurp(const std::string& path) {
  auto text = read_file(path);
  return text ? *text : std::string();
}

int count_nodes() {
  int nodes = 0;
  while (fs::exists("/sys/devices/system/node/node" + std::to_string(nodes))) {
    ++nodes;
  }
  return std::max(nodes, 1);
}

// A compressed RAM disk, all zero: it costs nothing, and what is read of it fills the page cache.
std::string make_block_device() {
  auto number = read_file("/sys/class/zram-control/hot_add");
  if (!number) {
    return {};
  }
  number->erase(number->find_last_not_of('\n') + 1);
  if (!write_file("/sys/block/zram" + *number + "/disksize", std::to_string(32 * kMiB))) {
    return {};
  }
  return "/dev/zram" + *number;
}

}  // namespace

void pause_for(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

Machine Machine::look(std::string memcrest, std::string hog, bool vm) {
  auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    give_up(tree.error().message());
  }
  utsname names{};
  uname(&names);
  Machine machine{.tree = std::move(*tree),
                  .kernel = names.release,
                  .memcrest = std::move(memcrest),
                  .hog = std::move(hog),
                  .vm = vm,
                  .nodes = count_nodes(),
                  .swap = false,
                  .block_device = {},
                  .block_device_open = {}};
  const std::string swaps = slurp("/proc/swaps");
  machine.swap = std::ranges::count(swaps, '\n') > 1;
  if (vm) {
    machine.block_device = make_block_device();
    machine.block_device_open = Fd(::open(machine.block_device.c_str(), O_RDONLY | O_CLOEXEC));
  }
  return machine;
}

Cgroup::Cgroup(const Machine& machine, std::string path)
    : machine_(machine), path_(std::move(path)), dir_(machine.tree.mount_point() + path_) {
  if (::mkdir(dir_.c_str(), 0755) != 0) {
    give_up("mkdir " + dir_ + ": " + std::strerror(errno));
  }
  entrances_.push_back(dir_ + "/cgroup.procs");
}

Cgroup::~Cgroup() {
  if (has("memory.oom_control")) {
    ignore_result(write_file(file("memory.oom_control"), "0"));
  }
  const bool empty = comes_true(
      [&] {
        for (const pid_t pid : members()) {
          ::kill(pid, SIGKILL);
        }
        return ::rmdir(dir_.c_str()) == 0;
      },
      5s);
  if (!empty) {
    ignore_result(::write(STDERR_FILENO, "a cgroup is left over\n", 22));
  }
  if (!cpuset_dir_.empty() && cpuset_dir_ != dir_) {
    ::rmdir(cpuset_dir_.c_str());
  }
}

bool Cgroup::has(const std::string& name) const { return ::access(file(name).c_str(), F_OK) == 0; }

void Cgroup::write(const std::string& name, const std::string& text) const {
  if (auto written = write_file(file(name), text); !written) {
    give_up(written.error().message());
  }
}

std::optional<std::uint64_t> Cgroup::number(const std::string& name) const {
  auto value = machine_.tree.read_number(path_, name);
  return value ? *value : std::nullopt;
}

void Cgroup::limit(std::uint64_t bytes) const { write(machine_.tree.limit_file(), std::to_string(bytes)); }

void Cgroup::no_swap() const {
  if (machine_.tree.version() == 1) {
    write("memory.swappiness", "0");
  } else if (has("memory.swap.max")) {
    write("memory.swap.max", "0");
  }
}

void Cgroup::allow_children() const {
  if (machine_.tree.version() == 2) {
    write("cgroup.subtree_control", "+memory");
  }
}

void Cgroup::only_node(int node) {
  cpuset_dir_ = machine_.tree.version() == 2 ? dir_ : kCpusets + path_;
  if (machine_.tree.version() == 1) {
    if (::mkdir(cpuset_dir_.c_str(), 0755) != 0) {
      give_up("mkdir " + cpuset_dir_ + ": " + std::strerror(errno));
    }
    entrances_.push_back(cpuset_dir_ + "/cgroup.procs");
    ignore_result(write_file(cpuset_dir_ + "/cpuset.cpus", slurp(std::string(kCpusets) + "/cpuset.cpus")));
  }
  if (auto written = write_file(cpuset_dir_ + "/cpuset.mems", std::to_string(node)); !written) {
    give_up(written.error().message());
  }
}

std::uint64_t Cgroup::usage() const { return number(machine_.tree.usage_file()).value_or(0); }

std::optional<std::uint64_t> Cgroup::peak() const { return number(machine_.tree.peak_file()); }

std::uint64_t Cgroup::event(const std::string& name_of_file, const std::string& name) const {
  std::istringstream lines(slurp(file(name_of_file)));
  std::string word;
  std::uint64_t value = 0;
  while (lines >> word >> value) {
    if (word == name) {
      return value;
    }
  }
  return 0;
}

std::optional<std::uint64_t> Cgroup::oom_kills() const {
  return event(machine_.tree.version() == 2 ? "memory.events" : "memory.oom_control", "oom_kill");
}

std::set<pid_t> Cgroup::members() const {
  std::istringstream lines(slurp(file("cgroup.procs")));
  std::set<pid_t> out;
  for (pid_t pid = 0; lines >> pid;) {
    out.insert(pid);
  }
  return out;
}

Hog::Hog(const Machine& machine, const Cgroup& cgroup, const std::string& words) {
  std::vector<std::string> argv{machine.hog};
  std::istringstream in(words);
  for (std::string word; in >> word;) {
    argv.push_back(word);
  }
  std::vector<char*> pointers;
  for (std::string& word : argv) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) {
    give_up(std::string("fork: ") + std::strerror(errno));
  }
  if (pid_ == 0) {
    for (const std::string& entrance : cgroup.entrances()) {
      const int fd = ::open(entrance.c_str(), O_WRONLY | O_CLOEXEC);
      if (fd < 0 || ::write(fd, "0", 1) != 1) {
        _exit(126);
      }
    }
    // Standard output carries the results.
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execv(pointers[0], pointers.data());
    _exit(127);
  }
}

Hog::~Hog() {
  if (pid_ > 0 && !ended()) {
    ::kill(pid_, SIGKILL);
    ends_within(5s);
  }
}

bool Hog::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = status;
  }
  return status_.has_value();
}

bool Hog::ends_within(std::chrono::milliseconds time) {
  return comes_true([this] { return ended(); }, time);
}

bool Hog::was_killed() const { return status_ && WIFSIGNALED(*status_) && WTERMSIG(*status_) == SIGKILL; }

int Hog::exit_code() const { return status_ && WIFEXITED(*status_) ? WEXITSTATUS(*status_) : -1; }

}  // namespace memcrest::scenarios
