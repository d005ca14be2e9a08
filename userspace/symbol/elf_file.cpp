// SPDX-License-Identifier: Apache-2.0
#include "symbol/elf_file.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace memcrest {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kMaxSegments = 256;
constexpr std::size_t kMaxSections = 16384;
constexpr std::uint64_t kMaxNotes = 64U << 10U;
constexpr std::size_t kMaxName = 2048;
constexpr std::size_t kPiece = 64U << 10U;
// Work that one file may cause: symbols looked at, and comparisons of overlapping ones with what is wanted.
constexpr std::uint64_t kMaxSymbols = 16'000'000;
constexpr std::uint64_t kMaxMatches = 20'000'000;

bool read_at(int fd, void* into, std::size_t size, std::uint64_t offset) {
  auto* at = static_cast<char*>(into);
  while (size > 0) {
    const ssize_t got = ::pread(fd, at, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    at += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

// As many bytes as there are, up to the first NUL.
std::string read_text(int fd, std::uint64_t offset, std::size_t most) {
  char text[kMaxName];
  const ssize_t got = ::pread(fd, text, std::min(most, sizeof(text)), static_cast<off_t>(offset));
  return got <= 0 ? std::string() : std::string(text, ::strnlen(text, static_cast<std::size_t>(got)));
}

std::string to_hex(const unsigned char* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) {
    out += kDigits[bytes[i] >> 4U];
    out += kDigits[bytes[i] & 15U];
  }
  return out;
}

struct Wide {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  using Section = Elf64_Shdr;
  using Symbol = Elf64_Sym;
};
struct Narrow {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  using Section = Elf32_Shdr;
  using Symbol = Elf32_Sym;
};

void read_build_id(int fd, std::uint64_t offset, std::uint64_t size, ElfInfo& out) {
  std::vector<unsigned char> notes(std::min(size, kMaxNotes));
  if (!out.build_id.empty() || !read_at(fd, notes.data(), notes.size(), offset)) {
    return;
  }
  for (std::size_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
    Elf64_Nhdr note;  // the same for 32 bit
    std::memcpy(&note, notes.data() + at, sizeof(note));
    const std::size_t name = at + sizeof(note);
    const std::size_t text = name + (std::size_t{note.n_namesz} + 3) / 4 * 4;
    const std::size_t end = text + note.n_descsz;
    if (text > notes.size() || end > notes.size()) {
      return;
    }
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes.data() + name, "GNU", 4) == 0 &&
        note.n_descsz >= 4 && note.n_descsz <= 64) {
      out.build_id = to_hex(notes.data() + text, note.n_descsz);
      return;
    }
    at = text + (std::size_t{note.n_descsz} + 3) / 4 * 4;
  }
}

template <typename Class>
void read_segments(int fd, const typename Class::Header& header, ElfInfo& out) {
  if (header.e_phentsize != sizeof(typename Class::Segment)) {
    return;
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(header.e_phnum, kMaxSegments); ++i) {
    typename Class::Segment segment;
    if (!read_at(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment))) {
      return;
    }
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
      out.segments.push_back({segment.p_offset, segment.p_vaddr, segment.p_filesz});
    } else if (segment.p_type == PT_GNU_EH_FRAME) {
      out.unwind_table = {segment.p_offset, segment.p_filesz};
      out.unwind_table_address = segment.p_vaddr;
    } else if (segment.p_type == PT_NOTE) {
      read_build_id(fd, segment.p_offset, segment.p_filesz, out);
    }
  }
}

void read_debug_link(int fd, std::uint64_t offset, std::uint64_t size, ElfInfo& out) {
  out.debug_link = read_text(fd, offset, std::min<std::uint64_t>(size, 256));
  const std::uint64_t crc = (out.debug_link.size() + 4) / 4 * 4;
  if (crc + 4 > size || out.debug_link.contains('/') || !read_at(fd, &out.debug_crc, 4, offset + crc)) {
    out.debug_link.clear();
  }
}

template <typename Class>
void read_sections(int fd, const typename Class::Header& header, ElfInfo& out) {
  using Section = typename Class::Section;
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Section) || header.e_shnum > kMaxSections) {
    return;
  }
  std::vector<Section> sections(header.e_shnum);
  if (!read_at(fd, sections.data(), sections.size() * sizeof(Section), header.e_shoff)) {
    return;
  }
  const auto names = header.e_shstrndx < sections.size() ? sections[header.e_shstrndx] : Section{};
  for (const Section& section : sections) {
    if (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM) {
      if (section.sh_link < sections.size() && section.sh_entsize == sizeof(typename Class::Symbol)) {
        const Section& text = sections[section.sh_link];
        out.tables.push_back(
            {section.sh_offset, section.sh_size, text.sh_offset, text.sh_size, section.sh_type == SHT_SYMTAB});
      }
    } else if (section.sh_type == SHT_PROGBITS && (section.sh_flags & SHF_ALLOC) == 0 &&
               section.sh_name < names.sh_size) {
      const std::string name = read_text(fd, names.sh_offset + section.sh_name, 32);
      if (name == ".gnu_debuglink") {
        read_debug_link(fd, section.sh_offset, section.sh_size, out);
      } else if (name == ".gnu_debugdata") {
        out.mini_debug = {section.sh_offset, section.sh_size};
      } else if (name.starts_with(".debug_")) {
        out.debug_bytes += std::min<std::uint64_t>(section.sh_size, 1ULL << 40U);
      }
    } else if ((section.sh_type == SHT_PROGBITS || section.sh_type == SHT_X86_64_UNWIND) &&
               (section.sh_flags & SHF_EXECINSTR) == 0 && section.sh_name < names.sh_size &&
               read_text(fd, names.sh_offset + section.sh_name, 16) == ".eh_frame") {
      out.unwind_entries = {section.sh_offset, section.sh_size};
      out.unwind_entries_address = section.sh_addr;
    } else if (section.sh_type == SHT_NOTE) {
      read_build_id(fd, section.sh_offset, section.sh_size, out);
    }
  }
  // The one that has all symbols first.
  std::ranges::stable_sort(out.tables, std::ranges::greater{}, &ElfInfo::Table::full);
  out.tables.resize(std::min<std::size_t>(out.tables.size(), 4));
}

