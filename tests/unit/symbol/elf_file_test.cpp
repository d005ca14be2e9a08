// SPDX-License-Identifier: Apache-2.0
#include "symbol/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "util/fd.h"

// In this program's symbol table by this name.
extern "C" const char __executable_start;  // NOLINT(bugprone-reserved-identifier): the linker's
extern "C" __attribute__((noinline)) int memcrest_test_function(int x) { return x + 1; }

namespace memcrest {
namespace {

struct Built {
  Elf64_Ehdr header{};
  std::vector<Elf64_Phdr> segments;
  std::vector<Elf64_Shdr> sections;
  std::string data;  // at kData

  static constexpr std::uint64_t kData = 4096;
  std::uint64_t put(const void* bytes, std::size_t size) {
    const std::uint64_t at = kData + data.size();
    data.append(static_cast<const char*>(bytes), size);
    return at;
  }
  Fd file() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(segments.size());
    header.e_shoff = header.e_shoff != 0 ? header.e_shoff : kData + data.size();
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = header.e_shnum != 0 ? header.e_shnum : static_cast<Elf64_Half>(sections.size());
    std::string text(reinterpret_cast<const char*>(&header), sizeof(header));
    text.append(reinterpret_cast<const char*>(segments.data()), segments.size() * sizeof(Elf64_Phdr));
    text.resize(kData);
    text += data;
    text.append(reinterpret_cast<const char*>(sections.data()), sections.size() * sizeof(Elf64_Shdr));
    Fd out(::memfd_create("elf", MFD_CLOEXEC));
    EXPECT_EQ(::write(out.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    return out;
  }
};

Elf64_Sym symbol(std::uint32_t name, std::uint64_t value, std::uint64_t size, int bind = STB_GLOBAL,
                 int type = STT_FUNC) {
  Elf64_Sym out{};
  out.st_name = name;
  out.st_value = value;
  out.st_size = size;
  out.st_shndx = 1;
  out.st_info = static_cast<unsigned char>((bind << 4) | type);
  return out;
}

Built with_symbols(const std::vector<Elf64_Sym>& symbols, const std::string& names) {
  Built out;
  out.segments.push_back({PT_LOAD, PF_R | PF_X, 0x1000, 0x401000, 0x401000, 0x9000, 0x9000, 0x1000});
  const auto names_at = out.put(names.data(), names.size());
  const auto symbols_at = out.put(symbols.data(), symbols.size() * sizeof(Elf64_Sym));
  out.sections.push_back({});
  out.sections.push_back({0, SHT_STRTAB, 0, 0, names_at, names.size(), 0, 0, 1, 0});
  out.sections.push_back(
      {0, SHT_SYMTAB, 0, 0, symbols_at, symbols.size() * sizeof(Elf64_Sym), 1, 0, 8, sizeof(Elf64_Sym)});
  return out;
}

std::vector<std::string> names_at(int fd, const ElfInfo& info, const std::vector<std::uint64_t>& addresses) {
  std::vector<FunctionAt> wanted;
  for (const auto address : addresses) {
    wanted.push_back({address, {}, 0});
  }
  EXPECT_TRUE(find_functions(fd, info, wanted));
  std::vector<std::string> out;
  for (const auto& one : wanted) {
    out.push_back(one.name);
  }
  return out;
}

TEST(ElfFile, ReadsItself) {
  const Fd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const auto info = read_elf(self.get());
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_TRUE(info->has_full_table());
  ASSERT_FALSE(info->segments.empty());
  // Find the function by its own code.
  const auto address = reinterpret_cast<std::uint64_t>(&memcrest_test_function);
  const auto base = reinterpret_cast<std::uint64_t>(&__executable_start);
  EXPECT_THAT(names_at(self.get(), *info, {address - base}), testing::ElementsAre("memcrest_test_function"));
}

TEST(ElfFile, TheInnermostSizedSymbolNamesAnAddress) {
  const std::string names("\0outer\0inner\0label\0asm\0weak\0", 28);
  Built built = with_symbols({symbol(1, 0x401000, 0x1000), symbol(7, 0x401100, 0x100, STB_LOCAL),
                              symbol(13, 0x401110, 0, STB_LOCAL, STT_NOTYPE), symbol(19, 0x403000, 0),
                              symbol(23, 0x401000, 0x1000, STB_LOCAL)},
                             names);
  const Fd file = built.file();
  const auto info = read_elf(file.get());
  ASSERT_TRUE(info);
  EXPECT_EQ(info->address_at(0x1000), 0x401000U);
  EXPECT_EQ(info->address_at(0x1fff), 0x401fffU);
  EXPECT_EQ(info->address_at(0xfff), std::nullopt);
  EXPECT_EQ(info->address_at(0xa000), std::nullopt);
  EXPECT_THAT(names_at(file.get(), *info, {0x400fff, 0x401000, 0x401100, 0x401150, 0x401200, 0x402fff, 0x403010}),
              testing::ElementsAre("", "outer", "inner", "inner", "outer", "", "asm"));
}

TEST(ElfFile, HostileNumbersAreRefusedOrIgnored) {
  const std::uint64_t huge = ~0ULL;
  for (int what = 0; what < 9; ++what) {
    Built built =
        with_symbols({symbol(1, 0x401000, huge), symbol(0xffffffff, 0x401000, 0x10)}, std::string("\0f\0", 3));
    Elf64_Shdr& table = built.sections[2];
    switch (what) {
      case 0:
        table.sh_size = huge;
        break;
      case 1:
        table.sh_offset = huge;
        break;
      case 2:
        table.sh_link = 0xffffffff;
        break;
      case 3:
        table.sh_entsize = 1;
        break;
      case 4:
        built.sections[1].sh_offset = huge;
        break;
      case 5:
        built.header.e_shoff = huge;
        break;
      case 6:
        built.header.e_shnum = 0xffff;
        break;
      case 7:
        built.segments[0].p_filesz = huge;
        break;
      default:
        built.segments[0].p_offset = huge;
        break;
    }
    const Fd file = built.file();
    const auto info = read_elf(file.get());
    ASSERT_TRUE(info) << what;
    std::vector<FunctionAt> wanted{{0x401000, {}, 0}, {0x500000, {}, 0}};
    static_cast<void>(find_functions(file.get(), *info, wanted));
    static_cast<void>(info->address_at(huge));
    static_cast<void>(info->address_at(0));
  }
}

// Symbols that all cover all that is wanted would cost their product.
TEST(ElfFile, OverlappingSymbolsAreGivenUp) {
  std::vector<Elf64_Sym> symbols(200'000, symbol(1, 0x401000, 0x100000));
  Built built = with_symbols(symbols, std::string("\0f\0", 3));
  const Fd file = built.file();
  const auto info = read_elf(file.get());
  ASSERT_TRUE(info);
  std::vector<FunctionAt> wanted;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    wanted.push_back({0x401000 + i, {}, 0});
  }
  EXPECT_FALSE(find_functions(file.get(), *info, wanted));
}

TEST(ElfFile, NoElf) {
  for (const std::string& text : {std::string(),
                                  std::string("\x7f"
                                              "ELF"),
                                  std::string(64, 'x'), std::string("#!/bin/sh\n")}) {
    Fd file(::memfd_create("no", MFD_CLOEXEC));
    EXPECT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    EXPECT_FALSE(read_elf(file.get()));
  }
}

}  // namespace
}  // namespace memcrest
