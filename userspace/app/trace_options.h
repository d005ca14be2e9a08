// SPDX-License-Identifier: Apache-2.0
// The options of all verbs that hook the kernel.
#pragma once

#include <string>

#include "app/options.h"

namespace CLI {
class App;
}

namespace memcrest {

// `trace` must outlive the parsing.
void add_trace(CLI::App& app, TraceOptions& trace);
// Throws CLI::ValidationError where two options contradict each other.
void check_trace(const TraceOptions& trace);
void add_btf(CLI::App& app, std::string& target);

}  // namespace memcrest
