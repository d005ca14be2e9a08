// SPDX-License-Identifier: Apache-2.0
// Last stage of the path for people: incident -> lines for a terminal. States what was measured, what is not known, and
// the verdict that others judged. Here the frame: whom it is about, and how far to trust it; the rows between are in
// text_parts.h.
#include "view/text.h"

#include <algorithm>
#include <csignal>

#include "identity/label_facts.h"
#include "util/text.h"
#include "util/units.h"
#include "view/layout.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

using namespace view;  // NOLINT(google-build-using-namespace): this room's own words

const char* heading_word(const Incident& incident) {
  if (incident.update == "breakpoint") {
    return "BREAKPOINT OVER";
  }
  if (!incident.update.empty()) {
    return "RUNTIME SAYS";
  }
  switch (incident.kind) {
    case IncidentKind::kOom:
      if (incident.stuck && incident.victims.empty()) {
        return incident.stuck->ongoing ? "STUCK UNDER OOM" : "NO LONGER STUCK UNDER OOM";
      }
      return "OOM KILL";
    case IncidentKind::kBurst:
      return "BURST";
    case IncidentKind::kKill:
      return incident.end && incident.end->signal != SIGKILL && incident.end->signal != SIGTERM ? "CRASH" : "KILL";
    case IncidentKind::kChargeFailure:
      return "MEMORY REFUSED";
    case IncidentKind::kBreakpoint:
      return "BREAKPOINT";
  }
  return "OOM KILL";
}

Tone heading_tone(const Incident& incident) {
  const bool over = incident.stuck && !incident.stuck->ongoing;
  const bool kill = incident.kind == IncidentKind::kOom || incident.kind == IncidentKind::kKill;
  const bool alarm = incident.update.empty() && kill && !is_no_alarm(incident);
  return alarm && !over ? Tone::kAlarm : Tone::kNotice;
}

void put_placement(Layout& page, const Container& container) {
  if (const auto compose = compose_of(container.labels)) {
    const std::string number = compose->number ? "-" + std::to_string(*compose->number) : "";
    page.piece(kDot, escape_terminal("compose " + compose->project + "/" + compose->service + number));
  }
  if (const auto task = ecs_of(container.labels)) {
    const std::string revision = task->revision ? ":" + std::to_string(*task->revision) : "";
    page.piece(kDot, escape_terminal("ecs " + task->cluster + "/" + task->family + revision));
  }
  if (const auto& pod = container.pod; pod && !(pod->name.empty() && pod->uid.empty())) {
    const std::string name = pod->name.empty()         ? pod->uid
                             : pod->name_space.empty() ? pod->name
                                                       : pod->name_space + "/" + pod->name;
    page.piece(kDot, escape_terminal((pod->sandbox ? "sandbox of pod " : "pod ") + name));
    if (pod->owner) {
      page.piece(kDot, escape_terminal(pod->owner->kind + " " + pod->owner->name));
    }
  }
  for (const OuterContainer& outer : container.outer) {
    page.piece(kDot, escape_terminal("inside " + std::string(to_string(outer.runtime)) + " " +
                                     (outer.name.empty() ? outer.id.substr(0, kShortId) : outer.name)));
  }
}

void put_heading(Layout& page, const Incident& incident) {
  const Container& container = incident.container;
  page.heading();
  page.piece("", format_time_of_day(incident.unix_ns), Tone::kDim);
  page.piece(kGap, heading_word(incident), heading_tone(incident));
  if (!container.name.empty()) {
    page.piece("   ", escape_terminal(container.name), Tone::kBold);
  } else if (!is_container(container.runtime) && !incident.cgroup.path.empty()) {
    page.piece("   ", escape_terminal(incident.cgroup.path), Tone::kBold);
  }
  const std::string id = container.id.empty() ? "" : " " + container.id.substr(0, kShortId);
  if (container.runtime == Runtime::kNone) {
    page.piece("   ", "no container");
  } else if (container.runtime == Runtime::kUnknown) {
    page.piece("   ", escape_terminal("runtime unknown" + id));
  } else {
    page.piece("   ", escape_terminal(to_string(container.runtime) + id));
  }
  if (!container.image.empty()) {
    page.piece(kDot, escape_terminal(container.image));
  }
  put_placement(page, container);
}

