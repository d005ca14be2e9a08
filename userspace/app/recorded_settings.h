// SPDX-License-Identifier: Apache-2.0
// What a recording says of itself: with what settings and on what machine the collector worked. A replay works with
// the same.
#pragma once

#include <map>
#include <string>

#include "collector/collector.h"
#include "util/result.h"

namespace memcrest {

// For the table `meta` (docs/recording.md).
[[nodiscard]] std::map<std::string, std::string> meta_of(const CollectorSettings& settings);
// An error when there are none, or none that could be.
[[nodiscard]] Result<CollectorSettings> settings_of(const std::map<std::string, std::string>& meta);

}  // namespace memcrest
