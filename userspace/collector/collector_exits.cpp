// SPDX-License-Identifier: Apache-2.0
// The collector's view of ends by a signal that were no OOM: whose process it was, and who sent the signal.
#include <algorithm>
#include <csignal>

#include "collector/collector.h"
#include "incident/verdict_exit.h"

namespace memcrest {

Sender Collector::sender_of(const TaskInfo& task, const Container& target) {
  const Identity identity = around_.find(task.cgroup_id);
  Sender out;
  out.pid = task.process.tgid;
  out.uid = task.uid;
  out.comm = task.comm;
  out.cmdline = around_.cmdline(task.process);
  out.cgroup_path = identity.cgroup.path;
  out.container_id = identity.container.id;
  out.container_name = identity.container.name;
  out.unit = identity.container.id.empty() ? identity.container.unit : "";
  out.same_container = !target.id.empty() && identity.container.id == target.id;
  return out;
}

void Collector::tell_exit(const ExitFinding& finding) {
  const TaskInfo& task = finding.task;
  Incident incident = begin(IncidentKind::kKill, finding.time_ns, task.cgroup_id);
  // A host has thousands of ends that nobody asks about: those that are in no container for certain are left early.
  const bool early_killer = finding.kill && around_.find(finding.kill->sender.cgroup_id).container.id.empty() &&
                            is_early_killer(finding.kill->sender.comm);
  if (incident.container.id.empty() && !around_.find(task.cgroup_id).pending && !early_killer) {
    return;
  }
  incident.id = id_of(finding.time_ns, task.cgroup_id, task.process.tgid);
  ProcessEnd end;
  end.signal = finding.signal;
  end.core_dumped = finding.core_dumped;
  end.pid = task.process.tgid;
  end.container_pid = task.ns_tgid;
  end.comm = task.comm;
  end.cmdline = around_.cmdline(task.process);
  end.exe = around_.exe(task.process);
  end.uid = task.uid;
  end.left_out = finding.left_out;
  if (finding.kill) {
    end.by_kernel = finding.kill->from_kernel;
    end.without_info = finding.kill->without_info;
    end.sender = sender_of(finding.kill->sender, incident.container);
  }
  if (finding.asked) {
    const std::uint64_t until = finding.kill ? finding.kill->time_ns : finding.time_ns;
    end.asked =
        AskedToEnd{finding.asked->signal, static_cast<double>(until - std::min(until, finding.asked->time_ns)) / 1e6,
                   sender_of(finding.asked->sender, incident.container)};
  }
  if (end.signal == SIGKILL && !end.sender) {
    incident.evidence.gaps.emplace_back("who sent the SIGKILL was not seen: no hook, or its record was lost");
  }
  if (finding.left_out > 0) {
    incident.evidence.gaps.push_back(std::to_string(finding.left_out) +
                                     " ends by a signal in this cgroup before it were left out by the rate limit");
  }
  // As it stood when the signal came: afterwards its memory falls.
  incident.usage_bytes = bursts_.usage_at(task.cgroup_id, finding.kill ? finding.kill->time_ns : finding.time_ns);
  incident.limit = nearest_limit(incident.cgroup.path, around_.number(incident.cgroup.path, settings_.files.limit));
  incident.end = std::move(end);
  hold(std::move(incident), finding.time_ns, {Place{.cgroup_id = task.cgroup_id}}, {});
}

// A crash of a child is its parent's business, as is any end outside of containers; a SIGKILL has a sender that
// somebody wants to know.
bool Collector::is_worth_telling(Incident& incident, const std::vector<Place>& places) {
  ProcessEnd& end = *incident.end;
  // Its files went with it; the runtime has told its limit before.
  if (!incident.limit.bytes || incident.container.memory_limit_bytes.value_or(~0ULL) < *incident.limit.bytes) {
    incident.limit.bytes = incident.container.memory_limit_bytes;
    incident.limit.cgroup_path = incident.cgroup.path;
  }
  if (end.sender && !incident.container.id.empty()) {
    end.sender->same_container = end.sender->container_id == incident.container.id;
  }
  Victim role;
  role.pid = end.pid;
  role.container_pid = end.container_pid;
  judge_role(role, incident.container, places.empty() ? Place{} : places.front());
  end.main_process = role.main_process;
  end.main_process_known = role.main_process_known;
  const bool early_killer = end.sender && end.sender->container_id.empty() && is_early_killer(end.sender->comm);
  const bool told = early_killer || (!incident.container.id.empty() &&
                                     (end.signal == SIGKILL || end.main_process || !end.main_process_known));
  totals_.kills += told ? 1 : 0;
  return told;
}

}  // namespace memcrest
