// SPDX-License-Identifier: Apache-2.0
// Against libdw, which reads the same tables: this program, and the C library that it runs with.
#include "symbol/eh_frame.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "symbol/cfa_program.h"
#include "util/fd.h"

namespace memcrest {
namespace {

struct CfiDeleter {
  void operator()(Dwarf_CFI* cfi) const { dwarf_cfi_end(cfi); }
};
struct FrameDeleter {
  void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};

void expect_same_rule(const RegisterRule& rule, Dwarf_Frame* frame, int number, std::uint64_t address) {
  Dwarf_Op memory[3];
  Dwarf_Op* ops = nullptr;
  std::size_t count = 0;
  ASSERT_EQ(dwarf_frame_register(frame, number, memory, &ops, &count), 0);
  if (rule.kind == RegisterRule::Kind::kOffset) {
    ASSERT_GE(count, 1U) << std::hex << address << " register " << number;
    EXPECT_EQ(ops[0].atom, DW_OP_call_frame_cfa);
    const auto offset = count > 1 ? static_cast<std::int64_t>(ops[1].number) : 0;
    EXPECT_EQ(offset, rule.offset) << std::hex << address << " register " << number;
  } else if (rule.kind == RegisterRule::Kind::kUndefined) {
    EXPECT_TRUE(count == 0 && ops == memory) << std::hex << address << " register " << number;
  }
}

// Returns how many places were compared.
int compare_with_libdw(const std::string& path, std::uint64_t step) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto info = read_elf(file.get());
  EXPECT_TRUE(info) << path;
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, decltype(&elf_end)> elf(elf_begin(file.get(), ELF_C_READ, nullptr), elf_end);
  const std::unique_ptr<Dwarf_CFI, CfiDeleter> cfi(dwarf_getcfi_elf(elf.get()));
  EXPECT_NE(cfi, nullptr) << path;
  int compared = 0;
  for (const auto& segment : info->segments) {
    for (std::uint64_t at = segment.address; at < segment.address + segment.size; at += step) {
      const auto row = find_unwind_row(file.get(), *info, at);
      Dwarf_Frame* raw = nullptr;
      const int found = dwarf_cfi_addrframe(cfi.get(), at, &raw);
      const std::unique_ptr<Dwarf_Frame, FrameDeleter> frame(raw);
      EXPECT_EQ(row.has_value(), found == 0) << std::hex << at;
      if (!row || found != 0) {
        continue;
      }
      bool signal = false;
      static_cast<void>(dwarf_frame_info(frame.get(), nullptr, nullptr, &signal));
      EXPECT_EQ(row->signal_frame, signal);
      Dwarf_Op* ops = nullptr;
      std::size_t count = 0;
      EXPECT_EQ(dwarf_frame_cfa(frame.get(), &ops, &count), 0);
      if (!row->by_expression && count == 1) {
        const bool with_number = ops[0].atom == DW_OP_bregx;
        EXPECT_EQ(with_number ? ops[0].number : ops[0].atom - DW_OP_breg0, row->cfa_register) << std::hex << at;
        EXPECT_EQ(static_cast<std::int64_t>(with_number ? ops[0].number2 : ops[0].number), row->cfa_offset)
            << std::hex << at;
      } else {
        EXPECT_TRUE(row->by_expression) << std::hex << at;
      }
      for (const int number : {3, 6, 12, 13, 14, 15, 16}) {
        expect_same_rule(row->registers[static_cast<std::size_t>(number)], frame.get(), number, at);
      }
      ++compared;
      if (testing::Test::HasFailure()) {
        return compared;
      }
    }
  }
  return compared;
}

TEST(EhFrame, AsLibdwReadsIt) {
#ifndef __x86_64__
  GTEST_SKIP() << "x86-64 alone";
#endif
  EXPECT_GT(compare_with_libdw("/proc/self/exe", 331), 300);
  Dl_info libc{};
  ASSERT_NE(dladdr(reinterpret_cast<const void*>(&std::abort), &libc), 0);
  EXPECT_GT(compare_with_libdw(libc.dli_fname, 97), 3000);
}

TEST(EhFrame, WithoutItsTableEntryByEntry) {
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  auto info = read_elf(file.get());
  ASSERT_TRUE(info && info->unwind_table.size > 0 && info->unwind_entries.size > 0);
  auto scanned = *info;
  scanned.unwind_table = {};
  const auto& code = info->segments.at(0);
  int found = 0;
  for (std::uint64_t at = code.address + 64; at < code.address + code.size && found < 20; at += code.size / 40) {
    const auto by_table = find_unwind_row(file.get(), *info, at);
    const auto by_scan = find_unwind_row(file.get(), scanned, at);
    ASSERT_EQ(by_table.has_value(), by_scan.has_value()) << std::hex << at;
    if (by_table) {
      EXPECT_EQ(by_table->cfa_offset, by_scan->cfa_offset);
      ++found;
    }
  }
  EXPECT_GT(found, 5);
}

TEST(CfaProgram, WhatIsNoneIsRefused) {
  const auto run = [](std::string_view code) {
    return run_cfa_program({.initial = {}, .own = code, .begin = 0}, 100).has_value();
  };
  EXPECT_TRUE(run(""));
  EXPECT_TRUE(run({"\x00\x00\x00", 3}));
  EXPECT_FALSE(run("\x0b")) << "nothing was remembered";
  EXPECT_FALSE(run(std::string(40, '\x0a'))) << "remembered too often";
  EXPECT_FALSE(run("\x0c\x07")) << "cut short";
  EXPECT_FALSE(run("\x0f\x7f")) << "an expression longer than what is there";
  EXPECT_FALSE(run("\x3f")) << "not known";
  EXPECT_FALSE(run("\x0c" + std::string(12, '\xff'))) << "a number without an end";
}

TEST(CfaProgram, HoldsUpToTheAddress) {
  // CFA is r7+8; after 4 bytes r7+16, r6 at CFA-16; after 4 more r6 again as at the beginning.
  const std::string initial("\x0c\x07\x08\x90\x01", 5);
  const std::string own("\x44\x0e\x10\x86\x02\x44\xc6", 7);
  const auto at = [&](std::uint64_t address) {
    return run_cfa_program({.data_align = -8, .initial = initial, .own = own, .begin = 1000}, address).value();
  };
  EXPECT_EQ(at(1003).cfa_offset, 8);
  EXPECT_EQ(at(1003).registers[16].offset, -8);
  EXPECT_EQ(at(1004).cfa_offset, 16);
  EXPECT_EQ(at(1007).registers[6].offset, -16);
  EXPECT_EQ(at(1008).registers[6].kind, RegisterRule::Kind::kSame);
}

}  // namespace
}  // namespace memcrest
