// SPDX-License-Identifier: Apache-2.0
#include "app/own_memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace memcrest {
namespace {

constexpr int kArenas = 2;
// Fixed: otherwise glibc raises it to the largest block that was freed, and an answer of megabytes stays in the heap.
constexpr int kOwnMapping = 256 << 10;
constexpr int kTrimAbove = 512 << 10;

// The first object is the program itself.
int forget_first(dl_phdr_info* info, std::size_t /*size*/, void* /*context*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    if (part.p_type == PT_LOAD && (part.p_flags & PF_W) == 0) {  // nothing there is anybody's but the file's
      const std::uintptr_t begin = (info->dlpi_addr + part.p_vaddr) & ~(page - 1);
      const std::uintptr_t end = info->dlpi_addr + part.p_vaddr + part.p_memsz;
      ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
  }
  return 1;
}

}  // namespace

void tame_allocator() {
  ::mallopt(M_ARENA_MAX, kArenas);
  ::mallopt(M_MMAP_THRESHOLD, kOwnMapping);
  ::mallopt(M_TRIM_THRESHOLD, kTrimAbove);
}

void return_free_memory() { ::malloc_trim(0); }

void forget_startup_pages() { ::dl_iterate_phdr(forget_first, nullptr); }

}  // namespace memcrest
