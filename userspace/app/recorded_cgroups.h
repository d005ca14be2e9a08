// SPDX-License-Identifier: Apache-2.0
// The cgroups and containers that a recording lists, as exporters take them.
#pragma once

#include "export/exported_cgroups.h"
#include "store/recording_reader.h"
#include "util/result.h"

namespace memcrest {

[[nodiscard]] Result<ExportedCgroups> cgroups_of(const RecordingReader& reader);

}  // namespace memcrest
