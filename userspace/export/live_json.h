// SPDX-License-Identifier: Apache-2.0
// Rows of `memcrest top` and of the agent's /api/v1/usage as JSON and back: a line of docs/ps.schema.json with a member
// `live`. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/live.h"
#include "util/result.h"

namespace memcrest {

// One line without its end.
[[nodiscard]] std::string to_json(const LiveRow& row, std::int64_t unix_ns);
// What /api/v1/usage/{cgroup id} answers: the row's object with members `points`, `growers`, `kinds`, `incidents`.
[[nodiscard]] std::string to_json(const LiveDetail& detail, std::int64_t unix_ns);

// The first line of /api/v1/usage: all of the snapshot but its rows.
[[nodiscard]] std::string head_to_json(const LiveSnapshot& snapshot);

// Anybody may have written it: bounded as incident_reader.h says; EBADMSG names the first field that does not fit.
[[nodiscard]] Result<LiveRow> live_row_from_json(std::string_view line);
[[nodiscard]] Result<LiveDetail> live_detail_from_json(std::string_view json);
[[nodiscard]] Result<LiveSnapshot> live_head_from_json(std::string_view line);
// What /api/v1/incidents answers, without those that cannot be read.
[[nodiscard]] Result<std::vector<Incident>> incidents_from_json(std::string_view json);
struct IncidentPage {
  std::vector<Incident> incidents;
  std::uint64_t unreadable = 0;
  std::optional<std::uint64_t> next;  // of the page that follows, with older ones
};
[[nodiscard]] Result<IncidentPage> incident_page_from_json(std::string_view json);

}  // namespace memcrest
