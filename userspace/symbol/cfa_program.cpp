// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfa_program.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace memcrest {
namespace {

constexpr std::size_t kDeepestStates = 16;
constexpr std::size_t kLongestExpression = 128;

enum : std::uint8_t {
  kNop = 0x00,
  kSetLoc = 0x01,
  kAdvanceLoc1 = 0x02,
  kAdvanceLoc2 = 0x03,
  kAdvanceLoc4 = 0x04,
  kOffsetExtended = 0x05,
  kRestoreExtended = 0x06,
  kUndefined = 0x07,
  kSameValue = 0x08,
  kRegister = 0x09,
  kRememberState = 0x0a,
  kRestoreState = 0x0b,
  kDefCfa = 0x0c,
  kDefCfaRegister = 0x0d,
  kDefCfaOffset = 0x0e,
  kDefCfaExpression = 0x0f,
  kExpression = 0x10,
  kOffsetExtendedSf = 0x11,
  kDefCfaSf = 0x12,
  kDefCfaOffsetSf = 0x13,
  kValOffset = 0x14,
  kValOffsetSf = 0x15,
  kValExpression = 0x16,
  kGnuArgsSize = 0x2e,
  kGnuNegativeOffset = 0x2f,
  // With an operand in their low six bits.
  kAdvanceLoc = 0x40,
  kOffset = 0x80,
  kRestore = 0xc0,
};

std::int64_t times(std::uint64_t factor, std::int64_t align) {
  return static_cast<std::int64_t>(factor * static_cast<std::uint64_t>(align));
}

class Machine {
 public:
  Machine(const CfaProgram& program, std::uint64_t address)
      : program_(program), address_(address), location_(program.begin) {}

  // False: the bytes are no program.
  bool run(std::string_view code) {
    ByteReader in(code);
    while (!in.at_end() && location_ <= address_) {
      if (!step(in) || in.failed()) {
        return false;
      }
    }
    return true;
  }

  void begin_own() { initial_ = row_; }
  [[nodiscard]] const UnwindRow& row() const { return row_; }

 private:
  bool step(ByteReader& in) {
    const std::uint8_t code = in.byte();
    const std::uint64_t operand = code & 0x3fU;
    switch (code & 0xc0U) {
      case kAdvanceLoc:
        return advance(operand);
      case kOffset:
        return set(operand, RegisterRule::Kind::kOffset, times(in.uleb(), program_.data_align));
      case kRestore:
        return restore(operand);
      default:
        return extended(code, in);
    }
  }

  bool extended(std::uint8_t code, ByteReader& in) {
    using Kind = RegisterRule::Kind;
    switch (code) {
      case kNop:
        return true;
      case kAdvanceLoc1:
        return advance(in.fixed(1));
      case kAdvanceLoc2:
        return advance(in.fixed(2));
      case kAdvanceLoc4:
        return advance(in.fixed(4));
      case kRestoreExtended:
        return restore(in.uleb());
      case kUndefined:
        return set(in.uleb(), Kind::kUndefined, 0);
      case kSameValue:
        return set(in.uleb(), Kind::kSame, 0);
      case kRememberState:
        remembered_.push_back(row_);
        return remembered_.size() <= kDeepestStates;
      case kRestoreState:
        if (remembered_.empty()) {
          return false;
        }
        row_ = std::move(remembered_.back());
        remembered_.pop_back();
        return true;
      case kGnuArgsSize:
        static_cast<void>(in.uleb());
        return true;
      case kOffsetExtended:
      case kOffsetExtendedSf:
      case kValOffset:
      case kValOffsetSf:
      case kGnuNegativeOffset:
      case kRegister:
        return offset(code, in);
      case kExpression:
      case kValExpression: {
        const std::uint64_t number = in.uleb();
        return set(number, code == kExpression ? Kind::kExpression : Kind::kValueExpression, 0, in.block(in.uleb()));
      }
      default:
        return cfa(code, in);  // kSetLoc, which nobody writes, is none of its
    }
  }

  bool offset(std::uint8_t code, ByteReader& in) {
    using Kind = RegisterRule::Kind;
    const std::uint64_t number = in.uleb();
    switch (code) {
      case kOffsetExtended:
        return set(number, Kind::kOffset, times(in.uleb(), program_.data_align));
      case kOffsetExtendedSf:
        return set(number, Kind::kOffset, times(static_cast<std::uint64_t>(in.sleb()), program_.data_align));
      case kValOffset:
        return set(number, Kind::kValueOffset, times(in.uleb(), program_.data_align));
      case kValOffsetSf:
        return set(number, Kind::kValueOffset, times(static_cast<std::uint64_t>(in.sleb()), program_.data_align));
      case kGnuNegativeOffset:
        return set(number, Kind::kOffset, times(0 - in.uleb(), program_.data_align));
      default:
        return set(number, Kind::kRegister, static_cast<std::int64_t>(in.uleb()));
    }
  }

