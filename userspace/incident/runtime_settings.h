// SPDX-License-Identifier: Apache-2.0
// Settings of language runtimes and servers that bound or multiply memory, read from a command line or an environment.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/verdict.h"

namespace memcrest {

// What `cmdline` (one line, as an incident has it) sets for the program that it starts. Values that are no plain
// numbers, sizes or percentages are left out; at most 16.
[[nodiscard]] std::vector<RuntimeSetting> settings_of(std::string_view cmdline);

// Of an environment as the kernel has it (NAME=VALUE, each ends in NUL) only what says something of memory: from an
// allow-list of names, and of variables that hold options only the options that are known. "NAME=VALUE NAME=VALUE", and
// a variable with two such options stands there twice. Nothing else of it is to be kept anywhere: it holds secrets.
[[nodiscard]] std::string memory_environment(std::string_view raw);
// What such a line sets for the program that runs (`cmdline` as above, `exe` its path): variables are inherited by many
// that do not read them. Whether a program is Go's or .NET's cannot be told by its name: interpreters and shells are
// not. `RuntimeSetting::from` is the variable. At most 16.
[[nodiscard]] std::vector<RuntimeSetting> settings_of_environment(std::string_view line, std::string_view cmdline,
                                                                  std::string_view exe);

// What holds for one process: of settings of the same thing the one that its runtime obeys.
[[nodiscard]] std::vector<RuntimeSetting> effective_settings(std::string_view cmdline, std::string_view environment,
                                                             std::string_view exe);

// The first that lets one heap alone fill `limit` bytes; null: none.
[[nodiscard]] const RuntimeSetting* heap_above(const std::vector<RuntimeSetting>& settings, std::uint64_t limit);

}  // namespace memcrest
