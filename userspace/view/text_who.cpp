// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <vector>

#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

constexpr std::size_t kVictimsShown = 5;
constexpr std::size_t kStuckShown = 5;
constexpr std::size_t kParentsShown = 4;

void put_victim_role(Layout& page, const Incident& incident, const Victim& victim) {
  if (victim.main_process) {
    page.piece(", ", is_container(incident.container.runtime) ? "main process: exit 137" : "main process");
  } else if (!victim.main_process_known) {
    page.piece(", ", "main process or child: not known");
  } else if (is_container(incident.container.runtime)) {
    const bool main_died = std::ranges::any_of(incident.victims, &Victim::main_process);
    page.piece(", ", main_died ? "a child" : "a child: the container may live on");
  }
}

void put_victim_memory(Layout& page, const Victim& victim) {
  page.row("");
  page.piece("", "anon " + bytes(victim.anon_bytes));
  page.piece(kDot, "file " + bytes(victim.file_bytes));
  page.piece(kDot, "shmem " + bytes(victim.shmem_bytes));
  page.piece(kDot, "swap " + bytes(victim.swap_bytes));
  page.piece(kDot, "page tables " + bytes(victim.pagetable_bytes));
  page.piece(kDot, "oom_score_adj " + std::to_string(victim.oom_score_adj));
}

// From its own parent up to the first process of its container; of a long chain the middle is left out.
void put_parents(Layout& page, const Victim& victim) {
  if (victim.main_process || victim.parents.empty()) {
    return;
  }
  const std::size_t count = victim.parents.size();
  page.row("child of");
  for (std::size_t i = 0; i < count; ++i) {
    const Parent& parent = victim.parents[i];
    const char* joiner = i == 0 ? "" : " → ";
    if (count > kParentsShown && i == kParentsShown - 2) {
      page.piece(joiner, "…");
      i = count - 2;
      continue;
    }
    page.piece(joiner, process(parent.comm, parent.container_pid == 0 ? parent.pid : parent.container_pid));
  }
  if (!victim.parents_complete) {
    page.piece(" → ", "…");
  }
}

void put_victims(Layout& page, const Incident& incident) {
  const std::size_t shown = std::min(incident.victims.size(), kVictimsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Victim& victim = incident.victims[i];
    page.row(i == 0 ? "killed" : "");
    page.piece("", escape_terminal(victim.cmdline.empty() ? victim.comm : victim.cmdline), Tone::kBold);
    page.piece("   ", pid_words(victim.pid, victim.container_pid));
    put_victim_role(page, incident, victim);
    if (incident.victims.size() == 1) {
      put_victim_memory(page, victim);
      put_parents(page, victim);
    } else {
      page.piece(kDot, "anon " + bytes(victim.anon_bytes));
    }
  }
  if (incident.victims.size() > shown) {
    page.row("");
    page.piece("", "+ " + std::to_string(incident.victims.size() - shown) + " more");
  }
}

// Processes of the tasks that hang, in the order given, with how many tasks of each were named.
struct Waiting {
  const Trigger* first = nullptr;
  std::uint64_t tasks = 0;
};

std::vector<Waiting> by_process(const std::vector<Trigger>& tasks) {
  std::vector<Waiting> out;
  std::map<std::uint32_t, std::size_t> known;
  for (const Trigger& task : tasks) {
    const auto [at, fresh] = known.emplace(task.pid, out.size());
    if (fresh) {
      out.push_back({&task, 0});
    }
    ++out[at->second].tasks;
  }
  return out;
}

void put_stuck_tasks(Layout& page, const Stuck& stuck) {
  std::uint64_t told = 0;
  const std::vector<Waiting> processes = by_process(stuck.tasks);
  page.row("");
  for (std::size_t i = 0; i < std::min(processes.size(), kStuckShown); ++i) {
    const Waiting& one = processes[i];
    page.piece(
        i == 0 ? "" : kDot,
        process(one.first->comm, one.first->pid) + (one.tasks > 1 ? ", " + std::to_string(one.tasks) + " threads" : ""),
        Tone::kBold);
    told += one.tasks;
  }
  if (stuck.total_tasks > told) {
    page.piece(kDot, "+ " + counted(stuck.total_tasks - told, "task", "tasks"));
  }
}

