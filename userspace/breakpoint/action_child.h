// SPDX-License-Identifier: Apache-2.0
// A command that is run while a process is held: bounded in time and in what it may write, in a process group of its
// own, its output in a file.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/result.h"

namespace memcrest {

struct ActionCommand {
  std::vector<std::string> argv;         // argv[0] is searched in PATH
  std::vector<std::string> environment;  // "NAME=VALUE", added to ours
  int input = -1;                        // a descriptor; -1: nothing
  std::string output;                    // file that gets its output; created with 0600
  std::uint64_t most_bytes = 0;          // of each file that it writes
  std::chrono::nanoseconds most_time{};
};

class ActionChild {
 public:
  [[nodiscard]] static Result<ActionChild> start(const ActionCommand& command);
  ActionChild(const ActionChild&) = delete;
  ActionChild& operator=(const ActionChild&) = delete;
  ActionChild(ActionChild&& other) noexcept;
  ActionChild& operator=(ActionChild&& other) noexcept;
  ~ActionChild();  // ends it, and all of its group

  // How it ended, in words; empty: it runs. Ends it when its time is over, by itself or by who asks.
  [[nodiscard]] std::string look(bool time_is_over = false);
  // Also the number of its process group; of one that has ended -1.
  [[nodiscard]] pid_t pid() const { return pid_; }
  // After look() told: it ended with 0.
  [[nodiscard]] bool succeeded() const { return succeeded_; }

 private:
  ActionChild() = default;
  void end();
  pid_t pid_ = -1;
  std::string name_;
  std::string ended_;
  bool succeeded_ = false;
  std::chrono::steady_clock::time_point until_;
};

// Whether a program of this name is in PATH.
[[nodiscard]] bool is_in_path(const std::string& name);

}  // namespace memcrest
