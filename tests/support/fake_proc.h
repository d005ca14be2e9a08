// SPDX-License-Identifier: Apache-2.0
// Tasks in a fake host's /proc, as far as anything here reads them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/fake_cgroups.h"

namespace memcrest::testing_support {

struct FakeTask {
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::string name;
  char state = 'S';
  std::string wchan;
  std::string stack = {};  // empty: may not be read
};

inline void put_task(const FakeCgroups& host, const FakeTask& task) {
  const std::string proc = host.root().proc + "/";
  // Linux shows a thread under its own number as well, though not in a listing.
  const std::string own = proc + std::to_string(task.tid);
  const std::string folder = proc + std::to_string(task.pid) + "/task/" + std::to_string(task.tid);
  std::filesystem::create_directories(own);
  std::filesystem::create_directories(folder);
  std::ofstream(own + "/status") << "Name:\t" << task.name << "\nUmask:\t0022\nState:\t" << task.state
                                 << " (some words)\nTgid:\t" << task.pid << "\nPid:\t" << task.tid << "\n";
  std::ofstream(folder + "/wchan") << task.wchan;
  if (!task.stack.empty()) {
    std::ofstream(folder + "/stack") << task.stack;
  }
}

}  // namespace memcrest::testing_support
