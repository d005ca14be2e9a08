// SPDX-License-Identifier: Apache-2.0
// Events as JSON and back, without loss: what a recording keeps of all events but steps. Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "memcrest/event.h"
#include "util/result.h"

namespace memcrest {

// "step", "victim", "log_oom": the name of an event's kind, as in the recording's table `events`.
[[nodiscard]] const char* kind_of(const Event& event);

// One object. A field that has its default is left out; text that is no UTF-8 is {"hex":"ff00"}.
[[nodiscard]] std::string event_to_json(const Event& event);

// An error (EBADMSG, and which field) for a kind or a value that this version does not know; fields that it does not
// know are left aside.
[[nodiscard]] Result<Event> event_from_json(std::string_view kind, std::string_view json);

}  // namespace memcrest
