// SPDX-License-Identifier: Apache-2.0
#include "report/report_markdown.h"

#include <algorithm>

#include "report/report_text.h"
#include "util/signal_name.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"
#include "view/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kLongest = 300;  // columns of one piece of text
constexpr std::size_t kMaxRows = 50;
constexpr std::size_t kMaxGrown = 10;

std::size_t longest_run(std::string_view text, char what) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == what ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

std::string percent_of(std::uint64_t part, std::optional<std::uint64_t> whole) {
  if (!whole || *whole == 0) {
    return "–";
  }
  if (part > 0 && static_cast<double>(part) / static_cast<double>(*whole) < 0.01) {
    return "under 1 %";
  }
  return std::to_string(
             static_cast<std::uint64_t>(static_cast<double>(part) / static_cast<double>(*whole) * 100 + 0.5)) +
         " %";
}

// What somebody set, so without the digits of a measurement.
std::string setting(std::uint64_t ms) {
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

std::string process(const std::string& comm, std::uint32_t pid) {
  return markdown_code(comm + "[" + std::to_string(pid) + "]");
}

std::string size_or(const std::optional<std::uint64_t>& bytes, const char* otherwise) {
  return bytes ? format_size(*bytes) : otherwise;
}

void put_recording(std::string& out, const Report& report) {
  const RecordingFacts& facts = report.recording;
  const RecordingSummary& summary = facts.summary;
  out += "# memcrest report\n\n| | |\n|---|---|\n";
  out += "| recording | " + markdown_code(facts.file) + ", made by memcrest " + markdown_code(facts.memcrest_version) +
         " |\n";
  out += "| host | " + markdown_code(facts.host.name) + ", kernel " + markdown_code(facts.host.kernel) + " |\n";
  if (summary.first && summary.last) {
    out += "| recorded | " + words_of_time(summary.first->unix_ns) + " to " + words_of_time(summary.last->unix_ns) +
           ", " + std::to_string(summary.steps) + " steps |\n";
  }
  for (const std::string& note : facts.notes) {
    out += "| | " + markdown_code(note) + " |\n";
  }
  out += "| evidence | " + std::string(facts.gaps.empty() ? "complete" : "**not complete**") + ", charges " +
         markdown_code(facts.charge_tier) + ", oom " + markdown_code(facts.oom_tier) +
         ", lost: " + describe(summary.lost) + " |\n";
  out += "| incidents | " + count_of(report) + " |\n";
  for (const std::string& gap : facts.gaps) {
    out += "\n- " + markdown_code(gap);
  }
  out += facts.gaps.empty() ? "" : "\n";
  if (const std::string more = words_of_left_out(report); !more.empty()) {
    out += "\n" + more + "\n";
  }
}

void put_list(std::string& out, const Report& report) {
  const bool unreadable =
      std::ranges::any_of(report.incidents, [](const auto& one) { return !one.unreadable.empty(); });
  if (report.incidents.size() < 2 && !unreadable) {
    return;
  }
  out += "\n| time (UTC) | what | where | id |\n|---|---|---|---|\n";
  for (const ReportedIncident& one : report.incidents) {
    out += one.unreadable.empty() ? "| " + words_of_time(one.incident.unix_ns) + " | " + words_of_kind(one.incident) +
                                        " | " + markdown_code(name_of(one.incident))
                                  : "| | unreadable | " + markdown_code(one.unreadable);
    out += " | " + markdown_code(one.id) + " |\n";
  }
}

// Below a table that was cut.
std::string words_of_more(std::size_t all, std::size_t shown) {
  return all > shown ? "\n… and " + std::to_string(all - shown) + " more\n" : "";
}

void put_victims(std::string& out, const Incident& incident) {
  if (incident.victims.empty()) {
    return;
  }
  out += "\n| killed | anon | file | shmem | swap | page tables | oom_score_adj |\n|---|--:|--:|--:|--:|--:|--:|\n";
  for (std::size_t i = 0; i < std::min(incident.victims.size(), kMaxRows); ++i) {
    const Victim& victim = incident.victims[i];
    out += "| " + process(victim.cmdline.empty() ? victim.comm : victim.cmdline, victim.pid) +
           (victim.main_process ? " (main process)" : "") + " | " + format_size(victim.anon_bytes) + " | " +
           format_size(victim.file_bytes) + " | " + format_size(victim.shmem_bytes) + " | " +
           format_size(victim.swap_bytes) + " | " + format_size(victim.pagetable_bytes) + " | " +
           std::to_string(victim.oom_score_adj) + " |\n";
  }
  out += words_of_more(incident.victims.size(), kMaxRows);
}

void put_growth(std::string& out, const ReportedIncident& one) {
  const auto processes = one.detail.growth.processes();
  if (processes.empty()) {
    return;
  }
  out += "\n| who grew it | growth | share |\n|---|--:|--:|\n";
  for (std::size_t i = 0; i < std::min(processes.size(), kMaxGrown); ++i) {
    const GrownProcess& grown = processes[i];
    out += "| " + (grown.process.tgid == 0 ? "nobody that a step names" : process(grown.comm, grown.process.tgid)) +
           " | " + format_size(grown.bytes) + " | " + percent_of(grown.bytes, one.detail.growth.total_bytes()) + " |\n";
  }
  out += words_of_more(processes.size(), kMaxGrown);
}

void put_samplers(std::string& out, const Incident& incident) {
  if (incident.samplers.empty()) {
    return;
  }
  out +=
      "\n| sampler | looks every | last showed about | of the limit | chance to see the burst "
      "|\n|---|--:|--:|--:|--:|\n";
  for (const SamplerView& view : incident.samplers) {
    const double chance = view.chance_seen >= 0 && view.chance_seen <= 1 ? view.chance_seen : 0;
    out += "| " + markdown_code(view.name) + " | " + setting(view.interval_ms) + " | " +
           (view.typical_seen_bytes == 0 ? "nothing yet" : format_size(view.typical_seen_bytes)) + " | " +
           percent_of(view.typical_seen_bytes, incident.limit.bytes) + " | " +
           percent_of(static_cast<std::uint64_t>(chance * 1000), 1000) + " |\n";
  }
}

// Its workers are one line each, as in the terminal; single processes have a table of their own.
bool is_pool(const Burst& burst) { return !burst.programs.empty() && burst.programs.front().processes > 1; }

void put_facts(std::string& out, const Incident& incident) {
  out += "| | |\n|---|---|\n";
  const auto row = [&](const char* label, const std::string& text) {
    out += "| " + std::string(label) + " | " + text + " |\n";
  };
  const Container& container = incident.container;
  row("time", format_rfc3339(incident.unix_ns));
  row("where", std::string(container.runtime == Runtime::kNone ? "no container" : to_string(container.runtime)) +
                   (container.id.empty() ? "" : " " + markdown_code(container.id.substr(0, 12))) +
                   (container.image.empty() ? "" : ", image " + markdown_code(container.image)));
  if (container.pod && !container.pod->name.empty()) {
    row("pod", markdown_code(container.pod->name_space + "/" + container.pod->name));
  }
  row("cgroup", markdown_code(incident.cgroup.path));
  if (const auto& end = incident.end) {
    row("ended", markdown_code(end->cmdline.empty() ? end->comm : end->cmdline) + ", pid " + std::to_string(end->pid) +
                     (end->main_process ? " (main process)" : "") + ", by **" + signal_name(end->signal) + "**" +
                     (end->sender && !end->by_kernel ? " from " + process(end->sender->comm, end->sender->pid) +
                                                           ", uid " + std::to_string(end->sender->uid)
                                                     : std::string()));
  }
  row("limit", "**" + size_or(incident.limit.bytes, "none known") + "** " +
                   (incident.limit.kind.empty() ? "" : markdown_code(incident.limit.kind)) +
                   (incident.scope == Scope::kAncestor ? (is_limit_of_pod(incident) ? " of its pod " : " of ") +
                                                             markdown_code(incident.limit.cgroup_path)
                                                       : "") +
                   (incident.usage_bytes ? ", in use " + format_size(*incident.usage_bytes) : ""));
  if (const auto& burst = incident.burst) {
    row("grew", "**" + format_size(burst->base_bytes) + " → " + (burst->peak_exact ? "" : "at least ") +
                    format_size(burst->peak_bytes) + "**");
    for (std::size_t i = 0; i < std::min<std::size_t>(burst->programs.size(), 3) && is_pool(*burst); ++i) {
      const Program& one = burst->programs[i];
      row("", (one.processes > 1 ? std::to_string(one.processes) + " × " : "") +
                  markdown_code(one.cmdline.empty() ? one.comm : one.cmdline) + " " + format_size(one.bytes));
    }
  }
  row("evidence", std::string(incident.evidence.complete ? "complete" : "**not complete**") + ", lost " +
                      std::to_string(incident.evidence.lost_critical) + " critical and " +
                      std::to_string(incident.evidence.lost_bulk) + " bulk records");
}

// A sentence of ours that may hold names from outside: no markup of theirs.
std::string prose(std::string_view text) {
  std::string out;
  for (const char c : escape_terminal(text)) {
    out += std::string_view("\\`*_[]<>&|~#!").contains(c) ? std::string{'\\', c} : std::string(1, c);
  }
  return out;
}

// Nothing in the text can end the block.
void put_block(std::string& out, const char* language, const std::string& text) {
  const std::string fence(std::max<std::size_t>(3, longest_run(text, '`') + 1), '`');
  out += "\n" + fence + language + "\n" + text.substr(0, text.find_last_not_of('\n') + 1) + "\n" + fence + "\n";
}

std::string sure(double confidence) {
  return percent_of(static_cast<std::uint64_t>((confidence >= 0 && confidence <= 1 ? confidence : 0) * 1000), 1000) +
         " sure";
}

void put_why(std::string& out, const Incident& incident) {
  if (incident.verdict && !incident.verdict->causes.empty()) {
    out += "\n**Why:** " + prose(incident.verdict->text) + "\n\n";
    for (const JudgedCause& one : incident.verdict->causes) {
      out += "- " + std::string(to_string(one.cause)) + ", " + sure(one.confidence) + "\n";
      for (const std::string& reason : one.reasons_for) {
        out += "  - for it: " + prose(reason) + "\n";
      }
      for (const std::string& reason : one.reasons_against) {
        out += "  - against it: " + prose(reason) + "\n";
      }
    }
  }
  if (incident.advice && !incident.advice->text.empty()) {
    out += "\n**What to do:** " + prose(incident.advice->text) + "\n";
    if (!incident.advice->lines.empty()) {
      std::string clean;  // lines stay lines
      const std::string& text = incident.advice->lines.front().text;
      for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        clean += escape_terminal(std::string_view(text).substr(at, end - at)) + "\n";
        at = end + 1;
      }
      put_block(out, "", clean);
    }
  }
}

