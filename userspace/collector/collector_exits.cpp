// SPDX-License-Identifier: Apache-2.0
// The collector's view of ends by a signal that were no OOM: whose process it was, and who sent the signal.
#include <algorithm>
#include <csignal>

#include "collector/collector.h"
#include "incident/verdict_exit.h"

namespace memcrest {

namespace {

bool is_by_early_killer(const ProcessEnd& end) { return end.sender && is_early_killer(*end.sender); }

}  // namespace

Sender Collector::sender_of(const TaskInfo& task) {
  Sender out;
  out.pid = task.process.tgid;
  out.uid = task.uid;
  out.comm = task.comm;
  out.cmdline = around_.cmdline(task.process);
  out.cgroup_id = task.cgroup_id;
  place(out, {});
  return out;
}

// Where it lives may be known later only.
void Collector::place(Sender& sender, const Container& target) {
  const Identity identity = around_.find(sender.cgroup_id);
  sender.known = identity.known && !identity.pending;
  sender.cgroup_path = identity.cgroup.path;
  sender.container_id = identity.container.id;
  sender.container_name = identity.container.name;
  sender.unit = identity.container.id.empty() ? identity.container.unit : "";
  sender.same_container = !target.id.empty() && identity.container.id == target.id;
}

bool Collector::senders_pending(const ProcessEnd& end) {
  const auto pending = [this](const std::optional<Sender>& sender) {
    return sender && around_.find(sender->cgroup_id).pending;
  };
  return pending(end.sender) || (end.asked && pending(end.asked->sender));
}

void Collector::tell_exit(const ExitFinding& finding) {
  const TaskInfo& task = finding.task;
  ProcessEnd end;
  if (finding.kill) {
    end.by_kernel = finding.kill->from_kernel;
    end.without_info = finding.kill->without_info;
    end.sender = sender_of(finding.kill->sender);
  }
  Incident incident = begin(IncidentKind::kKill, finding.time_ns, task.cgroup_id);
  // A host has thousands of ends that nobody asks about: those that are in no container for certain are left early.
  // Anybody can take the name of a killer of user space, and ask.
  const bool by_early_killer = is_by_early_killer(end) || (end.sender && around_.find(end.sender->cgroup_id).pending &&
                                                           is_early_killer(end.sender->comm));
  if (!by_early_killer &&
      (finding.signal == SIGTERM || (incident.container.id.empty() && !around_.find(task.cgroup_id).pending))) {
    return;
  }
  // Of somebody elsewhere: a container that kills its own children does so as often as it likes.
  if (end.sender && !end.by_kernel && end.sender->cgroup_id != task.cgroup_id) {
    end.sender->parents = around_.parents(finding.kill->sender.process).parents;
  }
  incident.id = id_of(finding.time_ns, task.cgroup_id, task.process.tgid);
  end.signal = finding.signal;
  end.core_dumped = finding.core_dumped;
  end.pid = task.process.tgid;
  end.container_pid = task.ns_tgid;
  end.comm = task.comm;
  end.cmdline = around_.cmdline(task.process);
  end.exe = around_.exe(task.process);
  end.uid = task.uid;
  if (finding.asked) {
    const std::uint64_t until = finding.kill ? finding.kill->time_ns : finding.time_ns;
    end.asked =
        AskedToEnd{finding.asked->signal, static_cast<double>(until - std::min(until, finding.asked->time_ns)) / 1e6,
                   sender_of(finding.asked->sender)};
    if (finding.asked->sender.cgroup_id != task.cgroup_id) {
      end.asked->sender->parents = around_.parents(finding.asked->sender.process).parents;
    }
  }
  if (end.signal == SIGKILL && !end.sender) {
    incident.evidence.gaps.emplace_back("who sent the SIGKILL was not seen");
  }
  incident.usage_bytes = finding.usage_bytes;
  incident.limit = nearest_limit(incident.cgroup.path, around_.number(incident.cgroup.path, settings_.files.limit));
  incident.end = std::move(end);
  hold(std::move(incident), finding.time_ns);
}

// The container's first process is the one that the runtime names; where it named none yet, pid 1 of its pid namespace.
// Where it named another, that is either of a sandbox inside, or of the container since it was started again.
void Collector::judge_role(ProcessEnd& end, const Container& container) {
  const bool first = end.container_pid == 1 && !container.id.empty();
  end.main_process = container.init_pid ? *container.init_pid == end.pid : first;
  end.main_process_known = end.main_process || !first;
}

// A crash of a child is its parent's business, as is any end outside of containers; a SIGKILL has a sender that
// somebody wants to know.
bool Collector::is_worth_telling(Incident& incident) {
  ProcessEnd& end = *incident.end;
  const Container& container = incident.container;
  // Its files went with it; the runtime has told its limit before.
  if (container.memory_limit_bytes.value_or(~0ULL) < incident.limit.bytes.value_or(~0ULL)) {
    incident.limit.bytes = container.memory_limit_bytes;
    incident.limit.cgroup_path = incident.cgroup.path;
  }
  for (std::optional<Sender>* sender : {&end.sender, end.asked ? &end.asked->sender : nullptr}) {
    if (sender != nullptr && *sender) {
      place(**sender, container);
    }
  }
  judge_role(end, container);
  const bool perhaps_main = end.main_process || !end.main_process_known;
  if (!is_by_early_killer(end) &&
      (container.id.empty() || end.signal == SIGTERM || (end.signal != SIGKILL && !perhaps_main))) {
    return false;
  }
  // A container can end as many children as it likes; there is one main process.
  if (!end.main_process && !exits_.may_tell(incident.cgroup.id, incident.boot_ns)) {
    return false;
  }
  end.left_out = exits_.take_left_out(incident.cgroup.id);
  if (end.left_out > 0) {
    incident.evidence.gaps.push_back(std::to_string(end.left_out) +
                                     " ends by a signal in this cgroup before it were left out by the rate limit");
  }
  ++totals_.kills;
  return true;
}

}  // namespace memcrest
