// SPDX-License-Identifier: Apache-2.0
#include "symbol/eh_frame.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "symbol/cfa_program.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kLongestEntry = 64U << 10U;
constexpr std::uint64_t kMostScanned = 16U << 20U;  // where there is no table to search in
constexpr std::size_t kPiece = 4096;

// How addresses are written (DW_EH_PE_...).
constexpr std::uint8_t kFormat = 0x0f;
constexpr std::uint8_t kSigned = 0x08;
constexpr std::uint8_t kOmitted = 0xff;
constexpr std::uint8_t kRelative = 0x70;
constexpr std::uint8_t kToItself = 0x10;
constexpr std::uint8_t kToHeader = 0x30;
constexpr std::uint8_t kTableOfPairs = 0x3b;  // 4 bytes, signed, relative to the header: all that linkers write

std::string read_some(int fd, std::uint64_t offset, std::size_t most) {
  std::string out(most, '\0');
  const ssize_t got = ::pread(fd, out.data(), most, static_cast<off_t>(offset));
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

// Bytes of the file that is mapped from `address` on.
struct Area {
  std::uint64_t offset;
  std::uint64_t address;
  std::uint64_t size;
};

std::optional<std::uint64_t> read_address(ByteReader& in, std::uint8_t encoding, std::uint64_t here,
                                          std::uint64_t header) {
  const std::uint64_t at = here + in.at();
  const bool is_signed = (encoding & kSigned) != 0;
  std::uint64_t value = 0;
  switch (encoding & kFormat & ~kSigned) {
    case 0:
    case 4:
      value = in.fixed(8);
      break;
    case 1:
      value = is_signed ? static_cast<std::uint64_t>(in.sleb()) : in.uleb();
      break;
    case 2:
    case 3: {
      const std::size_t size = (encoding & 7U) == 2 ? 2 : 4;
      value = is_signed ? static_cast<std::uint64_t>(in.fixed_signed(size)) : in.fixed(size);
      break;
    }
    default:
      return std::nullopt;
  }
  switch (encoding & (kRelative | 0x80U)) {
    case 0:
      return value;
    case kToItself:
      return at + value;
    case kToHeader:
      return header + value;
    default:
      return std::nullopt;
  }
}

// One entry, of a function (FDE) or what several share (CIE), without its length. Empty: it is none.
std::string read_entry(int fd, std::uint64_t offset) {
  std::uint32_t length = 0;
  std::string out = read_some(fd, offset, 256);
  if (out.size() < sizeof(length)) {
    return {};
  }
  std::memcpy(&length, out.data(), sizeof(length));
  if (length < 4 || length > kLongestEntry) {  // 0xffffffff: of 64 bit, which nobody needs
    return {};
  }
  if (out.size() < sizeof(length) + length) {
    out = read_some(fd, offset, sizeof(length) + length);
  }
  return out.size() < sizeof(length) + length ? std::string() : out.substr(sizeof(length), length);
}

struct Common {
  CfaProgram program;
  std::uint8_t encoding = 0;
  bool augmented = false;
  bool signal_frame = false;
};

std::optional<Common> read_common(std::string_view entry) {
  Common out;
  ByteReader in(entry);
  static_cast<void>(in.fixed(4));  // 0: it is one
  const std::uint8_t version = in.byte();
  const std::string_view augmentation = in.text();
  if (version != 1 && version != 3) {
    return std::nullopt;
  }
  out.program.code_align = in.uleb();
  out.program.data_align = in.sleb();
  const std::uint64_t return_column = version == 1 ? in.byte() : in.uleb();
  if (return_column != kReturnAddress) {
    return std::nullopt;
  }
  if (augmentation.starts_with('z')) {
    out.augmented = true;
    ByteReader data(in.block(in.uleb()));
    for (const char c : augmentation.substr(1)) {
      if (c == 'R') {
        out.encoding = data.byte();
      } else if (c == 'P') {
        const std::uint8_t encoding = data.byte();
        static_cast<void>(read_address(data, encoding & kFormat, 0, 0));
      } else if (c == 'L') {
        static_cast<void>(data.byte());
      } else if (c == 'S') {
        out.signal_frame = true;
      } else {
        break;
      }
    }
    if (data.failed()) {
      return std::nullopt;
    }
  } else if (!augmentation.empty()) {
    return std::nullopt;
  }
  out.program.initial = entry.substr(std::min(in.at(), entry.size()));
  return in.failed() ? std::nullopt : std::optional(out);
}

// The row, where the entry at this place is that of the function around `address`.
std::optional<UnwindRow> row_of(int fd, const Area& area, std::uint64_t entry_offset, std::uint64_t address) {
  const std::string entry = read_entry(fd, entry_offset);
  ByteReader in(entry);
  const std::uint64_t back = in.fixed(4);
  const std::uint64_t here = entry_offset + 4;
  if (back == 0 || back > here) {
    return std::nullopt;
  }
  const std::string common_entry = read_entry(fd, here - back);
  const auto common = read_common(common_entry);
  if (!common) {
    return std::nullopt;
  }
  const std::uint64_t address_of_entry = area.address + (here - area.offset);
  const auto begin = read_address(in, common->encoding, address_of_entry, 0);
  const auto size = read_address(in, common->encoding & kFormat, 0, 0);
  if (!begin || !size || address < *begin || address - *begin >= *size) {
    return std::nullopt;
  }
  if (common->augmented) {
    static_cast<void>(in.block(in.uleb()));
  }
  if (in.failed()) {
    return std::nullopt;
  }
  CfaProgram program = common->program;
  program.own = std::string_view(entry).substr(in.at());
  program.begin = *begin;
  auto row = run_cfa_program(program, address);
  if (row) {
    row->signal_frame = common->signal_frame;
  }
  return row;
}

// The table that linkers make for this: pairs of function and entry, by address.
std::optional<UnwindRow> find_by_table(int fd, const ElfInfo& info, std::uint64_t address) {
  const Area area{info.unwind_table.offset, info.unwind_table_address, info.unwind_table.size};
  const std::string head = read_some(fd, area.offset, 32);
  ByteReader in(head);
  const std::uint8_t version = in.byte();
  const std::uint8_t frame_encoding = in.byte();
  const std::uint8_t count_encoding = in.byte();
  const std::uint8_t table_encoding = in.byte();
  if (version != 1 || frame_encoding == kOmitted || count_encoding == kOmitted || table_encoding != kTableOfPairs) {
    return std::nullopt;
  }
  static_cast<void>(read_address(in, frame_encoding, area.address, area.address));
  const auto count = read_address(in, count_encoding, area.address, area.address);
  const std::uint64_t table = area.offset + in.at();
  if (!count || in.failed() || area.size < in.at()) {
    return std::nullopt;
  }
  const auto pair_at = [&](std::uint64_t index, std::size_t half) -> std::uint64_t {
    std::int32_t value = 0;
    if (::pread(fd, &value, sizeof(value), static_cast<off_t>(table + index * 8 + half * 4)) != sizeof(value)) {
      return ~0ULL;
    }
    return area.address + static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  };
  std::uint64_t low = 0;
  std::uint64_t high = std::min(*count, (area.size - in.at()) / 8);
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (pair_at(middle, 0) <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) {
    return std::nullopt;
  }
  // Both lie in one segment.
  return row_of(fd, area, area.offset + (pair_at(low - 1, 1) - area.address), address);
}

// Without one, as in static programs: entry by entry.
std::optional<UnwindRow> find_by_scan(int fd, const ElfInfo& info, std::uint64_t address) {
  const Area area{info.unwind_entries.offset, info.unwind_entries_address, info.unwind_entries.size};
  const std::uint64_t end = std::min(area.size, kMostScanned);
  std::string piece;
  std::uint64_t piece_at = 0;
  for (std::uint64_t at = 0; at + 8 <= end;) {
    std::uint32_t head[2];  // length, and the way back to what it shares, or 0
    if (at < piece_at || at - piece_at + sizeof(head) > piece.size()) {
      piece = read_some(fd, area.offset + at, kPiece);
      piece_at = at;
    }
    if (piece.size() < sizeof(head)) {
      return std::nullopt;
    }
    std::memcpy(head, piece.data() + (at - piece_at), sizeof(head));
    if (head[0] < 4 || head[0] > kLongestEntry) {
      return std::nullopt;
    }
    if (head[1] != 0) {
      if (auto row = row_of(fd, area, area.offset + at, address)) {
        return row;
      }
    }
    at += 4 + std::uint64_t{head[0]};
  }
  return std::nullopt;
}

}  // namespace

std::optional<UnwindRow> find_unwind_row(int fd, const ElfInfo& info, std::uint64_t address) {
  if (!info.wide) {
    return std::nullopt;
  }
  return info.unwind_table.size > 0 ? find_by_table(fd, info, address) : find_by_scan(fd, info, address);
}

}  // namespace memcrest
