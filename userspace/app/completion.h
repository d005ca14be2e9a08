// SPDX-License-Identifier: Apache-2.0
// What shells and manual pages say of the command line, from the same options that --help shows. Pure.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace memcrest {

enum class Shell { kBash, kZsh, kFish };

// A script that the shell reads.
[[nodiscard]] std::string completion_script(const CLI::App& app, Shell shell);

// A page in roff: of the program where `verb` is nullptr, else of that verb of it.
[[nodiscard]] std::string manual_page(const CLI::App& app, const CLI::App* verb);

}  // namespace memcrest
