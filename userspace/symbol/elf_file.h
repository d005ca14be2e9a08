// SPDX-License-Identifier: Apache-2.0
// What the ELF file of a module tells: where its code lies, its build id, its functions. The file belongs to somebody
// else: it may be hostile, or shrink while it is read. So it is never mapped (that would end in SIGBUS), and never
// loaded: tables are read through in pieces, and only the names that were asked for are kept. Memory does not grow with
// the size of the file. Little endian, 32 and 64 bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/result.h"

namespace memcrest {

struct ElfInfo {
  struct Segment {  // executable, as PT_LOAD tells
    std::uint64_t offset = 0;
    std::uint64_t address = 0;
    std::uint64_t size = 0;  // in the file
  };
  struct Table {  // of symbols
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t names_offset = 0;
    std::uint64_t names_size = 0;
    bool full = false;  // .symtab, otherwise .dynsym
  };
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;  // 0: there is none
  };

  bool wide = true;  // 64 bit
  std::uint16_t machine = 0;
  std::vector<Segment> segments;
  std::vector<Table> tables;
  std::string build_id;    // in hex; empty: none
  std::string debug_link;  // name of the file with the symbols; empty: none
  std::uint32_t debug_crc = 0;
  Range mini_debug;               // .gnu_debugdata: an xz-compressed ELF file with more symbols
  std::uint64_t debug_bytes = 0;  // of DWARF
  // Call frame information: the table to search in (.eh_frame_hdr), and the entries themselves (.eh_frame).
  Range unwind_table;
  std::uint64_t unwind_table_address = 0;
  Range unwind_entries;
  std::uint64_t unwind_entries_address = 0;

  [[nodiscard]] bool has_full_table() const;
  // Address by which the file itself counts, of what lies at this place of it; nullopt: no code lies there.
  [[nodiscard]] std::optional<std::uint64_t> address_at(std::uint64_t file_offset) const;
  // The other way round.
  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const;
};

[[nodiscard]] Result<ElfInfo> read_elf(int fd);

// Whose name is wanted, and what was found.
struct FunctionAt {
  std::uint64_t address = 0;
  std::string name;  // as the file has it; empty: not known
  std::uint64_t start = 0;
};

// Fills in the names that these tables have for `wanted`, which must be sorted by address; names that are there already
// stay. False: the tables were too large, or read wrongly, and not all of them were looked at.
bool find_functions(int fd, const ElfInfo& info, std::vector<FunctionAt>& wanted);

}  // namespace memcrest
