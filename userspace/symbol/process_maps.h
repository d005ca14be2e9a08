// SPDX-License-Identifier: Apache-2.0
// Where a process has code: the executable lines of /proc/PID/maps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memcrest {

struct CodeMapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // exclusive
  std::uint64_t offset = 0;
  std::uint64_t inode = 0;  // 0: not of a file
  std::string path;         // as the process has it, without " (deleted)"; "[vdso]"; empty: anonymous
  bool operator==(const CodeMapping&) const = default;
};

// By address, at most 4096. Lines that cannot be read are left out.
[[nodiscard]] std::vector<CodeMapping> parse_code_mappings(std::string_view maps);

// nullptr: no code of this process lies there.
[[nodiscard]] const CodeMapping* find_mapping(const std::vector<CodeMapping>& mappings, std::uint64_t address);

}  // namespace memcrest
