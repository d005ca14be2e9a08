// SPDX-License-Identifier: Apache-2.0
#include "symbol/mini_debug.h"

#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <vector>

namespace memcrest {
namespace {

constexpr std::uint64_t kMostPacked = 8U << 20U;
constexpr std::size_t kMostUnpacked = 16U << 20U;
constexpr std::uint64_t kDecoderMemory = 64U << 20U;
constexpr std::uint64_t kMostSummed = 256U << 20U;

}  // namespace

Fd unpack_mini_debug(int fd, const ElfInfo::Range& range) {
  if (range.size == 0 || range.size > kMostPacked) {
    return {};
  }
  std::vector<std::uint8_t> packed(range.size);
  if (::pread(fd, packed.data(), packed.size(), static_cast<off_t>(range.offset)) !=
      static_cast<ssize_t>(packed.size())) {
    return {};
  }
  Fd out(::memfd_create("memcrest-symbols", MFD_CLOEXEC));
  lzma_stream stream = LZMA_STREAM_INIT;
  if (!out || lzma_stream_decoder(&stream, kDecoderMemory, 0) != LZMA_OK) {
    return {};
  }
  std::vector<std::uint8_t> piece(64U << 10U);
  stream.next_in = packed.data();
  stream.avail_in = packed.size();
  lzma_ret state = LZMA_OK;
  std::size_t total = 0;
  while (state == LZMA_OK && total <= kMostUnpacked) {
    stream.next_out = piece.data();
    stream.avail_out = piece.size();
    state = lzma_code(&stream, LZMA_FINISH);
    const std::size_t made = piece.size() - stream.avail_out;
    total += made;
    if (::write(out.get(), piece.data(), made) != static_cast<ssize_t>(made)) {
      state = LZMA_MEM_ERROR;
    }
  }
  lzma_end(&stream);
  return state == LZMA_STREAM_END && total <= kMostUnpacked ? std::move(out) : Fd();
}

std::optional<std::uint32_t> checksum_of(int fd) {
  std::vector<unsigned char> piece(256U << 10U);
  uLong sum = crc32(0, nullptr, 0);
  for (std::uint64_t at = 0; at <= kMostSummed;) {
    const ssize_t got = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(at));
    if (got < 0) {
      return std::nullopt;
    }
    if (got == 0) {
      return static_cast<std::uint32_t>(sum);
    }
    sum = crc32(sum, piece.data(), static_cast<uInt>(got));
    at += static_cast<std::uint64_t>(got);
  }
  return std::nullopt;
}

}  // namespace memcrest
