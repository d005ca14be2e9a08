// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "memcrest/event_source.h"

namespace memcrest {

// "nothing", or each kind of loss with its number, for the last line of whatever a verb prints.
[[nodiscard]] std::string describe(const LossCount& loss);

}  // namespace memcrest
