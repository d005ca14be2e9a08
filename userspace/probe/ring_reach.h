// SPDX-License-Identifier: Apache-2.0
// How far the writers and the reader of a BPF ring buffer are. A record that is begun and not ended holds up all that
// were written behind it: its writer may have lost its CPU in between, to another task or to another machine.
#pragma once

#include <cstdint>

#include "util/result.h"

namespace memcrest {

class RingReach {
 public:
  // `ring_fd` need not stay open. Errors: those of mmap.
  [[nodiscard]] static Result<RingReach> open(int ring_fd);
  RingReach(RingReach&& other) noexcept;
  RingReach& operator=(RingReach&& other) noexcept;
  ~RingReach();

  // Bytes since the ring exists. Any thread.
  [[nodiscard]] std::uint64_t written() const { return position(1); }  // records that are only begun among them
  [[nodiscard]] std::uint64_t read() const { return position(0); }

 private:
  explicit RingReach(void* pages, std::uint64_t page_bytes) : pages_(pages), page_bytes_(page_bytes) {}
  [[nodiscard]] std::uint64_t position(unsigned page) const;

  void* pages_ = nullptr;  // the reader's, then the writers'
  std::uint64_t page_bytes_ = 0;
};

}  // namespace memcrest
