// SPDX-License-Identifier: Apache-2.0
#include "symbol/process_codes.h"

#include <algorithm>
#include <string>
#include <utility>

namespace memcrest {
namespace {

constexpr std::chrono::milliseconds kLookAgain{100};  // at the mappings of one process

}  // namespace

const ProcessCode* ProcessCodes::look(const TaskInfo& task, const std::vector<std::uint64_t>& stack, Time now) {
  const std::string whom = std::to_string(task.cgroup_id);
  const auto known = processes_.find(task.process);
  if (known != processes_.end()) {
    Process& process = known->second;
    process.used = now;
    if (all_open(process.code, stack)) {
      return &process.code;
    }
    auto more =
        patience_.run(whom, [proc = root_.proc, task, stack, modules = modules_, code = process.code]() mutable {
          const bool all = open_modules(proc, task, stack, *modules, code);
          return std::pair(all, std::move(code));
        });
    if (!more) {
      return nullptr;
    }
    process.code = std::move(more->second);
    if (more->first || now - process.looked < kLookAgain) {
      return &process.code;
    }
  }
  if (known == processes_.end() && processes_.size() >= most_) {
    processes_.erase(std::ranges::min_element(processes_, {}, [](const auto& one) { return one.second.used; }));
  }
  auto code = patience_.run(whom, [proc = root_.proc, task, stack, modules = modules_] {
    return look_at_process(proc, task, stack, *modules);
  });
  if (!code || !code->known) {
    return known == processes_.end() ? nullptr : &known->second.code;
  }
  Process& process = processes_[task.process];
  process = {std::move(*code), now, now};
  return &process.code;
}

void ProcessCodes::forget_before(Time used) {
  std::erase_if(processes_, [&](const auto& one) { return one.second.used < used; });
}

}  // namespace memcrest
