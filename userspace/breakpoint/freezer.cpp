// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/freezer.h"

#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::size_t kMountsBytes = 4U << 20U;

// "5:freezer:/docker/…" of /proc/PID/cgroup.
std::string freezer_path_of(std::uint32_t pid, const SystemRoot& root) {
  const auto text = read_file(root.proc + "/" + std::to_string(pid) + "/cgroup");
  std::istringstream lines(text.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second != std::string::npos && line.substr(first + 1, second - first - 1) == "freezer") {
      return line.substr(second + 1);
    }
  }
  return {};
}

// Where the whole freezer hierarchy is mounted.
std::string freezer_mount(const SystemRoot& root) {
  const auto text = read_start(root.proc + "/self/mountinfo", kMountsBytes);
  std::istringstream lines(text.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, top, point, word;
    words >> id >> parent >> device >> top >> point;
    std::string kind;
    std::string options;
    while (words >> word) {
      if (word == "-") {
        words >> kind >> word >> options;
      }
    }
    if (kind == "cgroup" && top == "/" && ("," + options + ",").find(",freezer,") != std::string::npos) {
      return point;
    }
  }
  return {};
}

bool holds_nobody_else(const std::string& dir, const std::vector<ContainerProcess>& processes, const SystemRoot& root) {
  return std::ranges::all_of(processes_in(dir, root), [&](const ContainerProcess& one) {
    return std::ranges::find(processes, one.process, &ContainerProcess::process) != processes.end();
  });
}

}  // namespace

Result<FreezeFile> freeze_file(const std::string& cgroup_dir, int cgroup_version,
                               const std::vector<ContainerProcess>& processes, const SystemRoot& root) {
  if (processes.empty()) {
    return fail("freeze", cgroup_dir, ESRCH, "nothing runs in it");
  }
  if (cgroup_version == 2) {
    FreezeFile out{cgroup_dir + "/cgroup.freeze", "1", "0"};
    if (::access(out.path.c_str(), W_OK) != 0) {
      return fail_errno("freeze", out.path);
    }
    return out;
  }
  const std::string path = freezer_path_of(processes.front().process.tgid, root);
  const std::string mount = freezer_mount(root);
  if (mount.empty() || path.size() < 2) {
    return fail("freeze", cgroup_dir, 0, "its processes have no freezer cgroup of their own");
  }
  FreezeFile out{mount + path + "/freezer.state", "FROZEN", "THAWED"};
  if (!holds_nobody_else(mount + path, processes, root)) {
    return fail("freeze", out.path, 0, "others than the container's processes would be frozen with it");
  }
  if (::access(out.path.c_str(), W_OK) != 0) {
    return fail_errno("freeze", out.path);
  }
  return out;
}

}  // namespace memcrest
