// SPDX-License-Identifier: Apache-2.0
// Files with code that processes have mapped, held open: what a process ran can be named after it has died, whatever
// has become of its file system. Files are opened as the process has them mapped (map_files), or by their path inside
// its root directory, which no link leads out of.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memcrest/event.h"
#include "symbol/elf_file.h"
#include "symbol/process_maps.h"
#include "util/fd.h"

namespace memcrest {

struct ModuleName {
  std::string text;     // empty: not known
  bool framed = false;  // the function sets up a frame of its own
};

struct Module {
  std::string path;  // as the process has it
  Fd file;
  ElfInfo info;
  Fd debug_file;  // with more symbols; may be none
  ElfInfo debug_info;
  std::map<std::uint64_t, ModuleName> names;  // by address, as far as they were looked up; of one thread only
};

// The open files, each once. Thread-safe. Bounded: past `most` no more are opened until others go.
class ModuleTable {
 public:
  explicit ModuleTable(std::size_t most, std::vector<std::string> debug_dirs)
      : most_(most), debug_dirs_(std::move(debug_dirs)) {}
  // Of which nobody wants the names of functions.
  explicit ModuleTable(std::size_t most) : most_(most), names_(false) {}

  // The file that this process has mapped there. nullptr: it cannot be had, or is no ELF file.
  [[nodiscard]] std::shared_ptr<Module> open(const std::string& process_folder, const CodeMapping& mapping);
  [[nodiscard]] std::size_t open_files() const;
  // How often a file was not opened since too many were.
  [[nodiscard]] std::uint64_t refused() const;

 private:
  struct FileKey {
    std::uint64_t device, inode, size;
    std::int64_t changed_s, changed_ns;
    auto operator<=>(const FileKey&) const = default;
  };
  void add_symbols(Module& module, int root) const;
  void forget_closed();

  std::size_t most_;
  bool names_ = true;
  std::vector<std::string> debug_dirs_;
  mutable std::mutex mutex_;
  std::map<FileKey, std::weak_ptr<Module>> modules_;
  std::uint64_t refused_ = 0;
};

// A regular file by its path inside `root`, a directory: links are followed as a process with that root would.
[[nodiscard]] Fd open_in_root(int root, const std::string& path);
// /proc/PID/root.
[[nodiscard]] Fd open_root(const std::string& process_folder);

}  // namespace memcrest