template <typename Class>
Result<ElfInfo> read_as(int fd) {
  typename Class::Header header;
  if (!read_at(fd, &header, sizeof(header), 0)) {
    return fail("read", "ELF header", ENOEXEC);
  }
  ElfInfo out;
  out.wide = std::is_same_v<Class, Wide>;
  out.machine = header.e_machine;
  read_segments<Class>(fd, header, out);
  read_sections<Class>(fd, header, out);
  return out;
}

// Reads one table through and keeps, for each wanted address, the place in it of the function that covers it.
template <typename Symbol>
class Scan {
 public:
  Scan(int fd, std::vector<FunctionAt>& wanted) : fd_(fd), wanted_(wanted), best_(wanted.size()) {}

  bool table(const ElfInfo::Table& table) {
    std::vector<Symbol> piece(kPiece / sizeof(Symbol));
    const std::uint64_t count = table.size / sizeof(Symbol);
    bool whole = count <= kMaxSymbols;
    for (std::uint64_t at = 0; at < std::min(count, kMaxSymbols) && whole;) {
      const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), count - at));
      whole = read_at(fd_, piece.data(), some * sizeof(Symbol), table.offset + at * sizeof(Symbol));
      for (std::size_t i = 0; whole && i < some; ++i) {
        take(piece[i]);
      }
      whole = whole && matches_ <= kMaxMatches;
      at += some;
    }
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      const Best& best = best_[i];
      if (wanted_[i].name.empty() && best.rank > 0 && best.name < table.names_size) {
        wanted_[i].name = read_text(fd_, table.names_offset + best.name, kMaxName);
        wanted_[i].start = best.start;
      }
    }
    return whole;
  }

 private:
  struct Best {
    int rank = 0;  // 1: begins before it and has no size; 2: covers it; 3: and is seen from outside
    std::uint64_t start = 0;
    std::uint64_t name = 0;
  };

  void take(const Symbol& symbol) {
    const unsigned type = symbol.st_info & 15U;
    if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) || symbol.st_shndx == SHN_UNDEF ||
        symbol.st_name == 0 || symbol.st_value == 0) {
      return;
    }
    const std::uint64_t start = symbol.st_value;
    const bool sized = symbol.st_size > 0;
    if (type == STT_NOTYPE && !sized && (symbol.st_info >> 4U) == STB_LOCAL) {
      return;  // labels inside of functions
    }
    // Without a size (assembly) it reaches to the next one: the nearest before an address wins.
    const std::uint64_t end = sized ? start + std::min<std::uint64_t>(symbol.st_size, ~0ULL - start) : start + kNoSize;
    const int rank = sized ? ((symbol.st_info >> 4U) == STB_LOCAL ? 2 : 3) : 1;
    auto at = std::ranges::lower_bound(wanted_, start, {}, &FunctionAt::address);
    for (; at != wanted_.end() && at->address < end && matches_ <= kMaxMatches; ++at, ++matches_) {
      Best& best = best_[static_cast<std::size_t>(at - wanted_.begin())];
      const bool covers = best.rank >= 2;
      if (best.rank == 0 || (sized && !covers) || (sized == covers && start > best.start) ||
          (sized == covers && start == best.start && rank > best.rank)) {
        best = {rank, start, symbol.st_name};
      }
    }
  }

  static constexpr std::uint64_t kNoSize = 1U << 16U;
  int fd_;
  std::vector<FunctionAt>& wanted_;
  std::vector<Best> best_;
  std::uint64_t matches_ = 0;
};

}  // namespace

bool ElfInfo::has_full_table() const { return std::ranges::any_of(tables, &Table::full); }

std::optional<std::uint64_t> ElfInfo::address_at(std::uint64_t file_offset) const {
  for (const Segment& segment : segments) {
    if (file_offset >= segment.offset && file_offset - segment.offset < segment.size) {
      return segment.address + (file_offset - segment.offset);
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> ElfInfo::offset_of(std::uint64_t address) const {
  for (const Segment& segment : segments) {
    if (address >= segment.address && address - segment.address < segment.size) {
      return segment.offset + (address - segment.address);
    }
  }
  return std::nullopt;
}

Result<ElfInfo> read_elf(int fd) {
  unsigned char ident[EI_NIDENT];
  if (!read_at(fd, ident, sizeof(ident), 0) || std::memcmp(ident, ELFMAG, SELFMAG) != 0 ||
      ident[EI_DATA] != ELFDATA2LSB) {
    return fail("read", "ELF header", ENOEXEC);
  }
  return ident[EI_CLASS] == ELFCLASS32 ? read_as<Narrow>(fd) : read_as<Wide>(fd);
}

bool find_functions(int fd, const ElfInfo& info, std::vector<FunctionAt>& wanted) {
  bool whole = true;
  for (const ElfInfo::Table& table : info.tables) {
    const bool done = info.wide ? Scan<Elf64_Sym>(fd, wanted).table(table) : Scan<Elf32_Sym>(fd, wanted).table(table);
    whole = whole && done;
  }
  return whole;
}

}  // namespace memcrest
