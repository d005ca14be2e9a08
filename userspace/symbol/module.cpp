// SPDX-License-Identifier: Apache-2.0
#include "symbol/module.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>

#include "symbol/mini_debug.h"

namespace memcrest {
namespace {

bool is_regular(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// Devices and pipes are not to be opened even for a moment: looked at first, then opened for reading.
Fd reopen_regular(const Fd& path) {
  if (!path || !is_regular(path.get())) {
    return {};
  }
  return Fd(
      ::open(("/proc/self/fd/" + std::to_string(path.get())).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

Fd open_mapped(const std::string& process_folder, const CodeMapping& mapping) {
  char name[64];
  std::snprintf(name, sizeof(name), "/map_files/%llx-%llx", static_cast<unsigned long long>(mapping.begin),
                static_cast<unsigned long long>(mapping.end));
  // The link leads to the very file, whatever has happened to its name. Needs CAP_SYS_ADMIN or CHECKPOINT_RESTORE.
  Fd file = reopen_regular(Fd(::open((process_folder + name).c_str(), O_PATH | O_CLOEXEC)));
  if (file) {
    return file;
  }
  const Fd root = open_root(process_folder);
  file = root ? open_in_root(root.get(), mapping.path) : Fd();
  struct stat status{};
  // Another file of this name by now. (The device differs from that in maps on overlayfs.)
  if (file && (::fstat(file.get(), &status) != 0 || status.st_ino != mapping.inode)) {
    file.reset();
  }
  return file;
}

// Where distributions put the symbols that were cut out of a file, as gdb looks for them.
std::vector<std::string> debug_paths(const Module& module) {
  std::vector<std::string> out;
  const std::string& id = module.info.build_id;
  if (id.size() > 4) {
    out.push_back("/usr/lib/debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
  }
  const auto slash = module.path.rfind('/');
  if (!module.info.debug_link.empty() && slash != std::string::npos) {
    const std::string folder = module.path.substr(0, slash + 1);
    out.push_back(folder + module.info.debug_link);
    out.push_back(folder + ".debug/" + module.info.debug_link);
    out.push_back("/usr/lib/debug" + folder + module.info.debug_link);
  }
  return out;
}

bool take_debug(Module& module, Fd file) {
  if (!file) {
    return false;
  }
  auto info = read_elf(file.get());
  // Of another version its addresses would be wrong. Where there is no build id the checksum says so.
  const bool fits = info && info->has_full_table() &&
                    (module.info.build_id.empty() ? checksum_of(file.get()) == module.info.debug_crc
                                                  : info->build_id == module.info.build_id);
  if (!fits) {
    return false;
  }
  module.debug_file = std::move(file);
  module.debug_info = std::move(*info);
  return true;
}

}  // namespace

Fd open_root(const std::string& process_folder) {
  return Fd(::open((process_folder + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

Fd open_in_root(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return reopen_regular(Fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how)))));
}

// Symbols that were cut out of the file: in the file itself, in its own file system, in what the user named.
void ModuleTable::add_symbols(Module& module, int root) const {
  if (module.info.has_full_table()) {
    return;
  }
  for (const std::string& path : root >= 0 ? debug_paths(module) : std::vector<std::string>()) {
    if (take_debug(module, open_in_root(root, path))) {
      return;
    }
  }
  for (const std::string& dir : debug_dirs_) {
    const std::string& id = module.info.build_id;
    for (const char* const below : {"/.build-id/", "/"}) {
      if (id.size() > 4 &&
          take_debug(module,
                     reopen_regular(Fd(::open((dir + below + id.substr(0, 2) + "/" + id.substr(2) + ".debug").c_str(),
                                              O_PATH | O_CLOEXEC))))) {
        return;
      }
    }
  }
  if (module.info.mini_debug.size > 0) {
    Fd file = unpack_mini_debug(module.file.get(), module.info.mini_debug);
    if (auto info = file ? read_elf(file.get()) : Result<ElfInfo>{}; file && info) {
      module.debug_file = std::move(file);
      module.debug_info = std::move(*info);
    }
  }
}

std::shared_ptr<Module> ModuleTable::open(const std::string& process_folder, const CodeMapping& mapping) {
  Fd file = open_mapped(process_folder, mapping);
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return nullptr;
  }
  const FileKey key{status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size), status.st_ctim.tv_sec,
                    status.st_ctim.tv_nsec};
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = modules_.find(key); found != modules_.end()) {
      if (auto module = found->second.lock()) {
        return module;
      }
    }
    forget_closed();
    if (modules_.size() >= most_) {
      ++refused_;
      return nullptr;
    }
  }
  auto module = std::make_shared<Module>();
  module->path = mapping.path;
  module->file = std::move(file);
  auto info = read_elf(module->file.get());
  if (!info) {
    return nullptr;
  }
  module->info = std::move(*info);
  if (names_) {
    const Fd root = open_root(process_folder);
    add_symbols(*module, root.get());
  }
  const std::lock_guard lock(mutex_);
  modules_[key] = module;
  return module;
}

void ModuleTable::forget_closed() {
  std::erase_if(modules_, [](const auto& one) { return one.second.expired(); });
}

std::size_t ModuleTable::open_files() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(modules_, [](const auto& one) { return !one.second.expired(); }));
}

std::uint64_t ModuleTable::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

}  // namespace memcrest
