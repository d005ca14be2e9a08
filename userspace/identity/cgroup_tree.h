// SPDX-License-Identifier: Apache-2.0
// The memory controller's hierarchy as this process can see it: where it is mounted, what its files are called, which
// directory belongs to which cgroup id. Reads only. Thread-safe after open (immutable).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/result.h"
#include "util/system_root.h"

namespace memcrest {

class CgroupTree {
 public:
  struct Entry {
    std::uint64_t id = 0;  // inode number of the directory
    std::string path;      // inside the hierarchy, begins with '/'
  };

  // Finds the hierarchy that carries the memory controller: v1 `memory`, else v2, from <proc>/self/mountinfo.
  [[nodiscard]] static Result<CgroupTree> open(const SystemRoot& root);

  [[nodiscard]] int version() const { return version_; }  // 1 or 2
  [[nodiscard]] const std::string& mount_point() const { return mount_point_; }
  // Names of the control files for this version ("memory.max" or "memory.limit_in_bytes", ...).
  [[nodiscard]] const char* limit_file() const;
  [[nodiscard]] const char* usage_file() const;
  [[nodiscard]] const char* peak_file() const;
  [[nodiscard]] const char* swap_limit_file() const;

  // False when only a part is mounted here (a container's own view): cgroups elsewhere have no directory, and paths
  // that hooks report from the hierarchy's root may differ from ours.
  [[nodiscard]] bool whole_hierarchy() const;

  // Directory of a cgroup path of the hierarchy; nullopt when it lies outside what is mounted here.
  [[nodiscard]] std::optional<std::string> dir_of(const std::string& path) const;
  // Every cgroup below the mount, the mount itself included; at most `limit`, parents before children. A directory
  // that goes while we look is left out.
  [[nodiscard]] std::vector<Entry> scan(std::size_t limit = 65536) const;
  // The memory cgroup of this process (its path inside the hierarchy). Behind a cgroup namespace it is looked for by
  // its inode; an error where that is not possible.
  [[nodiscard]] Result<std::string> own_path() const;
  // One number from a control file of the cgroup at `path`; "max" and v1's "no limit" number give nullopt.
  [[nodiscard]] Result<std::optional<std::uint64_t>> read_number(const std::string& path,
                                                                 const std::string& file) const;

 private:
  CgroupTree() = default;
  [[nodiscard]] Result<std::string> path_outside_namespace(const std::string& path) const;

  SystemRoot root_;
  int version_ = 0;
  std::string mount_point_;
  std::string mount_root_;        // the part of the hierarchy that is mounted, "/" outside a container
  bool above_namespace_ = false;  // the mount's root lies above our cgroup namespace, the kernel calls it "/.."
  std::string namespace_mount_;   // then: where the namespace's own view is mounted, empty if nowhere
};

}  // namespace memcrest
