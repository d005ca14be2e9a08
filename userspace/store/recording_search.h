// SPDX-License-Identifier: Apache-2.0
// Which recording of a directory holds an incident. Any thread.
#pragma once

#include <string>

namespace memcrest {

// The newest one's path; empty: none does, or none that holds it can be read.
[[nodiscard]] std::string find_recording(const std::string& directory, const std::string& incident_id);

}  // namespace memcrest
