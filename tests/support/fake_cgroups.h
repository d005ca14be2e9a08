// SPDX-License-Identifier: Apache-2.0
// A host's cgroup files in a temporary directory, as a SystemRoot: directories stand for cgroups, their inodes for ids.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "util/system_root.h"

namespace memcrest::testing_support {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "memcrest-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("mkdtemp failed");
    }
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class FakeCgroups {
 public:
  enum class Version { kV1, kV2 };

  explicit FakeCgroups(Version version = Version::kV1) {
    const bool v1 = version == Version::kV1;
    top_ = root().sys + (v1 ? "/fs/cgroup/memory" : "/fs/cgroup");
    std::filesystem::create_directories(top_);
    std::filesystem::create_directories(root().proc + "/self");
    if (v1) {
      mountinfo("35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
      own_cgroup("4:memory:/\n0::/\n");
    } else {
      mountinfo("41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n");
      own_cgroup("0::/\n");
      write("/", "cgroup.controllers", "cpuset cpu io memory pids\n");
    }
  }

  [[nodiscard]] SystemRoot root() const {
    return {.proc = dir_.path() + "/proc",
            .sys = dir_.path() + "/sys",
            .run = dir_.path() + "/run",
            .var = dir_.path() + "/var"};
  }
  [[nodiscard]] const std::string& host() const { return dir_.path(); }  // where the host's "/" is
  [[nodiscard]] const std::string& top() const { return top_; }          // directory of the hierarchy's root

  void mountinfo(const std::string& text) { put(root().proc + "/self/mountinfo", text); }
  void own_cgroup(const std::string& text) { put(root().proc + "/self/cgroup", text); }

  // Creates the cgroup and its parents; its id.
  std::uint64_t add(const std::string& path) {
    std::filesystem::create_directories(top_ + path);
    return id(path);
  }
  void remove(const std::string& path) { std::filesystem::remove_all(top_ + path); }
  [[nodiscard]] std::uint64_t id(const std::string& path) const {
    struct stat info{};
    return ::stat((top_ + path).c_str(), &info) == 0 ? info.st_ino : 0;
  }
  void write(const std::string& path, const std::string& file, const std::string& text) {
    put(top_ + path + "/" + file, text);
  }

 private:
  static void put(const std::string& file, const std::string& text) { std::ofstream(file) << text; }

  TempDir dir_;
  std::string top_;
};

}  // namespace memcrest::testing_support
