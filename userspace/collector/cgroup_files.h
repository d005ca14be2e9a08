// SPDX-License-Identifier: Apache-2.0
// Reading a cgroup's control files again and again. Bytes from outside: what is no number is not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "identity/cgroup_tree.h"
#include "util/fd.h"

namespace memcrest {

// The number behind `key` in lines of "key number".
[[nodiscard]] std::optional<std::uint64_t> value_of(std::string_view text, std::string_view key);

// The number that an open file begins with, read from its start; nullopt when the cgroup has gone.
[[nodiscard]] std::optional<std::uint64_t> reread_number(const Fd& file);

// A control file opened for reading; not open where there is none.
[[nodiscard]] Fd open_control(const CgroupTree& tree, const std::string& path, const char* file);
// Its text, at most 4 KiB; nullopt where there is none.
[[nodiscard]] std::optional<std::string> read_control(const CgroupTree& tree, const std::string& path,
                                                      const char* file);

// "/a/b" -> "/a" -> "/"; of "/" itself "".
[[nodiscard]] std::string parent_of(const std::string& path);

// The lowest limit of the cgroup and those above it.
[[nodiscard]] std::optional<std::uint64_t> lowest_limit(const CgroupTree& tree, const std::string& path);

}  // namespace memcrest
