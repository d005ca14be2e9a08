// SPDX-License-Identifier: Apache-2.0
// A recording, item by item, into a feed; and what it says of itself that its reader should know.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "export/recording_exporter.h"
#include "export/recording_feed.h"
#include "store/recording_reader.h"
#include "util/result.h"

namespace memcrest {

struct RecordingPass {
  std::optional<Error> damage;  // why reading stopped before the end; what came before was passed
  std::uint64_t items = 0;
};

// Goes on while `go_on` says so.
[[nodiscard]] RecordingPass pass_items(RecordingReader& reader, RecordingFeed& feed,
                                       const std::function<bool()>& go_on);

// Why it is not whole, and what it was meant to hold. Losses are the feed's business.
[[nodiscard]] ExportEnd end_of(const RecordingReader& reader, const std::optional<Error>& damage);

}  // namespace memcrest
