// SPDX-License-Identifier: Apache-2.0
// A memory breakpoint that was reached: by whom, where in the program, what is done about it, and who else is there.
#include <algorithm>
#include <cstring>

#include "util/signal_name.h"
#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

constexpr std::size_t kProcessesShown = 8;

void put_line(Layout& page, const Breakpoint& hit) {
  page.row("line");
  page.piece("", bytes(hit.line_bytes), Tone::kBold);
  if (!hit.rule.empty() && hit.rule != bytes(hit.line_bytes)) {
    page.piece(kGap, escape_terminal(hit.rule));
  }
  page.piece("   ", hit.overshoot_bytes == 0 ? "met exactly" : "passed by " + bytes(hit.overshoot_bytes));
  if (hit.late) {
    page.piece("   ", "late: usage was read, not seen at the charge", Tone::kNotice);
  }
}

void put_crossed(Layout& page, const Incident& incident) {
  if (!incident.trigger) {
    return;
  }
  const Trigger& thread = *incident.trigger;
  page.row("crossed by");
  page.piece("", escape_terminal(thread.comm), Tone::kBold);
  page.piece("   ", pid_words(thread.pid, thread.container_pid));
  if (thread.tid != thread.pid && thread.tid != 0) {
    page.piece(", ", "thread " + std::to_string(thread.tid));
  }
}

void put_action(Layout& page, const Breakpoint& hit) {
  if (hit.error != 0) {
    page.row("action");
    page.words("",
               signal_name(hit.signal) + " could not be sent from the charge: " + std::strerror(hit.error) +
                   "; it was sent a moment later",
               Tone::kNotice);
  }
  if (!hit.action.empty()) {
    page.row(hit.error != 0 ? "" : "action");
    page.words("", escape_terminal(hit.action));
  }
}

void put_outcome(Layout& page, const Breakpoint& hit) {
  if (!hit.outcome.empty()) {
    page.row("outcome");
    page.words("", escape_terminal(hit.outcome), hit.failed ? Tone::kAlarm : Tone::kPlain);
  }
  if (hit.held_ms > 0) {
    page.row("held");
    page.piece("", milliseconds(hit.held_ms));
  }
  if (!hit.output.empty()) {
    page.row("written to");
    page.words("", escape_terminal(hit.output));
  }
}

void put_processes(Layout& page, const Breakpoint& hit) {
  const std::size_t shown = std::min(hit.processes.size(), kProcessesShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const HeldProcess& one = hit.processes[i];
    page.row(i == 0 ? "processes" : "");
    page.piece("", one.rss_bytes ? bytes(*one.rss_bytes) : "size unknown");
    page.piece(kGap, escape_terminal(truncate_middle(one.cmdline.empty() ? one.comm : one.cmdline, 60)));
    page.piece("   ", pid_words(one.pid, one.container_pid));
    if (one.held) {
      page.piece(kDot, "held");
    }
  }
  if (hit.total_processes > shown) {
    page.row(shown == 0 ? "processes" : "");
    page.piece("", shown == 0 ? counted(hit.total_processes, "process", "processes")
                              : "and " + counted(hit.total_processes - shown, "more", "more"));
  }
}

}  // namespace

void put_breakpoint(Layout& page, const Incident& incident) {
  if (!incident.breakpoint) {
    return;
  }
  const Breakpoint& hit = *incident.breakpoint;
  put_line(page, hit);
  put_crossed(page, incident);
  put_frames(page, hit.frames, hit.stack_gap);
  put_action(page, hit);
  put_outcome(page, hit);
  put_processes(page, hit);
}

void put_breakpoint_end(Layout& page, const Incident& incident) {
  if (incident.breakpoint) {
    put_outcome(page, *incident.breakpoint);
  }
}

}  // namespace memcrest::view
