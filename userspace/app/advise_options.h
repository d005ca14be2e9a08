// SPDX-License-Identifier: Apache-2.0
// The options of the verb advise.
#pragma once

#include "app/options.h"

namespace CLI {
class App;
}

namespace memcrest {

// `options` must outlive the parsing.
CLI::App* add_advise(CLI::App& app, AdviseOptions& options);
// After parsing: throws CLI::ValidationError for what does not go together. Sets what depends on other options.
void check_advise(const CLI::App& verb, AdviseOptions& options);

}  // namespace memcrest
