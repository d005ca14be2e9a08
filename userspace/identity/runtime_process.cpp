// SPDX-License-Identifier: Apache-2.0
#include "identity/runtime_process.h"

#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>

#include "util/fd.h"

namespace memcrest {
namespace {

using std::string_view;

constexpr std::size_t kMaxPids = 32;
constexpr std::size_t kMaxDirectories = 32;
constexpr std::size_t kMaxAncestors = 16;
constexpr int kGenerations = 3;  // init, `runc create`, shim or conmon
constexpr std::size_t kMaxProcBytes = 64U << 10U;

std::string proc_file(const SystemRoot& root, std::uint32_t pid, const char* name) {
  return root.proc + "/" + std::to_string(pid) + "/" + name;
}

string_view next_part(string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

template <typename Number>
std::optional<Number> number_from(string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                   : std::nullopt;
}

// The directories in `directory`, a few of them.
std::vector<std::string> subdirectories(const std::string& directory) {
  std::vector<std::string> found;
  const Directory dir(::opendir(directory.c_str()));
  while (dir && found.size() < kMaxDirectories) {
    const dirent* const entry = ::readdir(dir.get());
    if (entry == nullptr) {
      break;
    }
    const string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      found.push_back(directory + "/" + std::string(name));
    }
  }
  return found;
}

}  // namespace

std::optional<ProcessFacts> process_facts(const SystemRoot& root, std::uint32_t pid) {
  const auto status = read_start(proc_file(root, pid, "status"), kMaxProcBytes);
  if (!status) {
    return std::nullopt;
  }
  // The name, which the process chose, comes first and cannot hold a newline: the kernel escapes it.
  std::optional<std::uint32_t> parent;
  std::optional<uid_t> uid;
  for (string_view text = *status; !text.empty();) {
    string_view line = next_part(text, '\n');
    const string_view key = next_part(line, '\t');
    if (key == "PPid:") {
      parent = number_from<std::uint32_t>(line);
    } else if (key == "Uid:") {
      next_part(line, '\t');  // the real one
      uid = number_from<uid_t>(next_part(line, '\t'));
    }
  }
  return parent && uid ? std::optional(ProcessFacts{*parent, *uid}) : std::nullopt;
}

bool in_cgroup_named(const SystemRoot& root, std::uint32_t pid, const std::string& name) {
  const auto cgroups = read_start(proc_file(root, pid, "cgroup"), kMaxProcBytes);
  for (string_view text = cgroups ? string_view(*cgroups) : string_view(); !text.empty();) {
    for (string_view line = next_part(text, '\n'); !line.empty();) {
      if (next_part(line, '/') == name) {
        return true;
      }
    }
  }
  return false;
}

std::vector<std::uint32_t> processes_below(const std::string& directory) {
  std::vector<std::uint32_t> pids;
  std::vector<std::string> directories = {directory};
  for (std::size_t next = 0; next < directories.size() && pids.size() < kMaxPids; ++next) {
    const auto list = read_start(directories[next] + "/cgroup.procs", kMaxProcBytes);
    for (string_view text = list ? string_view(*list) : string_view(); !text.empty() && pids.size() < kMaxPids;) {
      const auto pid = number_from<std::uint32_t>(next_part(text, '\n'));
      if (pid && *pid != 0) {  // 0: of a pid namespace that is not ours or below
        pids.push_back(*pid);
      }
    }
    if (directories.size() < kMaxDirectories) {
      std::ranges::move(subdirectories(directories[next]), std::back_inserter(directories));
      directories.resize(std::min(directories.size(), kMaxDirectories));
    }
  }
  return pids;
}

std::vector<std::uint32_t> runtime_processes(const SystemRoot& root, const std::vector<std::uint32_t>& pids,
                                             const std::string& name) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t pid : pids) {
    for (int outside = 0; outside < kGenerations && found.size() < kMaxAncestors;) {
      const auto facts = process_facts(root, pid);
      if (!facts || facts->parent <= 1 || std::ranges::find(found, facts->parent) != found.end()) {
        break;
      }
      pid = facts->parent;
      if (std::ranges::find(pids, pid) != pids.end() || in_cgroup_named(root, pid, name)) {
        break;  // a process that the container itself started: its first one is in the list too
      }
      found.push_back(pid);
      ++outside;
    }
  }
  return found;
}

std::optional<ConmonArguments> conmon_arguments(const SystemRoot& root, std::uint32_t pid, const std::string& id) {
  const auto cmdline = read_start(proc_file(root, pid, "cmdline"), kMaxProcBytes);
  if (!cmdline) {
    return std::nullopt;
  }
  string_view rest = *cmdline;
  const string_view program = next_part(rest, '\0');
  if (program.substr(program.rfind('/') + 1) != "conmon") {
    return std::nullopt;
  }
  ConmonArguments arguments;
  bool ours = false;
  while (!rest.empty()) {
    const string_view option = next_part(rest, '\0');
    if (option == "-c" || option == "--cid") {
      ours = next_part(rest, '\0') == id;
    } else if (option == "-b" || option == "--bundle") {
      arguments.bundle = next_part(rest, '\0');
    } else if (option == "-p" || option == "--container-pidfile") {
      arguments.pid_file = next_part(rest, '\0');
    } else if (option == "-n" || option == "--name") {
      arguments.name = next_part(rest, '\0');
    } else if (option == "--exit-command-arg" || option == "--runtime-arg") {
      next_part(rest, '\0');  // another program's: "--root", "-b", whatever
    }
  }
  return ours ? std::optional(std::move(arguments)) : std::nullopt;
}

}  // namespace memcrest
