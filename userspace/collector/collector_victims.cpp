// SPDX-License-Identifier: Apache-2.0
// The collector's view of victims: who they were, where they come from, and whether one was its container's first
// process.
#include <algorithm>

#include "collector/collector.h"

namespace memcrest {

Victim Collector::victim_of(const VictimEvent& event) {
  const ProcessKey& process = event.task.process;
  Victim out;
  out.pid = process.tgid;
  out.container_pid = event.task.ns_tgid;
  out.comm = event.task.comm;
  out.cmdline = around_.cmdline(process);
  out.exe = around_.exe(process);
  out.environment = around_.environment(process);
  out.uid = event.task.uid;
  out.oom_score_adj = event.oom_score_adj;
  out.anon_bytes = event.anon_bytes;
  out.file_bytes = event.file_bytes;
  out.shmem_bytes = event.shmem_bytes;
  out.swap_bytes = event.swap_bytes;
  out.pagetable_bytes = event.pagetable_bytes;
  out.start_boot_ns = process.start_ns;
  out.start_unix_ns = process.start_ns == 0 ? 0 : now_.unix_of(process.start_ns);
  for (const RelativeInfo& parent : event.parents) {
    out.parents.push_back({parent.process.tgid, parent.ns_tgid, parent.comm, around_.cmdline(parent.process)});
  }
  out.parents_complete = event.parents_end == ParentsEnd::kInit;
  return out;
}

Collector::Place Collector::place_of(const VictimEvent& event) {
  Place out{.cgroup_id = event.task.cgroup_id, .parent_cgroup_id = event.parent_cgroup_id};
  if (event.init) {
    out.init_pid = event.init->process.tgid;
    out.init_cgroup_id = event.init->cgroup_id;
  }
  return out;
}

// Whether that cgroup is the victim's own, or another one of the same container (systemd in a container makes some).
bool Collector::lives_in(std::uint64_t cgroup_id, const Container& container, const Place& place) {
  return cgroup_id != 0 && (cgroup_id == place.cgroup_id || around_.find(cgroup_id).container.id == container.id);
}

// The container's first process is the one that the runtime names, or pid 1 of the container's pid namespace. Pid 1 of
// one that something inside the container made is not, nor is that of a namespace that containers share (a pod's).
void Collector::judge_role(Victim& victim, const Container& container, const Place& place) {
  victim.main_process = false;
  victim.main_process_known = true;
  if (container.id.empty()) {
    return;
  }
  if (container.init_pid == victim.pid) {
    victim.main_process = true;
  } else if (victim.container_pid == 1 && victim.pid != 1) {
    victim.main_process = !lives_in(place.parent_cgroup_id, container, place);
  } else if (!container.init_pid) {
    // With a pid namespace of its own, whoever is not its first process is a child.
    victim.main_process_known = place.init_pid != 0 && lives_in(place.init_cgroup_id, container, place);
  }
}

void Collector::judge_roles(Incident& incident, const std::vector<Place>& places) {
  for (std::size_t i = 0; i < incident.victims.size(); ++i) {
    judge_role(incident.victims[i], incident.container, i < places.size() ? places[i] : Place{});
  }
  if (!std::ranges::all_of(incident.victims, &Victim::main_process_known)) {
    incident.evidence.gaps.emplace_back(
        "whether a victim was the container's main process is not known: the runtime did not name that one, and the "
        "pid namespace is shared or was not seen");
  }
}

}  // namespace memcrest
