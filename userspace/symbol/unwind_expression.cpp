// SPDX-License-Identifier: Apache-2.0
#include "symbol/unwind_expression.h"

#include <dwarf.h>

#include <cstring>
#include <vector>

#include "symbol/cfa_program.h"

namespace memcrest {
namespace {

constexpr std::size_t kDeepest = 16;

class Evaluation {
 public:
  Evaluation(const std::array<std::uint64_t, kUnwindRegisters>& registers, const StackCopy& copy)
      : registers_(registers), copy_(copy) {}

  void push(std::uint64_t value) { stack_.push_back(value); }

  std::optional<std::uint64_t> run(std::string_view expression) {
    ByteReader in(expression);
    while (!in.at_end()) {
      if (!step(in) || in.failed() || stack_.size() > kDeepest) {
        return std::nullopt;
      }
    }
    return stack_.empty() ? std::nullopt : std::optional(stack_.back());
  }

 private:
  bool step(ByteReader& in) {
    const std::uint8_t code = in.byte();
    if (code >= DW_OP_lit0 && code <= DW_OP_lit31) {
      push(code - DW_OP_lit0);
      return true;
    }
    if (code >= DW_OP_breg0 && code < DW_OP_breg0 + kUnwindRegisters) {
      push(registers_[code - DW_OP_breg0] + static_cast<std::uint64_t>(in.sleb()));
      return true;
    }
    switch (code) {
      case DW_OP_const1u:
        push(in.fixed(1));
        return true;
      case DW_OP_const1s:
        push(static_cast<std::uint64_t>(in.fixed_signed(1)));
        return true;
      case DW_OP_const2u:
        push(in.fixed(2));
        return true;
      case DW_OP_const2s:
        push(static_cast<std::uint64_t>(in.fixed_signed(2)));
        return true;
      case DW_OP_const4u:
        push(in.fixed(4));
        return true;
      case DW_OP_const4s:
        push(static_cast<std::uint64_t>(in.fixed_signed(4)));
        return true;
      case DW_OP_constu:
        push(in.uleb());
        return true;
      case DW_OP_consts:
        push(static_cast<std::uint64_t>(in.sleb()));
        return true;
      case DW_OP_nop:
        return true;
      default:
        return of_one(code, in);
    }
  }

  bool of_one(std::uint8_t code, ByteReader& in) {
    if (stack_.empty()) {
      return false;
    }
    std::uint64_t& top = stack_.back();
    switch (code) {
      case DW_OP_deref: {
        const auto word = word_at(copy_, top);
        top = word.value_or(0);
        return word.has_value();
      }
      case DW_OP_plus_uconst:
        top += in.uleb();
        return true;
      case DW_OP_neg:
        top = 0 - top;
        return true;
      case DW_OP_not:
        top = ~top;
        return true;
      case DW_OP_dup:
        push(std::uint64_t{top});
        return true;
      case DW_OP_drop:
        stack_.pop_back();
        return true;
      default:
        return of_two(code);
    }
  }

  bool of_two(std::uint8_t code) {
    if (stack_.size() < 2) {
      return false;
    }
    const std::uint64_t b = stack_.back();
    stack_.pop_back();
    std::uint64_t& a = stack_.back();
    const auto is = [](bool one) -> std::uint64_t { return one ? 1 : 0; };
    const auto signed_a = static_cast<std::int64_t>(a);
    const auto signed_b = static_cast<std::int64_t>(b);
    switch (code) {
      case DW_OP_plus:
        a += b;
        return true;
      case DW_OP_minus:
        a -= b;
        return true;
      case DW_OP_mul:
        a *= b;
        return true;
      case DW_OP_and:
        a &= b;
        return true;
      case DW_OP_or:
        a |= b;
        return true;
      case DW_OP_xor:
        a ^= b;
        return true;
      case DW_OP_shl:
        a = b < 64 ? a << b : 0;
        return true;
      case DW_OP_shr:
        a = b < 64 ? a >> b : 0;
        return true;
      case DW_OP_ge:
        a = is(signed_a >= signed_b);
        return true;
      case DW_OP_gt:
        a = is(signed_a > signed_b);
        return true;
      case DW_OP_le:
        a = is(signed_a <= signed_b);
        return true;
      case DW_OP_lt:
        a = is(signed_a < signed_b);
        return true;
      case DW_OP_eq:
        a = is(a == b);
        return true;
      case DW_OP_ne:
        a = is(a != b);
        return true;
      default:
        return false;
    }
  }

  const std::array<std::uint64_t, kUnwindRegisters>& registers_;
  const StackCopy& copy_;
  std::vector<std::uint64_t> stack_;
};

}  // namespace

std::optional<std::uint64_t> word_at(const StackCopy& copy, std::uint64_t address) {
  std::uint64_t out = 0;
  const std::uint64_t at = address - copy.begin;  // below it: wraps to more than there is
  if (copy.bytes.size() < sizeof(out) || at > copy.bytes.size() - sizeof(out)) {
    return std::nullopt;
  }
  std::memcpy(&out, copy.bytes.data() + at, sizeof(out));
  return out;
}

std::optional<std::uint64_t> evaluate(std::string_view expression,
                                      const std::array<std::uint64_t, kUnwindRegisters>& registers,
                                      const StackCopy& copy, std::optional<std::uint64_t> first) {
  Evaluation evaluation(registers, copy);
  if (first) {
    evaluation.push(*first);
  }
  return evaluation.run(expression);
}

}  // namespace memcrest
