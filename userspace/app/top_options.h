// SPDX-License-Identifier: Apache-2.0
// The options of `memcrest top`.
#pragma once

#include "app/options.h"

namespace CLI {
class App;
}

namespace memcrest {

CLI::App* add_top(CLI::App& app, TopOptions& options);

}  // namespace memcrest