  bool cfa(std::uint8_t code, ByteReader& in) {
    switch (code) {
      case kDefCfa:
        row_.by_expression = false;
        row_.cfa_register = in.uleb();
        row_.cfa_offset = static_cast<std::int64_t>(in.uleb());
        return true;
      case kDefCfaSf:
        row_.by_expression = false;
        row_.cfa_register = in.uleb();
        row_.cfa_offset = times(static_cast<std::uint64_t>(in.sleb()), program_.data_align);
        return true;
      case kDefCfaRegister:
        row_.by_expression = false;
        row_.cfa_register = in.uleb();
        return true;
      case kDefCfaOffset:
        row_.cfa_offset = static_cast<std::int64_t>(in.uleb());
        return true;
      case kDefCfaOffsetSf:
        row_.cfa_offset = times(static_cast<std::uint64_t>(in.sleb()), program_.data_align);
        return true;
      case kDefCfaExpression: {
        const std::string_view expression = in.block(in.uleb());
        row_.by_expression = true;
        row_.cfa_expression = expression;
        return expression.size() <= kLongestExpression;
      }
      default:
        return false;
    }
  }

  bool advance(std::uint64_t by) {
    const std::uint64_t bytes = by * program_.code_align;
    location_ = bytes > ~0ULL - location_ ? ~0ULL : location_ + bytes;
    return true;
  }

  // Registers beyond those (of vectors) are of no use here.
  bool set(std::uint64_t number, RegisterRule::Kind kind, std::int64_t offset, std::string_view expression = {}) {
    if (number < kUnwindRegisters) {
      row_.registers[number] = {kind, offset, std::string(expression.substr(0, kLongestExpression))};
    }
    return expression.size() <= kLongestExpression;
  }

  bool restore(std::uint64_t number) {
    if (number < kUnwindRegisters) {
      row_.registers[number] = initial_.registers[number];
    }
    return true;
  }

  const CfaProgram& program_;
  std::uint64_t address_;
  std::uint64_t location_;
  UnwindRow row_;
  UnwindRow initial_;
  std::vector<UnwindRow> remembered_;
};

}  // namespace

std::uint64_t ByteReader::fixed(std::size_t size) {
  std::uint64_t out = 0;
  if (size > bytes_.size() - std::min(at_, bytes_.size())) {
    failed_ = true;
    at_ = bytes_.size();
    return 0;
  }
  std::memcpy(&out, bytes_.data() + at_, size);
  at_ += size;
  return out;
}

std::int64_t ByteReader::fixed_signed(std::size_t size) {
  const std::uint64_t value = fixed(size);
  const unsigned unused = 64 - 8 * static_cast<unsigned>(size);
  return static_cast<std::int64_t>(value << unused) >> unused;
}

std::uint64_t ByteReader::uleb() {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const std::uint8_t one = byte();
    out |= shift < 64 ? static_cast<std::uint64_t>(one & 0x7fU) << shift : 0;
    if ((one & 0x80U) == 0) {
      return out;
    }
  }
  failed_ = true;
  return 0;
}

std::int64_t ByteReader::sleb() {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const std::uint8_t one = byte();
    out |= shift < 64 ? static_cast<std::uint64_t>(one & 0x7fU) << shift : 0;
    if ((one & 0x80U) == 0) {
      const bool negative = (one & 0x40U) != 0 && shift + 7 < 64;
      return static_cast<std::int64_t>(negative ? out | (~0ULL << (shift + 7)) : out);
    }
  }
  failed_ = true;
  return 0;
}

std::string_view ByteReader::text() {
  const auto end = bytes_.find('\0', at_);
  if (end == std::string_view::npos) {
    failed_ = true;
    return {};
  }
  const std::string_view out = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return out;
}

std::string_view ByteReader::block(std::uint64_t size) {
  if (size > bytes_.size() - at_) {
    failed_ = true;
    return {};
  }
  const std::string_view out = bytes_.substr(at_, size);
  at_ += size;
  return out;
}

std::optional<UnwindRow> run_cfa_program(const CfaProgram& program, std::uint64_t address) {
  Machine machine(program, address);
  if (!machine.run(program.initial)) {
    return std::nullopt;
  }
  machine.begin_own();
  if (!machine.run(program.own)) {
    return std::nullopt;
  }
  return machine.row();
}

}  // namespace memcrest
