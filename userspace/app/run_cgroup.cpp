// SPDX-License-Identifier: Apache-2.0
#include "app/run_cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::string_view kPrefix = "memcrest-run-";
constexpr int kNamesTried = 100;
constexpr int kRemovalTries = 25;
constexpr unsigned kRemovalPauseUs = 10'000;
// A cgroup this young may belong to a memcrest of another pid namespace that has not put its command in yet.
constexpr time_t kStaleAfterSeconds = 10;

std::string child_path(const std::string& parent, const std::string& name) {
  return parent == "/" ? '/' + name : parent + '/' + name;
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop != text.data() && (stop == end || *stop == '\n') ? std::optional(value)
                                                                                       : std::nullopt;
}

std::optional<std::uint64_t> number_in(const std::string& file) {
  const auto text = read_file(file);
  return text ? to_number(*text) : std::nullopt;
}

bool has_word(std::string_view text, std::string_view word) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (text.substr(at, end - at) == word) {
      return true;
    }
    at = end + 1;
  }
  return false;
}

bool hands_memory_down(const std::string& dir) {
  const auto text = read_file(dir + "/cgroup.subtree_control");
  return text && has_word(*text, "memory");
}

// The pid in "memcrest-run-<pid>-<n>", nothing for any other name.
std::optional<pid_t> owner_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) {
    return std::nullopt;
  }
  name.remove_prefix(kPrefix.size());
  const auto dash = name.find('-');
  if (dash == std::string_view::npos || !to_number(name.substr(dash + 1))) {
    return std::nullopt;
  }
  const auto pid = to_number(name.substr(0, dash));
  return pid && *pid > 0 && *pid <= INT32_MAX ? std::optional(static_cast<pid_t>(*pid)) : std::nullopt;
}

bool is_old(const std::string& dir) {
  struct stat info{};
  return ::stat(dir.c_str(), &info) == 0 && ::time(nullptr) - info.st_mtime > kStaleAfterSeconds;
}

void remove_stale(const std::string& parent_dir) {
  for (const auto& name : child_cgroups(parent_dir)) {
    const auto owner = owner_of(name);
    const std::string dir = parent_dir + '/' + name;
    if (owner && ::kill(*owner, 0) != 0 && errno == ESRCH && is_old(dir)) {
      ignore_result(remove_cgroup_tree(dir));  // in use: its guard or the next run gets it
    }
  }
}

Result<std::string> choose_v1_parent(const CgroupTree& tree) {
  const auto own = tree.own_path();
  if (own) {
    const auto dir = tree.dir_of(*own);
    if (dir && ::access(dir->c_str(), W_OK) == 0) {
      return *own;
    }
  }
  return std::string("/");
}

std::vector<std::string> v2_candidates(const CgroupTree& tree) {
  std::vector<std::string> candidates;
  if (const auto own = tree.own_path(); own && *own != "/") {
    candidates.push_back(*own);
    const auto slash = own->rfind('/');
    if (slash != 0 && slash != std::string::npos) {
      candidates.push_back(own->substr(0, slash));
    }
  }
  candidates.emplace_back("/");
  return candidates;
}

Result<std::string> choose_v2_parent(const CgroupTree& tree) {
  const auto candidates = v2_candidates(tree);
  for (const auto& path : candidates) {
    const auto dir = tree.dir_of(path);
    if (dir && hands_memory_down(*dir) && ::access(dir->c_str(), W_OK) == 0) {
      return path;
    }
  }
  int code = 0;
  for (const auto& path : candidates) {
    const auto dir = tree.dir_of(path);
    if (!dir) {
      continue;
    }
    const auto enabled = write_file(*dir + "/cgroup.subtree_control", "+memory");
    if (enabled && hands_memory_down(*dir)) {
      return path;
    }
    code = enabled ? 0 : enabled.error().code;
  }
  return fail("find a cgroup that can hold a limited child", tree.mount_point(), code,
              "no cgroup of this process hands the memory controller to its children: run as root on the host, or in a "
              "delegated cgroup (systemd-run --scope -p Delegate=yes), or in a container with --cgroupns=host");
}

Result<std::uint64_t> inode_of(const std::string& dir) {
  struct stat info{};
  if (::stat(dir.c_str(), &info) != 0) {
    return fail_errno("stat", dir);
  }
  return static_cast<std::uint64_t>(info.st_ino);
}

Result<void> set_limit(const std::string& dir, const char* file, std::uint64_t value, const char* if_absent) {
  const auto written = write_file(dir + '/' + file, std::to_string(value));
  if (!written && written.error().code == ENOENT) {
    return fail("set", file, 0, if_absent);
  }
  if (!written) {
    return fail("set", file, written.error().code, std::to_string(value) + " bytes");
  }
  return {};
}

constexpr const char* kNoMemory = "the memory controller is not active in the new cgroup";
constexpr const char* kNoSwap =
    "this kernel does not account swap per cgroup (boot it with swapaccount=1), so --swap cannot be held";

void collect_members(const std::string& dir, std::vector<pid_t>& pids) {
  if (const auto text = read_file(dir + "/cgroup.procs", 16U << 20U)) {
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size() - 1);
      if (const auto pid = to_number(rest.substr(0, end))) {
        pids.push_back(static_cast<pid_t>(*pid));
      }
      rest.remove_prefix(end + 1);
    }
  }
  for (const auto& child : child_cgroups(dir)) {
    collect_members(dir + '/' + child, pids);
  }
}

