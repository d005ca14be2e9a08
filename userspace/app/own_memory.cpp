// SPDX-License-Identifier: Apache-2.0
#include "app/own_memory.h"

#include <malloc.h>

namespace memcrest {
namespace {

constexpr int kArenas = 2;
// Fixed: otherwise glibc raises it to the largest block that was freed, and an answer of megabytes stays in the heap.
constexpr int kOwnMapping = 256 << 10;
constexpr int kTrimAbove = 512 << 10;

}  // namespace

void tame_allocator() {
  ::mallopt(M_ARENA_MAX, kArenas);
  ::mallopt(M_MMAP_THRESHOLD, kOwnMapping);
  ::mallopt(M_TRIM_THRESHOLD, kTrimAbove);
}

void return_free_memory() { ::malloc_trim(0); }

}  // namespace memcrest
