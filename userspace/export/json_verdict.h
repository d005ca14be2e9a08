// SPDX-License-Identifier: Apache-2.0
// The verdict, the advice and what they rest on, to JSON and back. For the sources of this room only.
#pragma once

#include "export/json_reader.h"
#include "export/json_value.h"
#include "memcrest/incident.h"

namespace memcrest {

// Adds all of them, null or empty where unset.
void add_verdict(Json& json, const Incident& incident);

void read_verdict(const JsonReader& json, Incident& out);

}  // namespace memcrest