RunFigures figures_v1(const std::string& dir) {
  RunFigures figures;
  figures.usage_bytes = number_in(dir + "/memory.usage_in_bytes");
  figures.peak_bytes = number_in(dir + "/memory.max_usage_in_bytes");
  // The limit on memory and swap together is met first when both are the same; recent kernels do not count that.
  figures.limit_hits = number_in(dir + "/memory.failcnt");
  if (const auto both = number_in(dir + "/memory.memsw.failcnt"); both && figures.limit_hits) {
    *figures.limit_hits += *both;
  }
  figures.kernel_bytes = number_in(dir + "/memory.kmem.usage_in_bytes");
  if (const auto text = read_file(dir + "/memory.oom_control")) {
    figures.oom_kills = keyed_number(*text, "oom_kill");
  }
  if (const auto text = read_file(dir + "/memory.stat")) {
    figures.anon_bytes = keyed_number(*text, "total_rss");
    figures.file_bytes = keyed_number(*text, "total_cache");
    figures.shmem_bytes = keyed_number(*text, "total_shmem");
    figures.swap_bytes = keyed_number(*text, "total_swap");
  }
  return figures;
}

RunFigures figures_v2(const std::string& dir) {
  RunFigures figures;
  figures.usage_bytes = number_in(dir + "/memory.current");
  figures.peak_bytes = number_in(dir + "/memory.peak");
  figures.swap_bytes = number_in(dir + "/memory.swap.current");
  if (const auto text = read_file(dir + "/memory.events")) {
    figures.oom_kills = keyed_number(*text, "oom_kill");
    figures.limit_hits = keyed_number(*text, "max");
  }
  if (const auto text = read_file(dir + "/memory.stat")) {
    figures.anon_bytes = keyed_number(*text, "anon");
    figures.file_bytes = keyed_number(*text, "file");
    figures.shmem_bytes = keyed_number(*text, "shmem");
    figures.kernel_bytes = keyed_number(*text, "kernel");
  }
  return figures;
}

}  // namespace

std::optional<std::uint64_t> keyed_number(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return to_number(line.substr(key.size() + 1));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::nullopt;
}

Result<std::string> choose_run_parent(const CgroupTree& tree) {
  return tree.version() == 1 ? choose_v1_parent(tree) : choose_v2_parent(tree);
}

Result<RunCgroup> RunCgroup::create(const CgroupTree& tree, const RunLimits& limits) {
  if (tree.version() == 1 && limits.swap && !limits.memory) {
    return fail("limit swap", {}, 0, "cgroup v1 limits memory and swap together: --swap needs --memory");
  }
  const auto parent = choose_run_parent(tree);
  if (!parent) {
    return std::unexpected(parent.error());
  }
  const auto parent_dir = tree.dir_of(*parent);
  if (!parent_dir) {
    return fail("find the directory of cgroup", *parent, ENOENT, "is the cgroup filesystem mounted here?");
  }
  remove_stale(*parent_dir);
  for (int n = 0; n < kNamesTried; ++n) {
    const std::string name = std::string(kPrefix) + std::to_string(::getpid()) + '-' + std::to_string(n);
    const std::string dir = *parent_dir + '/' + name;
    if (::access(dir.c_str(), F_OK) == 0) {
      continue;
    }
    auto guard = RunGuard::start();
    if (!guard) {
      return std::unexpected(guard.error());
    }
    if (auto told = guard->watch(dir); !told) {
      return std::unexpected(told.error());
    }
    if (::mkdir(dir.c_str(), 0755) != 0) {
      const int code = errno;
      guard->dismiss();
      if (code == EEXIST) {
        continue;
      }
      return fail("create cgroup", dir, code, code == EACCES || code == EPERM || code == EROFS ? "needs root" : "");
    }
    RunCgroup made(std::move(*guard), child_path(*parent, name), dir, tree.version());
    auto done = made.apply(limits);
    const auto inode = inode_of(dir);
    if (!done || !inode) {
      ignore_result(made.remove());
      return std::unexpected(done ? inode.error() : done.error());
    }
    made.id_ = *inode;
    return made;
  }
  return fail("create cgroup", child_path(*parent, std::string(kPrefix) + "*"), EEXIST);
}

Result<void> RunCgroup::apply(const RunLimits& limits) const {
  if (limits.memory) {
    const char* const file = version_ == 1 ? "memory.limit_in_bytes" : "memory.max";
    if (auto set = set_limit(dir_, file, *limits.memory, kNoMemory); !set) {
      return set;
    }
  }
  if (!limits.swap) {
    return {};
  }
  if (version_ == 2) {
    return set_limit(dir_, "memory.swap.max", *limits.swap, kNoSwap);
  }
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(*limits.memory, *limits.swap, &sum)) {
    return fail("set", "memory.memsw.limit_in_bytes", ERANGE, "--memory and --swap together are too large");
  }
  return set_limit(dir_, "memory.memsw.limit_in_bytes", sum, kNoSwap);
}

RunFigures RunCgroup::figures() const { return version_ == 1 ? figures_v1(dir_) : figures_v2(dir_); }

std::vector<pid_t> RunCgroup::members() const {
  std::vector<pid_t> pids;
  collect_members(dir_, pids);
  return pids;
}

Result<RunCgroup::Removal> RunCgroup::remove() {
  for (int attempt = 0; attempt < kRemovalTries; ++attempt) {
    const auto removed = remove_cgroup_tree(dir_);
    if (removed) {
      guard_.dismiss();
      return Removal::kRemoved;
    }
    if (removed.error().code != EBUSY) {
      return std::unexpected(removed.error());
    }
    ::usleep(kRemovalPauseUs);
  }
  return Removal::kInUse;
}

}  // namespace memcrest
