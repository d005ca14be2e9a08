// SPDX-License-Identifier: Apache-2.0
// From addresses in a process that lives to places in files: what can be named later, when the process is gone. And the
// judgement which of a stack's addresses are to be believed: without frame pointers the kernel's walk reads whatever
// lies where one should be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/event.h"
#include "symbol/module.h"
#include "symbol/process_maps.h"
#include "util/fd.h"

namespace memcrest {

struct CodePlace {
  std::shared_ptr<Module> module;  // nullptr: no file, or it could not be had
  std::string label;               // without a module: "[vdso]", "[jit]", or the file's path
  std::uint64_t address = 0;       // as the module counts; of the process itself without one. Of the call
};

struct PlacedStack {
  std::vector<CodePlace> places;  // innermost first
  bool cut = false;               // what follows was no return address: there are no frame pointers
  bool full = false;              // as deep as the kernel looks: there may be more
};

// What is known of one process, as of the last look.
struct ProcessCode {
  bool known = false;  // false: it was gone
  std::vector<CodeMapping> mappings;
  std::vector<std::shared_ptr<Module>> modules;  // of each mapping; nullptr: not opened (yet)
  std::shared_ptr<Fd> perf_map;                  // names of its JIT code; nullptr: none
};

// Whether these bytes, which end where a return address points to, may be those of a call.
[[nodiscard]] bool ends_in_call(std::string_view code, std::uint16_t machine);

// Whether this function, which begins there, sets up a frame as its first act. Without one its caller's address is
// where a walk along frame pointers does not look.
[[nodiscard]] bool begins_with_frame(const Module& module, std::uint64_t address);

// Reads the mappings of this process and opens the files that `stack` lies in. May hang for as long as the process or
// its file system does.
[[nodiscard]] ProcessCode look_at_process(const std::string& proc_root, const TaskInfo& task,
                                          const std::vector<std::uint64_t>& stack, ModuleTable& modules);

// Opens the files of further addresses; false: one lies in no mapping that is known.
[[nodiscard]] bool open_modules(const std::string& proc_root, const TaskInfo& task,
                                const std::vector<std::uint64_t>& stack, ModuleTable& modules, ProcessCode& code);

// All that this stack lies in is open already: nothing has to be asked of the process.
[[nodiscard]] bool all_open(const ProcessCode& code, const std::vector<std::uint64_t>& stack);

// `deepest`: as many addresses as the kernel gives at most.
[[nodiscard]] PlacedStack place_stack(const ProcessCode& code, const std::vector<std::uint64_t>& stack,
                                      std::size_t deepest);

}  // namespace memcrest
