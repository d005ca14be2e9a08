// SPDX-License-Identifier: Apache-2.0
// Who ended a process, and why it was no OOM: the part of the verdict for ends by a signal. Pure.
#pragma once

#include <string>

#include "memcrest/incident.h"

namespace memcrest {

// Whether a process of this name kills for want of memory, before the kernel does. Anybody can take such a name.
[[nodiscard]] bool is_early_killer(const std::string& comm);
// The same where it is one for certain: of the host, and root's or a service of the system of that name.
[[nodiscard]] bool is_early_killer(const Sender& sender);
// For an incident that has an `end`.
[[nodiscard]] JudgedCause judge_end(const Incident& incident);
// Of such a cause, two sentences with their figures; what to do, empty: nothing.
[[nodiscard]] std::string end_sentence(const Incident& incident, Cause cause);
[[nodiscard]] std::string end_remedy(const Incident& incident, Cause cause);

}  // namespace memcrest
