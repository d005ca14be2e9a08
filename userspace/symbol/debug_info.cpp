// SPDX-License-Identifier: Apache-2.0
#include "symbol/debug_info.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <ranges>
#include <utility>

#include "symbol/demangle.h"
#include "symbol/elf_file.h"
#include "util/fd.h"

namespace memcrest {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxInlined = 32;    // into one function
constexpr std::size_t kMaxText = 1024;     // of a path or a name
constexpr std::size_t kMaxCandidates = 4;  // files of one build id

std::string cut(const char* text) {
  std::string out = text == nullptr ? "" : text;
  out.resize(std::min(out.size(), kMaxText));
  return out;
}

bool is_hex(const std::string& text) {
  return text.size() >= 8 && text.size() <= 128 && text.size() % 2 == 0 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Also of the function that an inlined one was made of.
std::string name_of(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  for (const unsigned which : {static_cast<unsigned>(DW_AT_linkage_name),
                               static_cast<unsigned>(DW_AT_MIPS_linkage_name), static_cast<unsigned>(DW_AT_name)}) {
    if (const char* name = dwarf_formstring(dwarf_attr_integrate(&die, which, &attribute))) {
      return which == DW_AT_name ? cut(name) : demangle(cut(name));
    }
  }
  return {};
}

std::optional<std::uint64_t> number_of(Dwarf_Die& die, unsigned which) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  return dwarf_formudata(dwarf_attr(&die, which, &attribute), &value) == 0 ? std::optional<std::uint64_t>(value)
                                                                           : std::nullopt;
}

bool is_function(Dwarf_Die& die) {
  const int tag = dwarf_tag(&die);
  return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

}  // namespace

// One file, as libdw has it.
class DebugInfo::Module {
 public:
  static std::unique_ptr<Module> open(const std::string& path) {
    std::unique_ptr<Module> out(new Module);
    static const Dwfl_Callbacks kCallbacks = {.find_elf = dwfl_build_id_find_elf,
                                              .find_debuginfo = no_debuginfo,
                                              .section_address = dwfl_offline_section_address,
                                              .debuginfo_path = nullptr};
    out->dwfl_ = dwfl_begin(&kCallbacks);
    if (out->dwfl_ == nullptr) {
      return nullptr;
    }
    dwfl_report_begin(out->dwfl_);
    out->module_ = dwfl_report_offline(out->dwfl_, path.c_str(), path.c_str(), -1);
    dwfl_report_end(out->dwfl_, nullptr, nullptr);
    if (out->module_ == nullptr) {
      return nullptr;
    }
    GElf_Addr bias = 0;
    if (dwfl_module_getelf(out->module_, &bias) == nullptr) {
      return nullptr;
    }
    out->bias_ = bias;
    return out;
  }
  ~Module() {
    if (dwfl_ != nullptr) {
      dwfl_end(dwfl_);
    }
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // What this file adds. False: nothing.
  bool expand(const Frame& frame, std::vector<Frame>& out) const {
    const Dwarf_Addr address = frame.offset + bias_;
    Frame place = frame;
    Dwarf_Addr bias = 0;
    Dwarf_Die* const unit = unit_at(address, bias);
    std::string function;
    if (unit != nullptr) {
      int number = 0;
      Dwarf_Line* const line = dwarf_getsrc_die(unit, address - bias);
      const char* const file = dwarf_linesrc(line, nullptr, nullptr);
      if (file != nullptr && dwarf_lineno(line, &number) == 0 && number > 0) {
        place.file = cut(file);
        place.line = static_cast<std::uint32_t>(number);
      }
      function = add_inlined(*unit, address - bias, place, out);
    }
    if (place.name.empty()) {
      GElf_Off offset = 0;
      GElf_Sym symbol;
      const char* const name = dwfl_module_addrinfo(module_, address, &offset, &symbol, nullptr, nullptr, nullptr);
      place.name = !function.empty() ? std::move(function) : demangle(cut(name));
    }
    const bool news = place != frame || !out.empty();
    out.push_back(std::move(place));
    return news;
  }

 private:
  Module() = default;

  static int no_debuginfo(Dwfl_Module* /*module*/, void** /*user*/, const char* /*name*/, Dwarf_Addr /*base*/,
                          const char* /*file*/, const char* /*link*/, GElf_Word /*crc*/, char** /*path*/) {
    return -1;  // each file by itself: DebugInfo knows where the others are
  }

  // The part of the program that was compiled as one. The index of addresses (.debug_aranges) is not there where clang
  // or rustc compiled: then each is asked.
  Dwarf_Die* unit_at(Dwarf_Addr address, Dwarf_Addr& bias) const {
    Dwarf_Die* unit = dwfl_module_addrdie(module_, address, &bias);
    if (unit == nullptr) {
      while ((unit = dwfl_module_nextcu(module_, unit, &bias)) != nullptr && dwarf_haspc(unit, address - bias) <= 0) {
      }
    }
    return unit;
  }

  // Frames of the functions inlined at `address`, as the unit counts, go to `out`; `place` moves out to where they were
  // called. Returns the name of the function around them.
  static std::string add_inlined(Dwarf_Die& unit, Dwarf_Addr address, Frame& place, std::vector<Frame>& out) {
    Dwarf_Die* found = nullptr;
    if (dwarf_getscopes(&unit, address, &found) <= 0) {
      return {};
    }
    Dwarf_Die innermost = found[0];
    std::free(found);  // NOLINT: libdw's, from malloc
    Dwarf_Die* scopes = nullptr;
    const int depth = dwarf_getscopes_die(&innermost, &scopes);
    if (depth <= 0) {
      return {};
    }
    std::string outer;
    for (int i = 0; i < depth && out.size() < kMaxInlined; ++i) {
      Dwarf_Die& die = scopes[i];
      if (!is_function(die)) {
        continue;
      }
      if (dwarf_tag(&die) == DW_TAG_subprogram) {
        outer = name_of(die);
        break;
      }
      Frame inlined = place;
      inlined.name = name_of(die);
      inlined.inlined = true;
      out.push_back(std::move(inlined));
      place.file = file_of(unit, number_of(die, DW_AT_call_file));
      place.line = place.file.empty() ? 0 : static_cast<std::uint32_t>(number_of(die, DW_AT_call_line).value_or(0));
    }
    std::free(scopes);  // NOLINT: the same
    return outer;
  }

  static std::string file_of(Dwarf_Die& unit, std::optional<std::uint64_t> index) {
    Dwarf_Files* files = nullptr;
    std::size_t count = 0;
    if (!index || dwarf_getsrcfiles(&unit, &files, &count) != 0 || *index >= count) {
      return {};
    }
    return cut(dwarf_filesrc(files, *index, nullptr, nullptr));
  }

  Dwfl* dwfl_ = nullptr;
  Dwfl_Module* module_ = nullptr;
  std::uint64_t bias_ = 0;
};

// libdebuginfod, if it is installed: memcrest does not need it otherwise.
class DebugInfo::Server {
 public:
  static Result<std::unique_ptr<Server>> open(const std::string& urls) {
    std::unique_ptr<Server> out(new Server);
    out->library_ = ::dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
    if (out->library_ == nullptr) {
      return fail("load", "libdebuginfod.so.1", ENOENT, "--debuginfod needs that library (Debian: libdebuginfod1)");
    }
    const auto begin = reinterpret_cast<Begin>(::dlsym(out->library_, "debuginfod_begin"));    // NOLINT
    out->end_ = reinterpret_cast<End>(::dlsym(out->library_, "debuginfod_end"));               // NOLINT
    out->find_ = reinterpret_cast<Find>(::dlsym(out->library_, "debuginfod_find_debuginfo"));  // NOLINT
    ::setenv("DEBUGINFOD_URLS", urls.c_str(), 1);
    out->client_ = begin != nullptr && out->end_ != nullptr && out->find_ != nullptr ? begin() : nullptr;
    if (out->client_ == nullptr) {
      return fail("use", "libdebuginfod.so.1", ENOTSUP, "it cannot be used");
    }
    return out;
  }
  ~Server() {
    if (client_ != nullptr) {
      end_(client_);
    }
    if (library_ != nullptr) {
      ::dlclose(library_);
    }
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Path of the file in the library's own cache; ENOENT: no server has it.
  [[nodiscard]] Result<std::string> find(const std::string& build_id) const {
    char* path = nullptr;
    const Fd fd(find_(client_, reinterpret_cast<const unsigned char*>(build_id.c_str()), 0, &path));
    std::string out = fd.get() >= 0 && path != nullptr ? path : "";
    std::free(path);  // NOLINT: the library's, from malloc
    if (out.empty()) {
      return fail("ask debuginfod for", build_id, fd.get() < 0 ? -fd.get() : ENOENT);
    }
    return out;
  }

 private:
  Server() = default;
  using Begin = void* (*)();
  using End = void (*)(void*);
  using Find = int (*)(void*, const unsigned char*, int, char**);

  void* library_ = nullptr;
  void* client_ = nullptr;
  End end_ = nullptr;
  Find find_ = nullptr;
};

DebugInfo::DebugInfo(DebugInfoSettings settings) : settings_(std::move(settings)) {}
DebugInfo::~DebugInfo() = default;
DebugInfo::DebugInfo(DebugInfo&&) noexcept = default;
DebugInfo& DebugInfo::operator=(DebugInfo&&) noexcept = default;

Result<DebugInfo> DebugInfo::open(DebugInfoSettings settings) {
  ::unsetenv("DEBUGINFOD_URLS");  // libdw would ask by itself
  DebugInfo out(std::move(settings));
  for (const std::string& dir : out.settings_.dirs) {
    std::error_code error;
    const fs::directory_iterator check(dir, error);
    if (error) {
      return fail("read", dir, error.value());
    }
  }
  if (!out.settings_.debuginfod.empty()) {
    auto server = Server::open(out.settings_.debuginfod);
    if (!server) {
      return std::unexpected(server.error());
    }
    out.server_ = std::move(*server);
  }
  return out;
}

// Reads the build id of each file in the directories: of most of them the first bytes say that they are no ELF.
void DebugInfo::index() {
  indexed_ = true;
  std::multimap<std::string, std::string> without;
  std::size_t looked_at = 0;
  for (const std::string& dir : settings_.dirs) {
    std::error_code error;
    fs::recursive_directory_iterator at(dir, fs::directory_options::skip_permission_denied, error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
      if (!at->is_regular_file(error)) {
        continue;
      }
      if (++looked_at > settings_.max_files) {
        counts_.cut = true;
        break;
      }
      const Fd fd(::open(at->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
      const auto info = fd.get() < 0 ? std::nullopt : [&] {
        auto read = read_elf(fd.get());
        return read ? std::optional(std::move(*read)) : std::nullopt;
      }();
      if (info && !info->build_id.empty()) {
        (info->debug_bytes > 0 ? by_build_id_ : without).emplace(info->build_id, at->path().string());
      }
    }
  }
  by_build_id_.merge(without);  // after those of the same build id that are there
}

std::vector<std::string> DebugInfo::files_of(const std::string& build_id) {
  std::vector<std::string> out;
  if (!is_hex(build_id)) {
    return out;
  }
  const auto have = [](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
  };
  for (const std::string& dir : settings_.dirs) {
    std::string path = dir + "/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug";
    if (have(path)) {
      out.push_back(std::move(path));
    }
  }
  if (out.empty()) {
    if (!indexed_) {
      index();
    }
    const auto [begin, end] = by_build_id_.equal_range(build_id);
    std::ranges::copy(std::ranges::subrange(begin, end) | std::views::values | std::views::take(kMaxCandidates),
                      std::back_inserter(out));
  }
  if (server_ && out.empty()) {
    if (auto path = server_->find(build_id)) {
      out.push_back(std::move(*path));
    } else if (path.error().code != ENOENT) {
      counts_.server_error = path.error().code;
    }
  }
  return out;
}

std::vector<DebugInfo::Module*> DebugInfo::modules_of(const std::string& build_id) {
  auto found = open_.find(build_id);
  if (found == open_.end()) {
    if (open_.size() >= settings_.max_open) {
      open_.clear();
    }
    found = open_.try_emplace(build_id).first;
    for (const std::string& path : files_of(build_id)) {
      if (auto module = Module::open(path)) {
        found->second.push_back(std::move(module));
      }
    }
  }
  std::vector<Module*> out;
  std::ranges::transform(found->second, std::back_inserter(out), &std::unique_ptr<Module>::get);
  return out;
}

std::vector<Frame> DebugInfo::expand(const Frame& frame) {
  if (frame.build_id.empty() || frame.offset == 0 || frame.inlined) {
    return {frame};
  }
  ++counts_.frames;
  const auto modules = modules_of(frame.build_id);
  if (modules.empty()) {
    missing_.try_emplace(frame.build_id, frame.module);
  }
  std::vector<Frame> out;
  for (const Module* const module : modules) {
    out.clear();
    if (module->expand(frame, out)) {
      break;
    }
  }
  if (out.empty()) {
    out.push_back(frame);
  }
  counts_.named += out.back().name.empty() ? 0 : 1;
  counts_.lines += out.front().line == 0 ? 0 : 1;
  return out;
}

void DebugInfo::expand(std::vector<Frame>& frames) {
  std::vector<Frame> out;
  for (const Frame& frame : frames) {
    std::ranges::move(expand(frame), std::back_inserter(out));
  }
  frames = std::move(out);
}

}  // namespace memcrest
