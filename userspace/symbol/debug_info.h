// SPDX-License-Identifier: Apache-2.0
// Functions, source lines and inlined calls by build id, from files with debug information that a user has at hand: for
// incidents of other machines, and of programs that were stripped. Here libdw reads, on the files of directories that
// the user named; the agent, which meets the files of containers, never does (ADR 0016).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/stack.h"
#include "util/result.h"

namespace memcrest {

struct DebugInfoSettings {
  std::vector<std::string> dirs;    // by build id (DIR/.build-id/ab/cdef.debug), and whatever else lies in them
  std::string debuginfod;           // URLs of servers, separated by blanks, to be asked last; empty: none is asked
  std::size_t max_files = 200'000;  // looked at in the directories
  std::size_t max_open = 64;        // modules whose files are open at once
};

// One thread.
class DebugInfo {
 public:
  // Errors: a directory that cannot be read, or no library for debuginfod.
  [[nodiscard]] static Result<DebugInfo> open(DebugInfoSettings settings);
  ~DebugInfo();
  DebugInfo(DebugInfo&&) noexcept;
  DebugInfo& operator=(DebugInfo&&) noexcept;

  // The frame with what was found, after those that were inlined into it, innermost first; the frame alone, as it was,
  // where nothing is known of its module. Names stay, where there were some, but those of inlined functions.
  [[nodiscard]] std::vector<Frame> expand(const Frame& frame);
  // The same for a stack.
  void expand(std::vector<Frame>& frames);

  struct Counts {
    std::uint64_t frames = 0;  // with a build id and an offset
    std::uint64_t named = 0;   // of them, at last
    std::uint64_t lines = 0;   // of them, with a line
    bool cut = false;          // the directories hold more than was looked at
    int server_error = 0;      // errno of the last question that the servers did not answer; 0: they did
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  // Of which no file was found: its build id and one path.
  [[nodiscard]] const std::map<std::string, std::string>& missing() const { return missing_; }

 private:
  class Module;
  class Server;
  explicit DebugInfo(DebugInfoSettings settings);
  [[nodiscard]] std::vector<std::string> files_of(const std::string& build_id);
  [[nodiscard]] std::vector<Module*> modules_of(const std::string& build_id);
  void index();

  DebugInfoSettings settings_;
  std::unique_ptr<Server> server_;
  bool indexed_ = false;
  std::multimap<std::string, std::string> by_build_id_;  // to paths; those with debug information first
  std::map<std::string, std::vector<std::unique_ptr<Module>>> open_;
  std::map<std::string, std::string> missing_;
  Counts counts_;
};

}  // namespace memcrest