void put_composition(std::string& out, const Incident& incident) {
  if (!incident.composition || incident.composition->parts.empty()) {
    return;
  }
  out += "\n| the memory was | size | of the limit |\n|---|--:|--:|\n";
  for (const CompositionPart& part : incident.composition->parts) {
    out += "| " + markdown_code(part.name) + " | " + format_size(part.bytes) + " | " +
           percent_of(part.bytes, incident.limit.bytes) + " |\n";
  }
}

// The story as the terminal tells it, in a block that nothing in it can end.
void put_story(std::string& out, const Incident& incident) {
  Incident whole = incident;
  whole.update.clear();
  put_block(out, "text", to_text(whole, TextStyle{}));
}

void put_incident(std::string& out, const ReportedIncident& one) {
  const Incident& incident = one.incident;
  out += "\n## " + words_of_kind(incident) + ": " + markdown_code(name_of(incident)) + "\n\n";
  put_facts(out, incident);
  put_why(out, incident);
  put_composition(out, incident);
  put_victims(out, incident);
  put_growth(out, one);
  put_samplers(out, incident);
  for (const std::string& gap : incident.evidence.gaps) {
    out += (gap == incident.evidence.gaps.front() ? "\n- " : "- ") + markdown_code(gap) + "\n";
  }
  put_story(out, incident);
}

}  // namespace

std::string markdown_code(std::string_view text) {
  std::string clean = truncate_middle(escape_terminal(text), kLongest);
  if (clean.find_first_not_of(' ') == std::string::npos) {
    return "unknown";
  }
  const std::string fence(longest_run(clean, '`') + 1, '`');
  std::string out;
  for (const char c : clean) {  // a table's cells are divided before code is looked for
    out += c == '|' ? "\\|" : std::string(1, c);
  }
  const bool pad = out.front() == '`' || out.back() == '`' || (out.front() == ' ' && out.back() == ' ');
  return fence + (pad ? " " : "") + out + (pad ? " " : "") + fence;
}

std::string to_markdown(const Report& report) {
  std::string out;
  put_recording(out, report);
  put_list(out, report);
  for (const ReportedIncident& one : report.incidents) {
    if (one.unreadable.empty()) {
      put_incident(out, one);
    }
  }
  return out;
}

}  // namespace memcrest
