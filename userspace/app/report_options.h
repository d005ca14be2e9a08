// SPDX-License-Identifier: Apache-2.0
// The options of the verb report.
#pragma once

#include "app/options.h"

namespace CLI {
class App;
}

namespace memcrest {

// `options` must outlive the parsing.
// Of verbs that show stacks of what was recorded: --debug-dir and --debuginfod.
void add_debug_files(CLI::App& verb, DebugFileOptions& options);
CLI::App* add_report(CLI::App& app, ReportOptions& options);

}  // namespace memcrest
