// SPDX-License-Identifier: Apache-2.0
#include "symbol/code_place.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "util/process_start.h"

namespace memcrest {
namespace {

constexpr std::size_t kMostMaps = 8U << 20U;
constexpr std::size_t kLongestCall = 8;

std::string folder_of(const std::string& proc_root, const TaskInfo& task) {
  return proc_root + "/" + std::to_string(task.process.tgid);
}

bool still_there(const std::string& folder, const TaskInfo& task) {
  return process_start_ns(folder) == to_tick(task.process.start_ns);
}

// A return address belongs to the call before it.
std::uint64_t of_call(const std::vector<std::uint64_t>& stack, std::size_t i) {
  return i > 0 && stack[i] > 0 ? stack[i] - 1 : stack[i];
}

// Bytes of ModRM, SIB and displacement.
std::size_t operand_size(unsigned char modrm, unsigned char sib) {
  const unsigned mode = modrm >> 6U;
  const unsigned base = modrm & 7U;
  if (mode == 3) {
    return 1;
  }
  const std::size_t with_sib = base == 4 ? 2 : 1;
  const bool wide = mode == 2 || (mode == 0 && (base == 5 || (base == 4 && (sib & 7U) == 5)));
  return with_sib + (wide ? 4 : mode == 1 ? 1 : 0);
}

bool is_call_x86(std::string_view code) {
  const auto at = [&](std::size_t back) { return static_cast<unsigned char>(code[code.size() - back]); };
  if (code.size() >= 5 && at(5) == 0xe8) {  // call rel32
    return true;
  }
  // call r/m: ff /2, as long as what it says of its operand
  for (std::size_t length = 2; length <= std::min<std::size_t>(code.size(), 7); ++length) {
    if (at(length) == 0xff && ((at(length - 1) >> 3U) & 7U) == 2 &&
        length == 1 + operand_size(at(length - 1), length > 2 ? at(length - 2) : 0)) {
      return true;
    }
  }
  return false;
}

bool is_call_arm64(std::string_view code) {
  std::uint32_t instruction = 0;
  if (code.size() < sizeof(instruction)) {
    return false;
  }
  std::memcpy(&instruction, code.data() + code.size() - sizeof(instruction), sizeof(instruction));
  return (instruction & 0xfc000000U) == 0x94000000U || (instruction & 0xfffff000U) == 0xd63f0000U ||
         (instruction & 0xfffff000U) == 0xd73f0000U;  // bl, blr, and with a signed pointer
}

bool follows_call(const Module& module, std::uint64_t file_offset) {
  char code[kLongestCall];
  const std::uint64_t size = std::min<std::uint64_t>(file_offset, sizeof(code));
  const ssize_t got = ::pread(module.file.get(), code, size, static_cast<off_t>(file_offset - size));
  return got == static_cast<ssize_t>(size) && ends_in_call({code, static_cast<std::size_t>(got)}, module.info.machine);
}

bool wants_file(const CodeMapping& mapping) { return mapping.inode != 0 && mapping.path.starts_with('/'); }

// Written where the process sees /tmp, with the pid that it sees.
std::shared_ptr<Fd> open_perf_map(const std::string& folder, const TaskInfo& task) {
  const Fd root = open_root(folder);
  Fd file = root ? open_in_root(root.get(), "/tmp/perf-" + std::to_string(task.ns_tgid) + ".map") : Fd();
  return file ? std::make_shared<Fd>(std::move(file)) : nullptr;
}

}  // namespace

bool ends_in_call(std::string_view code, std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
    case EM_386:
      return is_call_x86(code);
    case EM_AARCH64:
      return is_call_arm64(code);
    default:
      return true;
  }
}

bool begins_with_frame(const Module& module, std::uint64_t address) {
  const auto offset = module.info.offset_of(address);
  char code[12];
  if (!offset || ::pread(module.file.get(), code, sizeof(code), static_cast<off_t>(*offset)) != sizeof(code)) {
    return false;
  }
  std::string_view text(code, sizeof(code));
  if (module.info.machine == EM_AARCH64) {
    for (std::size_t at = 0; at < sizeof(code); at += 4) {  // bti or paciasp may come first: stp x29, x30, [sp, #-n]!
      std::uint32_t instruction = 0;
      std::memcpy(&instruction, code + at, sizeof(instruction));
      if ((instruction & 0xffc07fffU) == 0xa9807bfdU) {
        return true;
      }
    }
    return false;
  }
  constexpr std::string_view kEndbr64 = "\xf3\x0f\x1e\xfa";
  text.remove_prefix(text.starts_with(kEndbr64) ? kEndbr64.size() : 0);
  return text.starts_with("\x55\x48\x89\xe5") || text.starts_with("\x55\x48\x8b\xec");  // push %rbp; mov %rsp,%rbp
}

bool open_modules(const std::string& proc_root, const TaskInfo& task, const std::vector<std::uint64_t>& stack,
                  ModuleTable& modules, ProcessCode& code) {
  const std::string folder = folder_of(proc_root, task);
  bool all = true;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const CodeMapping* mapping = find_mapping(code.mappings, of_call(stack, i));
    if (mapping == nullptr) {
      all = false;
      break;  // what follows it is not looked at either
    }
    auto& module = code.modules[static_cast<std::size_t>(mapping - code.mappings.data())];
    if (!module && wants_file(*mapping)) {
      module = modules.open(folder, *mapping);
    } else if (mapping->path.empty() && !code.perf_map) {
      code.perf_map = open_perf_map(folder, task);
    }
  }
  return all;
}

ProcessCode look_at_process(const std::string& proc_root, const TaskInfo& task, const std::vector<std::uint64_t>& stack,
                            ModuleTable& modules) {
  ProcessCode out;
  const std::string folder = folder_of(proc_root, task);
  const auto maps = read_start(folder + "/maps", kMostMaps);
  if (!maps || maps->empty()) {
    return out;
  }
  out.mappings = parse_code_mappings(*maps);
  out.modules.resize(out.mappings.size());
  static_cast<void>(open_modules(proc_root, task, stack, modules, out));
  out.known = still_there(folder, task);
  return out;
}

bool all_open(const ProcessCode& code, const std::vector<std::uint64_t>& stack) {
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const CodeMapping* mapping = find_mapping(code.mappings, of_call(stack, i));
    if (mapping == nullptr || (mapping->path.empty() && !code.perf_map) ||
        (wants_file(*mapping) && !code.modules[static_cast<std::size_t>(mapping - code.mappings.data())])) {
      return false;
    }
  }
  return true;
}

PlacedStack place_stack(const ProcessCode& code, const std::vector<std::uint64_t>& stack, std::size_t deepest) {
  PlacedStack out;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const std::uint64_t address = of_call(stack, i);
    const CodeMapping* mapping = find_mapping(code.mappings, address);
    if (mapping == nullptr) {
      out.cut = i > 0;
      return out;
    }
    const auto& module = code.modules[static_cast<std::size_t>(mapping - code.mappings.data())];
    const std::uint64_t offset = address - mapping->begin + mapping->offset;
    if (module) {
      const auto in_file = module->info.address_at(offset);
      if (!in_file || (i > 0 && !follows_call(*module, offset + 1))) {
        out.cut = true;
        return out;
      }
      out.places.push_back({module, {}, *in_file});
    } else {
      out.places.push_back({nullptr, mapping->path.empty() ? "[jit]" : mapping->path, address});
    }
  }
  out.full = stack.size() >= deepest;
  return out;
}

}  // namespace memcrest
