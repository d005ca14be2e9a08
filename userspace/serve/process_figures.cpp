// SPDX-License-Identifier: Apache-2.0
#include "serve/process_figures.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "util/fd.h"

namespace memcrest {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::uint64_t read_own_memory(const SystemRoot& root) {
  constexpr std::string_view kKey = "RssAnon:";  // Linux 4.5
  const auto text = read_file(root.proc + "/self/status");
  const auto at = text ? text->find(kKey) : std::string::npos;
  return at == std::string::npos ? 0 : std::strtoull(text->c_str() + at + kKey.size(), nullptr, 10) << 10U;
}

ProcessFigures read_process_figures(const SystemRoot& root) {
  ProcessFigures out;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    out.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (const auto text = read_file(root.proc + "/self/statm")) {
    const auto space = text->find(' ');
    out.resident_bytes = space == std::string::npos ? 0 : std::strtoull(text->c_str() + space, nullptr, 10) * page;
  }
  out.own_bytes = read_own_memory(root);
  std::error_code error;
  const auto count = [&](const char* directory) {
    std::uint64_t entries = 0;
    for (std::filesystem::directory_iterator one(root.proc + directory, error), end; !error && one != end;
         one.increment(error)) {
      ++entries;
    }
    return entries;
  };
  out.open_fds = count("/self/fd");
  out.threads = count("/self/task");
  return out;
}

}  // namespace memcrest
