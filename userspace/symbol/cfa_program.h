// SPDX-License-Identifier: Apache-2.0
// The instructions of call frame information, run up to one address (DWARF 5, 6.4.2). Pure; the bytes are not trusted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "symbol/eh_frame.h"

namespace memcrest {

// Reads numbers from bytes; past the end it gives zeros, and says so.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool at_end() const { return at_ >= bytes_.size(); }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::uint64_t fixed(std::size_t size);  // little endian, 8 bytes at most
  [[nodiscard]] std::int64_t fixed_signed(std::size_t size);
  [[nodiscard]] std::uint8_t byte() { return static_cast<std::uint8_t>(fixed(1)); }
  [[nodiscard]] std::uint64_t uleb();
  [[nodiscard]] std::int64_t sleb();
  [[nodiscard]] std::string_view text();  // up to its NUL
  [[nodiscard]] std::string_view block(std::uint64_t size);

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

struct CfaProgram {
  std::uint64_t code_align = 1;
  std::int64_t data_align = 1;
  std::string_view initial;  // of all functions of a compilation unit
  std::string_view own;      // of this one
  std::uint64_t begin = 0;   // of the function
};

// The row that holds at `address`, which lies in the function. nullopt: it is no such program.
[[nodiscard]] std::optional<UnwindRow> run_cfa_program(const CfaProgram& program, std::uint64_t address);

}  // namespace memcrest