// Who asked, in the words of what happened to the request.
const char* trigger_words(const Incident& incident) {
  if (incident.oom && incident.oom->limit_lowered) {
    return ", who set the limit below what was in use";
  }
  return incident.kind == IncidentKind::kChargeFailure ? ", whose request was the last one refused"
                                                       : ", whose allocation found no memory left";
}

}  // namespace

void put_killed(Layout& page, const Incident& incident) {
  put_victims(page, incident);
  if (!incident.oom) {
    return;
  }
  const std::uint64_t kills = incident.oom->kills.value_or(0);
  if (incident.victims.empty() && kills > 0) {
    page.row("killed");
    page.piece("", counted(kills, "process", "processes"), Tone::kBold);
    page.words(", ", "by the cgroup's own count; nothing told which");
  }
  if (incident.oom->group_kill && (!incident.victims.empty() || kills > 0)) {
    page.row("");
    page.words("", "memory.oom.group is set: all processes of the cgroup at once");
  }
}

void put_stuck(Layout& page, const Incident& incident) {
  if (!incident.stuck) {
    return;
  }
  const Stuck& stuck = *incident.stuck;
  page.row("stuck");
  page.piece("", counted(stuck.total_tasks, "task", "tasks"), Tone::kBold);
  if (stuck.ongoing) {
    page.piece(", ", "for " + milliseconds(stuck.duration_ms) + " so far");
  } else {
    page.piece(", ", "for " + milliseconds(stuck.duration_ms));
    page.piece(": ", "over now");
  }
  if (!stuck.tasks.empty()) {
    put_stuck_tasks(page, stuck);
  }
  page.row("");
  page.words("", "memory.oom_control has oom_kill_disable set: nobody is killed, tasks wait until memory is freed");
}

void put_refused(Layout& page, const Incident& incident) {
  if (!incident.charge_failure) {
    return;
  }
  const ChargeFailure& failure = *incident.charge_failure;
  page.row("refused");
  page.piece("", (failure.at_least ? "at least " : "") + counted(failure.count, "time", "times"), Tone::kBold);
  if (failure.count > 1) {
    page.piece(" ", "in " + milliseconds(failure.duration_ms));
  }
  std::string error = escape_terminal(failure.error_name);
  if (error.empty()) {
    error = failure.error == 0 ? "an error" : "error " + std::to_string(failure.error);
  }
  page.words("   ", "the caller got " + error + ", nobody was killed");
  if (failure.bytes || !failure.function.empty()) {
    page.row("");
    page.piece("", failure.count > 1 ? "the last one asked for" : "asked for");
    page.piece(" ", failure.bytes ? bytes(*failure.bytes) : "memory");
    if (!failure.function.empty()) {
      page.piece(" ", "in " + escape_terminal(failure.function));
    }
  }
}

void put_trigger(Layout& page, const Incident& incident) {
  const bool lowered = incident.oom && incident.oom->limit_lowered;
  const bool sysrq = incident.oom && incident.oom->sysrq;
  const auto is_trigger = [&](const Victim& victim) { return victim.pid == incident.trigger->pid; };
  // With sysrq-f it is the kernel thread that carried it out, which says nothing.
  if (!incident.trigger || incident.breakpoint || sysrq ||
      (!lowered && std::ranges::any_of(incident.victims, is_trigger))) {
    return;
  }
  page.row(lowered ? "lowered by" : "asked by");
  page.piece("", escape_terminal(incident.trigger->comm));
  page.piece("   ", "pid " + std::to_string(incident.trigger->pid) + trigger_words(incident));
}

}  // namespace memcrest::view
