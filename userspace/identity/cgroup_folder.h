// SPDX-License-Identifier: Apache-2.0
// The directory of one cgroup, opened once to read several of its files: the way to a container's is long, and the
// kernel goes it name by name. Bytes from outside: what is no number is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "identity/cgroup_tree.h"
#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

class CgroupFolder {
 public:
  // An error where the cgroup has gone, or lies outside of what is mounted here.
  [[nodiscard]] static Result<CgroupFolder> open(const CgroupTree& tree, const std::string& path);

  // At most 4 KiB of a control file. Of a cgroup that has gone since there is none.
  [[nodiscard]] Result<std::string> read(const char* file) const;
  // As CgroupTree::read_number.
  [[nodiscard]] Result<std::optional<std::uint64_t>> read_number(const char* file) const;

 private:
  CgroupFolder(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Fd fd_;
  std::string name_;
};

// The one number of a control file's text; "max" and v1's "no limit" give nullopt. `name` is for the error.
[[nodiscard]] Result<std::optional<std::uint64_t>> control_number(std::string_view text, const std::string& name);

}  // namespace memcrest
