// SPDX-License-Identifier: Apache-2.0
#include "probe/ring_reach.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace memcrest {

Result<RingReach> RingReach::open(int ring_fd) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  void* pages = ::mmap(nullptr, 2 * page, PROT_READ, MAP_SHARED, ring_fd, 0);
  if (pages == MAP_FAILED) {
    return fail_errno("map", "a ring buffer's positions");
  }
  return RingReach(pages, page);
}

RingReach::RingReach(RingReach&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)), page_bytes_(other.page_bytes_) {}

RingReach& RingReach::operator=(RingReach&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(page_bytes_, other.page_bytes_);
  return *this;
}

RingReach::~RingReach() {
  if (pages_ != nullptr) {
    ::munmap(pages_, 2 * page_bytes_);
  }
}

std::uint64_t RingReach::position(unsigned page) const {
  const auto* at = reinterpret_cast<const unsigned long*>(static_cast<const char*>(pages_) + page * page_bytes_);
  return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

}  // namespace memcrest
