// SPDX-License-Identifier: Apache-2.0
// The incidents of whatever memcrest wrote: one recording, a directory of them as a flight recorder leaves, or the
// agent's directory with its spool. Nothing in it is trusted. Any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "util/result.h"

namespace memcrest {

struct IncidentSearch {
  std::size_t files = 0;       // that could be read
  std::size_t unreadable = 0;  // that could not
  std::string last_error;
  std::size_t files_left_out = 0;  // at least so many: the oldest, by their names
  std::size_t files_cut = 0;       // of which the oldest tellings were not read
  std::size_t too_long = 0;        // tellings that no incident is as long as
};

// JSON of each telling, those of one file newest first, until `take` returns false. Errors: no such file or directory;
// a single file that cannot be read.
[[nodiscard]] Result<IncidentSearch> search_incidents(const std::string& path,
                                                      const std::function<bool(const std::string& json)>& take);

}  // namespace memcrest
