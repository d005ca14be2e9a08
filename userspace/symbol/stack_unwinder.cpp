// SPDX-License-Identifier: Apache-2.0
#include "symbol/stack_unwinder.h"

#include <cstring>

#include "symbol/unwind_expression.h"

namespace memcrest {
namespace {

constexpr std::size_t kMostRows = 8192;  // of some 700 bytes

std::optional<std::uint64_t> value_of(const RegisterRule& rule, std::size_t number, std::uint64_t cfa,
                                      const UnwindFrame& frame, const StackCopy& copy) {
  const std::uint64_t at = cfa + static_cast<std::uint64_t>(rule.offset);
  switch (rule.kind) {
    case RegisterRule::Kind::kSame:
      return frame.registers[number];
    case RegisterRule::Kind::kUndefined:
      return std::nullopt;
    case RegisterRule::Kind::kOffset:
      return word_at(copy, at);
    case RegisterRule::Kind::kValueOffset:
      return at;
    case RegisterRule::Kind::kRegister: {
      const auto other = static_cast<std::uint64_t>(rule.offset);
      return other < kUnwindRegisters ? std::optional(frame.registers[other]) : std::nullopt;
    }
    case RegisterRule::Kind::kExpression: {
      const auto address = evaluate(rule.expression, frame.registers, copy, cfa);
      return address ? word_at(copy, *address) : std::nullopt;
    }
    case RegisterRule::Kind::kValueExpression:
      return evaluate(rule.expression, frame.registers, copy, cfa);
  }
  return std::nullopt;
}

}  // namespace

std::optional<UnwindFrame> caller_of(const UnwindFrame& frame, const UnwindRow& row, const StackCopy& copy) {
  std::optional<std::uint64_t> cfa;
  if (row.by_expression) {
    cfa = evaluate(row.cfa_expression, frame.registers, copy, std::nullopt);
  } else if (row.cfa_register < kUnwindRegisters) {
    cfa = frame.registers[row.cfa_register] + static_cast<std::uint64_t>(row.cfa_offset);
  }
  // Each frame lies above the one that it called: no walk is endless.
  if (!cfa || *cfa <= frame.registers[kStackPointer]) {
    return std::nullopt;
  }
  UnwindFrame out;
  for (std::size_t i = 0; i < kUnwindRegisters; ++i) {
    // What is lost may not be needed any more.
    out.registers[i] = value_of(row.registers[i], i, *cfa, frame, copy).value_or(0);
  }
  if (row.registers[kStackPointer].kind == RegisterRule::Kind::kSame) {
    out.registers[kStackPointer] = *cfa;
  }
  // Of the return address "the same" says that nothing was said.
  const bool told = row.registers[kReturnAddress].kind != RegisterRule::Kind::kSame;
  return told && out.registers[kReturnAddress] != 0 ? std::optional(out) : std::nullopt;
}

std::optional<UnwindFrame> caller_by_pointer(const UnwindFrame& frame, const StackCopy& copy) {
  const std::uint64_t base = frame.registers[kFramePointer];
  if (base < frame.registers[kStackPointer]) {
    return std::nullopt;
  }
  const auto before = word_at(copy, base);
  const auto address = word_at(copy, base + 8);
  if (!before || !address || *address == 0) {
    return std::nullopt;
  }
  UnwindFrame out = frame;
  out.registers[kFramePointer] = *before;
  out.registers[kStackPointer] = base + 16;
  out.registers[kReturnAddress] = *address;
  return out;
}

const std::optional<UnwindRow>& StackUnwinder::row_at(const std::shared_ptr<Module>& module, std::uint64_t address) {
  if (rows_known_ >= kMostRows) {
    rows_.clear();
    rows_known_ = 0;
  }
  Rows& rows = rows_[module.get()];
  rows.module = module;
  const auto known = rows.by_address.find(address);
  if (known != rows.by_address.end()) {
    return known->second;
  }
  ++rows_known_;
  return rows.by_address.emplace(address, find_unwind_row(module->file.get(), module->info, address)).first->second;
}

std::vector<std::uint64_t> StackUnwinder::unwind(const StackCopy& copy, const CodeOf& code_of, std::size_t deepest) {
  std::vector<std::uint64_t> out;
  UnwindFrame frame{copy.registers};
  bool interrupted = true;  // the innermost, as all below a signal's frame, is at an instruction and not behind a call
  while (out.size() < deepest) {
    const std::uint64_t pc = frame.registers[kReturnAddress];
    out.push_back(pc);
    const std::uint64_t place = interrupted ? pc : pc - 1;
    const ProcessCode* code = code_of(place);
    const CodeMapping* mapping = code != nullptr ? find_mapping(code->mappings, place) : nullptr;
    if (mapping == nullptr) {
      break;
    }
    const auto& module = code->modules[static_cast<std::size_t>(mapping - code->mappings.data())];
    const auto address =
        module ? module->info.address_at(place - mapping->begin + mapping->offset) : std::optional<std::uint64_t>();
    static const std::optional<UnwindRow> kNone;
    const auto& row = address ? row_at(module, *address) : kNone;
    auto caller = row ? caller_of(frame, *row, copy) : caller_by_pointer(frame, copy);
    if (!caller) {
      break;
    }
    interrupted = row && row->signal_frame;
    frame = *caller;
  }
  return out;
}

}  // namespace memcrest
