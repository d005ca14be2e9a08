// SPDX-License-Identifier: Apache-2.0
// One `memcrest watch --json`, as a user would start it, and the incidents that it wrote.
#pragma once

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "util/fd.h"

namespace memcrest::scenarios {

using Json = nlohmann::json;

class Watch {
 public:
  // Started, and attached unless it ended at once: see attached(). `sign` is what it says then.
  explicit Watch(const std::vector<std::string>& argv, const std::string& sign = "watching");
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  [[nodiscard]] bool attached() const { return attached_; }
  // Ends it as a user would; the exit code, -1 when it had to be killed or died of a signal.
  int stop();
  [[nodiscard]] std::vector<Json> incidents() const;
  [[nodiscard]] std::size_t bad_lines() const;  // on standard output, that are no incident
  [[nodiscard]] std::string log() const;        // what it said on standard error

 private:
  void read_lines(int fd, bool is_log);

  pid_t pid_ = -1;
  bool attached_ = false;
  int exit_code_ = -1;
  Fd out_;
  Fd err_;
  mutable std::mutex mutex_;
  std::vector<Json> incidents_;
  std::size_t bad_lines_ = 0;
  std::string log_;
  std::vector<std::thread> readers_;
};

// Runs a command to its end; standard output, and the exit code in *code.
std::string output_of(const std::vector<std::string>& argv, int* code);

}  // namespace memcrest::scenarios
