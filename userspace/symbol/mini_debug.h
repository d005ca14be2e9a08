// SPDX-License-Identifier: Apache-2.0
// Symbols in other wrappings: .gnu_debugdata (an ELF file in xz), and the checksum of .gnu_debuglink.
#pragma once

#include <cstdint>
#include <optional>

#include "symbol/elf_file.h"
#include "util/fd.h"

namespace memcrest {

// The unpacked ELF file, in memory of its own. None: it is damaged, or unpacks to more than 16 MiB.
[[nodiscard]] Fd unpack_mini_debug(int fd, const ElfInfo::Range& range);

// CRC-32 of the whole file; nullopt: it cannot be read, or is larger than 256 MiB.
[[nodiscard]] std::optional<std::uint32_t> checksum_of(int fd);

}  // namespace memcrest
