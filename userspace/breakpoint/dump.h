// SPDX-License-Identifier: Apache-2.0
// What --dump writes of a process that is held: which tool it takes, with which arguments, and whether the process must
// run for it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "breakpoint/container_processes.h"
#include "util/fd.h"
#include "util/result.h"
#include "util/system_root.h"

namespace memcrest {

enum class DumpKind {
  kSmaps,   // maps, smaps and status of every process of the container
  kCore,    // a core file of the process, by gcore
  kPython,  // stacks of its threads, by py-spy, or by gdb, which also tells the largest lists
  kJvm,     // its classes by size and its heap, by jcmd: the virtual machine answers by itself
  kNode,    // SIGUSR2: for programs started with --heapsnapshot-signal=SIGUSR2
  kGo,      // SIGQUIT: the runtime prints all goroutines, and ends the program
};

[[nodiscard]] std::optional<DumpKind> parse_dump_kind(std::string_view word);
[[nodiscard]] const char* to_string(DumpKind kind);

// What it takes and is not installed, in words; empty: nothing is missing.
[[nodiscard]] std::string missing_tool(DumpKind kind);
// Whether the process itself has to answer, so that it is resumed for it.
[[nodiscard]] bool wants_it_running(DumpKind kind);
// 0: none.
[[nodiscard]] int signal_of(DumpKind kind);
// For kinds with a tool.
[[nodiscard]] std::vector<std::string> dump_command(DumpKind kind, std::uint32_t pid, const std::string& dir);
// What dump_command() wants to find in `dir`.
[[nodiscard]] Result<void> prepare_dump(DumpKind kind, std::uint32_t pid, std::uint64_t hit_ns, const std::string& dir);

// What a process wrote into /tmp of its own root, which is whatever it likes: no symlink is followed, and the file must
// be a regular one of the process's user.
struct LeftFile {
  Fd directory;
  std::string name;
  Fd file;  // for reading

  // Removes it.
  [[nodiscard]] Result<void> remove() const;
};
// Of the hit at this time: a name that nobody could foresee, so what lies there is of this dump.
[[nodiscard]] Result<LeftFile> left_heap(const ProcessKey& process, std::uint64_t hit_ns, const SystemRoot& root = {});

// Copies maps, smaps and status of these processes into `dir`, at most `most_bytes` in all. How many processes were
// read; what was left out is told in `cut`.
struct SmapsResult {
  std::size_t processes = 0;
  std::uint64_t bytes = 0;
  bool cut = false;
};
[[nodiscard]] Result<SmapsResult> write_smaps(std::span<const ContainerProcess> processes, const std::string& dir,
                                              std::uint64_t most_bytes, const SystemRoot& root = {});

// What may still be written on the file system of this path, in bytes; 0: that is not known.
[[nodiscard]] std::uint64_t room_in(const std::string& path);

// A new directory below `parent` with 0700, for this hit.
[[nodiscard]] Result<std::string> make_output_dir(const std::string& parent, const std::string& name);

}  // namespace memcrest
