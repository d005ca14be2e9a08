// SPDX-License-Identifier: Apache-2.0
// Text that a process writes about its own code (/tmp/perf-PID.map), and the kernel about its mappings.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "symbol/demangle.h"
#include "symbol/perf_map.h"
#include "symbol/process_maps.h"
#include "util/fd.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace memcrest;  // NOLINT(google-build-using-namespace)
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Fd file(::memfd_create("map", MFD_CLOEXEC));
  if (::write(file.get(), data, size) != static_cast<ssize_t>(size)) {
    return 0;
  }
  std::vector<FunctionAt> wanted;
  for (std::uint64_t address = 0x7f0000000000; address < 0x7f0000004000; address += 0x80) {
    wanted.push_back({address, {}, 0});
  }
  if (!find_in_perf_map(file.get(), wanted)) {
    std::abort();
  }
  for (const FunctionAt& one : wanted) {
    if (one.name.size() > 1024) {
      std::abort();
    }
  }
  const auto mappings = parse_code_mappings(text);
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    if (mappings[i].begin >= mappings[i].end || (i > 0 && mappings[i - 1].begin > mappings[i].begin)) {
      std::abort();
    }
  }
  static_cast<void>(find_mapping(mappings, 0x55a0c0001000));
  static_cast<void>(demangle(std::string(text.substr(0, text.find('\n')))));
  return 0;
}
