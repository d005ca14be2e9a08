// SPDX-License-Identifier: Apache-2.0
// What names cost: the collector's thread per step, and the time and memory to name functions of a binary of 200 MB
// with a million symbols, which is made for it.
#include <elf.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "symbol/elf_file.h"
#include "symbol/memory_kind.h"
#include "symbol/symbolizer.h"
#include "util/fd.h"
#include "util/process_start.h"

namespace memcrest {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

long resident_kib() {
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE) / 1024;
}

constexpr std::uint64_t kSymbols = 1'000'000;
constexpr std::uint64_t kFunction = 64;

Fd large_file() {
  std::string names(1, '\0');
  std::vector<Elf64_Sym> symbols(1);
  for (std::uint64_t i = 0; i < kSymbols; ++i) {
    Elf64_Sym one{};
    one.st_name = static_cast<Elf64_Word>(names.size());
    one.st_info = (STB_GLOBAL << 4) | STT_FUNC;
    one.st_shndx = 1;
    one.st_value = 0x400000 + i * kFunction;
    one.st_size = kFunction;
    symbols.push_back(one);
    names += "_ZN7project9namespace9ClassName" + std::to_string(8 + std::to_string(i).size()) + "function" +
             std::to_string(i) + "Ev" + '\0';
  }
  const std::uint64_t text_size = kSymbols * kFunction;
  const std::uint64_t symbols_at = 4096 + text_size;
  const std::uint64_t names_at = symbols_at + symbols.size() * sizeof(Elf64_Sym);
  const std::uint64_t sections_at = std::max<std::uint64_t>(names_at + names.size(), 200'000'000);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  header.e_shoff = sections_at;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  const Elf64_Phdr code{PT_LOAD, PF_R | PF_X, 4096, 0x400000, 0x400000, text_size, text_size, 4096};
  const Elf64_Shdr sections[3] = {
      {},
      {0, SHT_STRTAB, 0, 0, names_at, names.size(), 0, 0, 1, 0},
      {0, SHT_SYMTAB, 0, 0, symbols_at, symbols.size() * sizeof(Elf64_Sym), 1, 0, 8, sizeof(Elf64_Sym)}};
  Fd out(::memfd_create("large", MFD_CLOEXEC));
  const auto put = [&](const void* bytes, std::size_t size, std::uint64_t at) {
    for (std::size_t done = 0; done < size;) {
      done += static_cast<std::size_t>(std::max<ssize_t>(
          ::pwrite(out.get(), static_cast<const char*>(bytes) + done, size - done, static_cast<off_t>(at + done)), 0));
    }
  };
  put(&header, sizeof(header), 0);
  put(&code, sizeof(code), sizeof(header));
  put(symbols.data(), symbols.size() * sizeof(Elf64_Sym), symbols_at);
  put(names.data(), names.size(), names_at);
  put(sections, sizeof(sections), sections_at);
  return out;
}

void bench_large_file() {
  const Fd file = large_file();
  const long before = resident_kib();
  const auto start = Clock::now();
  const auto info = read_elf(file.get());
  const double header = since(start);
  std::vector<FunctionAt> wanted;
  for (std::uint64_t i = 0; i < 500; ++i) {
    wanted.push_back({0x400000 + i * (kSymbols / 500) * kFunction + 7, {}, 0});
  }
  const auto named = Clock::now();
  const bool whole = info && find_functions(file.get(), *info, wanted);
  std::printf("a file of %lld MB with %llu symbols: header %.2f ms, 500 names %.1f ms, memory + %ld KiB%s\n",
              static_cast<long long>(::lseek(file.get(), 0, SEEK_END) / 1'000'000),
              static_cast<unsigned long long>(kSymbols), header * 1e3, since(named) * 1e3, resident_kib() - before,
              whole && !wanted.back().name.empty() ? "" : " FAILED");
}

void bench_steps() {
  const KernelKinds kinds = [] {
    const auto start = Clock::now();
    KernelKinds out = KernelKinds::read("/proc");
    std::printf("reading the kernel's symbols, once: %.1f ms\n", since(start) * 1e3);
    return out;
  }();
  Symbolizer symbols({}, {});
  TaskInfo task;
  task.process = {static_cast<std::uint32_t>(getpid()), process_start_ns("/proc/self").value_or(0)};
  std::vector<std::uint64_t> user(20, reinterpret_cast<std::uint64_t>(&bench_steps));
  const std::vector<std::uint64_t> kernel(16, 0xffffffff81200000);
  constexpr int kRounds = 1'000'000;
  auto start = Clock::now();
  for (int i = 0; i < kRounds; ++i) {
    symbols.seen(task, user, kernel);
  }
  std::printf("per step: a stack that is known %.0f ns", since(start) * 1e9 / kRounds);
  constexpr int kNew = 2000;
  start = Clock::now();
  for (int i = 0; i < kNew; ++i) {
    user[0] += 1;
    symbols.seen(task, user, kernel);
  }
  std::printf(", a new one %.0f ns", since(start) * 1e9 / kNew);
  int sum = 0;
  start = Clock::now();
  for (int i = 0; i < kRounds; ++i) {
    sum += static_cast<int>(kinds.kind_of(kernel));
  }
  std::printf(", its kind %.0f ns%s\n", since(start) * 1e9 / kRounds, sum < 0 ? "!" : "");
}

}  // namespace
}  // namespace memcrest

int main() {
  memcrest::bench_steps();
  memcrest::bench_large_file();
  return 0;
}
