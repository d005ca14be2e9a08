// SPDX-License-Identifier: Apache-2.0
// The options of recordings: of the verb record, and of the flight recorder beside watch.
#pragma once

#include <string>
#include <vector>

#include "app/options.h"

namespace CLI {
class App;
}

namespace memcrest {

// What they are given must outlive the parsing.
CLI::App* add_record(CLI::App& app, WatchOptions& options, std::vector<std::string>& command);
void add_flight(CLI::App& verb, RecordOptions& options);
// After the whole line is known: record's filter, or the command that it runs. Throws CLI::ValidationError where
// options contradict each other.
void check_record(const CLI::App& verb, Options& options, const std::vector<std::string>& command);

}  // namespace memcrest
