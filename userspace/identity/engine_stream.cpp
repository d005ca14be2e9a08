// SPDX-License-Identifier: Apache-2.0
#include "identity/engine_stream.h"

#include <algorithm>

#include "identity/bundle_places.h"

namespace memcrest {
namespace {

std::string counted(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

bool is_down(const EngineStream& stream) {
  return !stream.state.connected_since_unix_ns && !stream.state.last_error.empty();
}

bool was_never_there(const EngineStream& stream) { return stream.state.no_socket && stream.state.connections == 0; }

std::string stream_gap(const std::vector<EngineStream>& streams, const Container& container,
                       std::string_view cgroup_path) {
  const auto stream = std::ranges::find(streams, container.runtime, &EngineStream::runtime);
  if (stream == streams.end() || container.id.empty() || !is_down(*stream)) {
    return {};
  }
  // Podman needs no daemon, and a user's is another one than root's.
  const bool podman = container.runtime == Runtime::kPodman;
  if (podman && (was_never_there(*stream) || user_of_cgroup(cgroup_path).value_or(0) != 0)) {
    return {};
  }
  return "how the container ended, or a new name of it, may be missing: the events of " + stream->engine +
         " are not followed: " + stream->state.last_error;
}

std::vector<std::string> stream_troubles(const std::vector<EngineStream>& streams) {
  std::vector<std::string> out;
  for (const EngineStream& stream : streams) {
    const RuntimeEventsState& state = stream.state;
    const std::string whose = "the events of " + stream.engine;
    if (is_down(stream) && !was_never_there(stream)) {
      out.push_back(whose + " are not followed: " + state.last_error);
    } else if (state.connections > 1) {
      out.push_back(whose + " were interrupted " + counted(state.connections - 1, "time"));
    }
    if (state.refused > 0) {
      out.push_back(counted(state.refused, "event") + " of " + stream.engine + " could not be read");
    }
  }
  return out;
}

}  // namespace memcrest
