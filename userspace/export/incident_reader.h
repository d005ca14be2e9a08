// SPDX-License-Identifier: Apache-2.0
// The way back from docs/incident.schema.json: a line of JSON, which anybody may have written, to an incident. Pure,
// thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "memcrest/incident.h"
#include "util/result.h"

namespace memcrest {

// What is missing or null keeps "not known", fields of a newer version are left aside. An error (EBADMSG) names the
// first field whose value it cannot be. Time and memory are bounded: more than 4 MiB of JSON, objects of more than 4096
// members and anything nested deeper than 32 are refused. to_json() of the result is the line again, byte for byte, if
// this version of memcrest wrote it.
[[nodiscard]] Result<Incident> incident_from_json(std::string_view line);

// The same JSON as one line that to_json() could have written, fields of a newer version included: what may stand in
// another document. Refused and bounded as above.
[[nodiscard]] Result<std::string> clean_json_line(std::string_view line);

}  // namespace memcrest
