// SPDX-License-Identifier: Apache-2.0
// The advised limits as one document for a tool: a shell script of `docker update`, a Compose file to merge, patches
// for kubectl. Everything from outside is quoted for where it goes; what is left out is said in comments. Pure.
#pragma once

#include <string>

#include "sizing/sizing.h"

namespace memcrest {

enum class LineFormat { kDocker, kCompose, kKubernetes };

[[nodiscard]] std::string to_lines(const SizingReport& report, LineFormat format);

}  // namespace memcrest
