// SPDX-License-Identifier: Apache-2.0
// What this process itself uses, as Prometheus' client libraries tell it.
#pragma once

#include <cstdint>

#include "serve/metrics_text.h"
#include "util/system_root.h"

namespace memcrest {

struct ProcessFigures {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t own_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t threads = 0;
};

// Memory of the process's own: RSS without files (its program) and shared mappings (rings). 0: not known.
[[nodiscard]] std::uint64_t read_own_memory(const SystemRoot& root);
[[nodiscard]] ProcessFigures read_process_figures(const SystemRoot& root);

}  // namespace memcrest