// Who this is about, when the heading alone cannot say it.
void put_identity(Layout& page, const Incident& incident) {
  const Container& container = incident.container;
  if (!container.unknown_reason.empty()) {
    page.row("unknown");
    page.words("", escape_terminal(container.unknown_reason), Tone::kNotice);
  }
  if (!incident.cgroup.path.empty() && container.name.empty() && is_container(container.runtime)) {
    page.row("cgroup");
    page.piece("", escape_terminal(incident.cgroup.path));
  } else if (incident.cgroup.path.empty() && container.name.empty()) {
    page.row("cgroup");
    page.piece("", "id " + std::to_string(incident.cgroup.id) + ", path unknown");
  }
}

// What the kernel did, beside what the runtime made of it.
std::string kill_words(const Incident& incident) {
  const auto main = std::ranges::find_if(incident.victims, &Victim::main_process);
  if (main != incident.victims.end()) {
    return "its OOM killer killed the main process, " + process(main->comm, main->pid);
  }
  const Victim& first = incident.victims.front();
  const bool known = std::ranges::all_of(incident.victims, &Victim::main_process_known);
  return "its OOM killer killed " + process(first.comm, first.pid) +
         (incident.victims.size() > 1 ? " and " + std::to_string(incident.victims.size() - 1) + " more" : "") +
         (known ? ", not the main process" : "");
}

// The runtime's words and the kernel's deeds.
void put_state(Layout& page, const Incident& incident) {
  if (!incident.container.state) {
    return;
  }
  page.row("state");
  page.words("", escape_terminal(state_words(*incident.container.state)));
  if (!incident.victims.empty()) {
    page.row("kernel");
    page.words("", kill_words(incident));
  } else if (incident.end) {
    page.row("kernel");
    page.words("", "its OOM killer did not kill " + process(incident.end->comm, incident.end->pid));
  }
}

// A runtime that was as fast as the incident is not told of again.
bool state_is_of_this_end(const Incident& incident) {
  const auto& state = incident.container.state;
  return (incident.kind == IncidentKind::kOom || incident.kind == IncidentKind::kKill) && state &&
         ended_after(*state, incident.unix_ns);
}

std::string update_text(const Incident& incident, const TextStyle& style) {
  Layout page(style.columns, style.color);
  put_heading(page, incident);
  if (incident.update == "breakpoint") {
    put_breakpoint_end(page, incident);
  } else {
    put_state(page, incident);
  }
  page.row("incident");
  page.piece("", escape_terminal(incident.id));
  return page.finish() + "\n";
}

std::string loss_words(const Evidence& evidence) {
  if (evidence.lost_critical == 0 && evidence.lost_bulk == 0) {
    return "lost 0";
  }
  return "lost records: " + std::to_string(evidence.lost_critical) + " critical, " +
         std::to_string(evidence.lost_bulk) + " bulk";
}

void put_evidence(Layout& page, const Evidence& evidence) {
  const bool lost = evidence.lost_critical != 0 || evidence.lost_bulk != 0;
  page.row("evidence");
  page.piece("", evidence.complete ? "complete" : "not complete", evidence.complete ? Tone::kPlain : Tone::kNotice);
  page.piece(kDot, "charges " + escape_terminal(evidence.charge_tier));
  page.piece(kDot, "oom " + escape_terminal(evidence.oom_tier));
  page.piece(kDot, loss_words(evidence), lost ? Tone::kNotice : Tone::kPlain);
  for (const auto& gap : evidence.gaps) {
    page.row("");
    page.words("", "- " + escape_terminal(gap));
  }
}

}  // namespace

std::string to_text(const Incident& incident, const TextStyle& style) {
  if (!incident.update.empty()) {
    return update_text(incident, style);
  }
  Layout page(style.columns, style.color);
  put_heading(page, incident);
  put_identity(page, incident);
  put_killed(page, incident);
  put_end(page, incident);
  put_stuck(page, incident);
  put_refused(page, incident);
  put_breakpoint(page, incident);
  put_trigger(page, incident);
  put_limit(page, incident);
  put_swap(page, incident);
  put_stalled(page, incident);
  put_burst(page, incident);
  put_origin(page, incident);
  put_ranking(page, incident);
  put_samplers(page, incident);
  if (state_is_of_this_end(incident)) {
    put_state(page, incident);
  }
  put_settings(page, incident);
  put_why(page, incident);
  put_do(page, incident);
  put_evidence(page, incident.evidence);
  return page.finish() + "\n";
}

}  // namespace memcrest
