// SPDX-License-Identifier: Apache-2.0
// The ELF file of a module, as a container could have made it: header, notes, tables of symbols and of call frames,
// what is packed in it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "symbol/code_place.h"
#include "symbol/demangle.h"
#include "symbol/eh_frame.h"
#include "symbol/elf_file.h"
#include "symbol/mini_debug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace memcrest;  // NOLINT(google-build-using-namespace)
  Module module;
  module.file = Fd(::memfd_create("elf", MFD_CLOEXEC));
  if (::write(module.file.get(), data, size) != static_cast<ssize_t>(size)) {
    return 0;
  }
  auto info = read_elf(module.file.get());
  if (!info) {
    return 0;
  }
  module.info = std::move(*info);
  std::vector<FunctionAt> wanted;
  for (std::uint64_t address = 0; address < 0x4000; address += 0x80) {
    wanted.push_back({address, {}, 0});
  }
  wanted.push_back({~0ULL, {}, 0});
  static_cast<void>(find_functions(module.file.get(), module.info, wanted));
  for (const FunctionAt& one : wanted) {
    if (demangle(one.name).size() > 4096 || module.info.build_id.size() > 128) {
      std::abort();
    }
    static_cast<void>(begins_with_frame(module, one.start));
    static_cast<void>(module.info.address_at(one.address));
    static_cast<void>(find_unwind_row(module.file.get(), module.info, one.address));
  }
  static_cast<void>(unpack_mini_debug(module.file.get(), module.info.mini_debug));
  static_cast<void>(checksum_of(module.file.get()));
  return 0;
}
