// SPDX-License-Identifier: Apache-2.0
// Settings of language runtimes and servers that bound or multiply memory, read from a command line. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memcrest/verdict.h"

namespace memcrest {

// What `cmdline` (one line, as an incident has it) sets for the program that it starts. Values that are no plain
// numbers, sizes or percentages are left out; at most 16.
[[nodiscard]] std::vector<RuntimeSetting> settings_of(std::string_view cmdline);

}  // namespace memcrest
