// SPDX-License-Identifier: Apache-2.0
// Names of code that a runtime made while it ran, as it writes them to /tmp/perf-PID.map: "start size name" per line,
// in hex. Written by the process itself: any text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "symbol/elf_file.h"

namespace memcrest {

// Fills in names for `wanted`, sorted by address. Of entries that overlap the last one counts: code is replaced. At
// most 64 MiB are read. False: there was more.
bool find_in_perf_map(int fd, std::vector<FunctionAt>& wanted);

}  // namespace memcrest
