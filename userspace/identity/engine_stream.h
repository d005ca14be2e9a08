// SPDX-License-Identifier: Apache-2.0
// How the event stream of one runtime's daemon fares, in words for a person. A daemon that is not installed is no news;
// one that is there, or was, and cannot be followed is. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/runtime_events.h"
#include "memcrest/container.h"

namespace memcrest {

struct EngineStream {
  std::string engine;  // "Docker"
  Runtime runtime = Runtime::kUnknown;
  RuntimeEventsState state;
};

// It was tried, and is not connected at present. One that was never there is down too.
[[nodiscard]] bool is_down(const EngineStream& stream);
// No socket, and never a connection: most likely not installed.
[[nodiscard]] bool was_never_there(const EngineStream& stream);

// What this incident's container may lack since its daemon cannot be followed; empty: nothing. As last_error: not
// escaped.
[[nodiscard]] std::string stream_gap(const std::vector<EngineStream>& streams, const Container& container,
                                     std::string_view cgroup_path);
// For a summary, one text for each that is, or was, not followed or not understood.
[[nodiscard]] std::vector<std::string> stream_troubles(const std::vector<EngineStream>& streams);

}  // namespace memcrest
