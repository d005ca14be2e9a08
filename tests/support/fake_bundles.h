// SPDX-License-Identifier: Apache-2.0
// A host with bundles of containers on disk, and the processes of their runtimes. All files belong to who runs the
// test, who stands for root.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "identity/cgroup_tree.h"
#include "support/fake_cgroups.h"

namespace memcrest::testing_support {

inline std::string bundle_sample(const std::string& name) {
  std::ifstream file(std::string(BUNDLES) + "/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

struct FakeProcess {
  std::uint32_t pid = 0;
  std::uint32_t parent = 0;
  std::string cgroup = "/";
  std::string cwd = {};                   // empty: cannot be read
  std::string root = {};                  // empty: the host's
  std::vector<std::string> cmdline = {};  // as execve gets it
  uid_t uid = ::getuid();
};

class FakeBundles {
 public:
  FakeBundles() {
    std::filesystem::create_directories(cgroups.root().run);
    std::filesystem::create_directories(cgroups.root().var);
    add({.pid = 1, .cgroup = "/init.scope"});
  }

  [[nodiscard]] const std::string& top() const { return cgroups.host(); }
  [[nodiscard]] CgroupTree tree() const { return CgroupTree::open(cgroups.root()).value(); }

  // `path` from the host's root.
  void put(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(top() + path).parent_path());
    std::ofstream(top() + path) << text;
  }
  // The process and, in its cgroup's list, its number.
  void add(const FakeProcess& process) {
    const std::string own = "/proc/" + std::to_string(process.pid);
    const std::string uid = std::to_string(process.uid);
    put(own + "/status",
        "Name:\tx\nPPid:\t" + std::to_string(process.parent) + "\nUid:\t77\t" + uid + "\t" + uid + "\t" + uid + "\n");
    put(own + "/cgroup", "9:name=systemd:/\n4:memory:" + process.cgroup + "\n0::/\n");
    std::string cmdline;
    for (const auto& argument : process.cmdline) {
      cmdline += argument + '\0';
    }
    put(own + "/cmdline", cmdline);
    link(own + "/root", process.root.empty() ? top() : process.root);
    if (!process.cwd.empty()) {
      link(own + "/cwd", process.cwd);
    }
    cgroups.add(process.cgroup);
    std::ofstream(cgroups.top() + process.cgroup + "/cgroup.procs", std::ios::app) << process.pid << "\n";
  }
  void link(const std::string& path, const std::string& target) const {
    std::filesystem::create_directories(std::filesystem::path(top() + path).parent_path());
    std::filesystem::remove(top() + path);
    std::filesystem::create_symlink(target, top() + path);
  }

  FakeCgroups cgroups;
};

}  // namespace memcrest::testing_support
