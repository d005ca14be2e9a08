// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/process_signal.h"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>

#include <charconv>
#include <memory>
#include <string_view>

#include "util/fd.h"
#include "util/process_start.h"

namespace memcrest {
namespace {

std::string folder_of(const ProcessKey& process, const SystemRoot& root) {
  return root.proc + "/" + std::to_string(process.tgid);
}

bool is_same(const ProcessKey& process, const SystemRoot& root) {
  const auto start = process_start_ns(folder_of(process, root));
  return start && *start == to_tick(process.start_ns);
}

// The letter of /proc/PID/task/TID/stat; 0: it is gone.
char state_letter(const std::string& folder) {
  const auto stat = read_file(folder + "/stat");
  const std::size_t at = stat ? stat->rfind(')') : std::string::npos;
  return at == std::string::npos || at + 2 >= stat->size() ? '\0' : (*stat)[at + 2];
}

}  // namespace

RunState state_of(const ProcessKey& process, const SystemRoot& root) {
  if (!is_same(process, root)) {
    return RunState::kGone;
  }
  const std::string tasks = folder_of(process, root) + "/task";
  const Directory listing(::opendir(tasks.c_str()));
  bool any = false;
  while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    const char letter = state_letter(tasks + "/" + entry->d_name);
    if (letter == 'T') {
      return RunState::kStopped;
    }
    any = any || (letter != '\0' && letter != 'Z' && letter != 'X');
  }
  return any ? RunState::kRuns : RunState::kGone;
}

bool catches(const std::string& proc_folder, int signal) {
  constexpr std::string_view kField = "\nSigCgt:\t";
  const auto status = read_file(proc_folder + "/status");
  const std::size_t at = status ? status->find(kField) : std::string::npos;
  if (at == std::string::npos) {
    return false;
  }
  std::uint64_t mask = 0;
  std::from_chars(status->data() + at + kField.size(), status->data() + status->size(), mask, 16);
  return (mask >> static_cast<unsigned>(signal - 1) & 1U) != 0;
}

bool catches(const ProcessKey& process, int signal, const SystemRoot& root) {
  return catches(folder_of(process, root), signal) && is_same(process, root);
}

Result<void> send_signal(const ProcessKey& process, int signal, const SystemRoot& root) {
  const std::string name = "pid " + std::to_string(process.tgid);
  // Opened first: whoever is there while it is open stays who he is.
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process.tgid), 0)));
  if (!handle) {
    return fail_errno("open", name);
  }
  if (!is_same(process, root)) {
    return fail("send a signal to", name, ESRCH);
  }
  if (::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0) != 0) {
    return fail_errno("send a signal to", name);
  }
  return {};
}

}  // namespace memcrest
