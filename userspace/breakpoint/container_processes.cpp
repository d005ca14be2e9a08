// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/container_processes.h"

#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>

#include "util/fd.h"
#include "util/process_start.h"

namespace memcrest {
namespace {

constexpr int kDeepest = 16;
constexpr std::size_t kMost = 32768;
constexpr std::size_t kListBytes = 16U << 20U;
// As the kernel cuts names: 15 bytes.
constexpr std::string_view kDaemons[] = {"dockerd",        "containerd", "containerd-shim", "containerd-shi", "kubelet",
                                         "conmon",         "crio",       "podman",          "buildkitd",      "systemd",
                                         "systemd-journal"};

void add_pids(const std::string& dir, int depth, std::vector<std::uint32_t>& out) {
  if (const auto text = read_start(dir + "/cgroup.procs", kListBytes)) {
    const char* at = text->data();
    const char* const end = at + text->size();
    while (at < end && out.size() < kMost) {
      std::uint32_t pid = 0;
      const auto [next, error] = std::from_chars(at, end, pid);
      if (error == std::errc{} && pid != 0) {
        out.push_back(pid);
      }
      at = std::find(error == std::errc{} ? next : at, end, '\n');
      at = at == end ? end : at + 1;
    }
  }
  const Directory listing(depth < kDeepest ? ::opendir(dir.c_str()) : nullptr);
  while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      add_pids(dir + "/" + entry->d_name, depth + 1, out);
    }
  }
}

// The last number of the line "KEY:\t1 2 3 kB".
std::optional<std::uint64_t> last_number(std::string_view status, std::string_view key) {
  std::size_t at = status.starts_with(key) ? 0 : status.find("\n" + std::string(key));
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view line = status.substr(at == 0 ? 0 : at + 1);
  const std::string_view whole = line.substr(0, line.find('\n'));
  std::optional<std::uint64_t> out;
  for (std::size_t i = key.size(); i < whole.size();) {
    std::uint64_t value = 0;
    const auto [next, error] = std::from_chars(whole.data() + i, whole.data() + whole.size(), value);
    if (error == std::errc{}) {
      out = value;
      i = static_cast<std::size_t>(next - whole.data());
    } else {
      ++i;
    }
  }
  return out;
}

std::optional<ContainerProcess> read_process(std::uint32_t pid, const SystemRoot& root) {
  const std::string folder = root.proc + "/" + std::to_string(pid);
  const auto start = process_start_ns(folder);
  const auto stat = process_stat(folder);
  const auto status = read_file(folder + "/status");
  if (!start || !stat || !status) {
    return std::nullopt;
  }
  ContainerProcess out;
  out.process = {pid, *start};
  out.comm = stat->comm;
  // A name may hold a newline, which status writes as \n: lines are the kernel's own.
  if (const auto rss = last_number(*status, "VmRSS:")) {
    out.rss_bytes = *rss * 1024;
  }
  out.ns_pid = static_cast<std::uint32_t>(last_number(*status, "NSpid:").value_or(0));
  return out;
}

}  // namespace

std::vector<ContainerProcess> processes_in(const std::string& cgroup_dir, const SystemRoot& root) {
  std::vector<std::uint32_t> pids;
  add_pids(cgroup_dir, 0, pids);
  std::ranges::sort(pids);
  const auto twice = std::ranges::unique(pids);
  pids.erase(twice.begin(), twice.end());
  std::vector<ContainerProcess> out;
  for (const std::uint32_t pid : pids) {
    if (auto one = read_process(pid, root)) {
      out.push_back(std::move(*one));
    }
  }
  std::ranges::stable_sort(out, std::ranges::greater{},
                           [](const ContainerProcess& one) { return one.rss_bytes.value_or(0); });
  return out;
}

std::string runtime_daemon_in(const std::vector<ContainerProcess>& processes, const std::vector<std::string>& allowed) {
  for (const ContainerProcess& one : processes) {
    if (one.process.tgid == 1) {
      return "the machine's first process";
    }
    const bool daemon = std::ranges::find(kDaemons, one.comm) != std::end(kDaemons);
    if (daemon && std::ranges::find(allowed, one.comm) == allowed.end()) {
      return one.comm + ", pid " + std::to_string(one.process.tgid);
    }
  }
  return {};
}

}  // namespace memcrest
