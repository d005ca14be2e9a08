// SPDX-License-Identifier: Apache-2.0
// The rows of an incident, by the question that they answer. Each leaves out what is not known or does not apply. For
// the sources of this room. Pure.
#pragma once

#include "memcrest/incident.h"
#include "view/layout.h"

namespace memcrest::view {

// Who was hit (text_who.cpp): the killed, the tasks that hang, the ones refused, and who asked.
void put_killed(Layout& page, const Incident& incident);
void put_stuck(Layout& page, const Incident& incident);
void put_refused(Layout& page, const Incident& incident);
void put_trigger(Layout& page, const Incident& incident);
// What ended by a signal without an OOM, and who sent it (text_end.cpp).
void put_end(Layout& page, const Incident& incident);

// A breakpoint that was reached, and what came of it (text_breakpoint.cpp).
void put_breakpoint(Layout& page, const Incident& incident);
void put_breakpoint_end(Layout& page, const Incident& incident);

// What was full (text_full.cpp): the limit, swap, the time lost before, and who holds the machine's memory.
void put_limit(Layout& page, const Incident& incident);
void put_swap(Layout& page, const Incident& incident);
void put_stalled(Layout& page, const Incident& incident);
void put_ranking(Layout& page, const Incident& incident);

// How it grew (text_growth.cpp), and what samplers saw of that.
void put_burst(Layout& page, const Incident& incident);
// Where in programs, and as what (text_stacks.cpp).
void put_origin(Layout& page, const Incident& incident);
// One stack, folded likewise.
void put_frames(Layout& page, const std::vector<Frame>& frames, const std::string& gap);
void put_samplers(Layout& page, const Incident& incident);

// Why it happened and what to do (text_verdict.cpp).
void put_settings(Layout& page, const Incident& incident);
void put_why(Layout& page, const Incident& incident);
void put_do(Layout& page, const Incident& incident);

}  // namespace memcrest::view
