// SPDX-License-Identifier: Apache-2.0
// Call frame information of an ELF file (.eh_frame): for an instruction, where the caller's registers are. As elf_file:
// the file is somebody else's and may be hostile, so it is read in pieces, and work and memory are bounded. x86-64.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "symbol/elf_file.h"

namespace memcrest {

inline constexpr std::size_t kUnwindRegisters = 17;  // as DWARF numbers them; the last is the return address
inline constexpr std::size_t kFramePointer = 6;
inline constexpr std::size_t kStackPointer = 7;
inline constexpr std::size_t kReturnAddress = 16;

// Where one register of the caller is. The CFA is the caller's stack pointer before its call.
struct RegisterRule {
  enum class Kind : std::uint8_t {
    kSame,         // not touched
    kUndefined,    // cannot be known; of the return address: there is no caller
    kOffset,       // in memory at CFA + offset
    kValueOffset,  // it is CFA + offset
    kRegister,     // in another register, `offset`
    kExpression,   // in memory where the expression says
    kValueExpression,
  };
  Kind kind = Kind::kSame;
  std::int64_t offset = 0;
  std::string expression;
};

struct UnwindRow {
  bool by_expression = false;
  std::uint64_t cfa_register = kStackPointer;
  std::int64_t cfa_offset = 0;
  std::string cfa_expression;
  std::array<RegisterRule, kUnwindRegisters> registers;
  bool signal_frame = false;  // the caller was interrupted: its address is that of an instruction, not of a call's end
};

// For the instruction at this address, as the file counts. nullopt: the file does not tell, or not in bounds.
[[nodiscard]] std::optional<UnwindRow> find_unwind_row(int fd, const ElfInfo& info, std::uint64_t address);

}  // namespace memcrest
