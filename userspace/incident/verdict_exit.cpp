// SPDX-License-Identifier: Apache-2.0
#include "incident/verdict_exit.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

#include "incident/verdict_words.h"
#include "util/signal_name.h"
#include "util/units.h"

namespace memcrest {
namespace {

// Names of processes, cut to 15 bytes by the kernel.
constexpr std::array<std::string_view, 9> kRuntimes = {"runc",   "crun",   "youki", "containerd-shim", "dockerd",
                                                       "conmon", "podman", "crio",  "containerd"};
constexpr std::array<std::string_view, 4> kEarlyKillers = {"systemd-oomd", "earlyoom", "oomd", "nohang"};

template <typename Names>
bool is_one_of(const Names& names, const Sender& sender) {
  return sender.known && sender.container_id.empty() && std::ranges::find(names, sender.comm) != names.end();
}

bool is_runtime(const Sender& sender) { return is_one_of(kRuntimes, sender); }

bool is_service_manager(const Sender& sender) {
  return sender.known && sender.pid == 1 && sender.comm == "systemd" && sender.container_id.empty();
}

std::string who(const Sender& sender) {
  std::string out = sender.comm + "[" + std::to_string(sender.pid) + "]";
  if (!sender.container_id.empty() && !sender.same_container) {
    out +=
        " of container " + (sender.container_name.empty() ? sender.container_id.substr(0, 12) : sender.container_name);
  } else if (!sender.unit.empty()) {
    out += " of " + sender.unit;
  }
  return out + ", uid " + std::to_string(sender.uid);
}

// As Kubernetes allows it: it stands in a line for the shell.
bool is_name(const std::string& text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos &&
         text.front() != '-';
}

bool is_pod(const Incident& incident) {
  return incident.container.pod && incident.container.runtime != Runtime::kPodman;
}

// How its memory stood: an end near the limit is worth a second look. Usage is its own cgroup's, the limit can be that
// of one above, which others fill as well.
void weigh_memory(const Incident& incident, JudgedCause& out) {
  if (!incident.usage_bytes || !incident.limit.bytes || *incident.limit.bytes == 0) {
    out.reasons_against.emplace_back(incident.usage_bytes ? format_size(*incident.usage_bytes) +
                                                                " were in use, of no limit that is known"
                                                          : "how much memory was in use is not known");
    return;
  }
  if (incident.limit.cgroup_path != incident.cgroup.path) {
    out.reasons_against.push_back("how full " + format_size(*incident.limit.bytes) +
                                  ", the limit of a cgroup above, was is not known");
    return;
  }
  const double share = static_cast<double>(*incident.usage_bytes) / static_cast<double>(*incident.limit.bytes);
  const std::string words =
      format_size(*incident.usage_bytes) + " of " + format_size(*incident.limit.bytes) + " were in use";
  if (share < 0.9) {
    out.reasons_for.push_back("no limit was hit: " + words);
  } else {
    out.reasons_against.push_back(words + ": close to the limit, though its OOM killer did not kill");
  }
}

// By SIGKILL, or by the SIGTERM of a killer of user space.
JudgedCause judge_kill(const Incident& incident) {
  const ProcessEnd& end = *incident.end;
  const std::string came = signal_name(end.signal) + " came from ";
  if (incident.evidence.lost_critical > 0 && (end.by_kernel || !end.sender)) {
    return {Cause::kUnknown, 0.2, {}, {"records were lost: the OOM killer may have sent it"}};
  }
  if (!end.sender) {
    return {Cause::kUnknown, 0.3, {"SIGKILL, and no record of the OOM killer"}, {"who sent it was not seen"}};
  }
  const Sender& sender = *end.sender;
  if (end.by_kernel) {
    return {Cause::kKilledByKernel,
            0.7,
            {"the kernel itself sent SIGKILL, and not its OOM killer"},
            {"why is not told: a CPU time limit (RLIMIT_CPU), the end of a pid namespace, a failed execve"}};
  }
  if (!sender.known) {
    return {Cause::kUnknown, 0.3, {came + who(sender)}, {"whether that is in a container is not known"}};
  }
  if (sender.same_container) {
    return {Cause::kKilledWithin, 0.9, {came + who(sender) + ", in the same container"}, {}};
  }
  if (is_early_killer(sender)) {
    return {Cause::kEarlyOomKiller, 0.9, {came + who(sender)}, {}};
  }
  if (is_one_of(kRuntimes, sender)) {
    return {Cause::kStoppedByRuntime, 0.9, {came + who(sender)}, {}};
  }
  if (is_service_manager(sender)) {
    return {Cause::kStoppedByServiceManager, 0.9, {came + "systemd"}, {}};
  }
  return {Cause::kKilledFromHost, 0.9, {came + who(sender)}, {}};
}

std::string asked_words(const AskedToEnd& asked) {
  return signal_name(asked.signal) + " came " + span_words(asked.before_ms) + " before";
}

bool asked_by(const ProcessEnd& end, bool (*is_it)(const Sender&)) {
  return end.asked && end.asked->sender && is_it(*end.asked->sender);
}

// Whether somebody asked first is seen of the first process of a pid namespace alone, by a sender outside of it: not
// with the host's pid namespace, nor with one that a pod's containers share.
bool asking_is_seen(const ProcessEnd& end) { return end.container_pid == 1; }

constexpr const char* kAskingUnseen =
    "whether it was asked to end before that (SIGTERM) is not seen of a process that is not the first of its pid "
    "namespace";

std::string runtime_sentence(const Incident& incident) {
  const ProcessEnd& end = *incident.end;
  const std::string by = end.sender ? " (" + end.sender->comm + ")" : "";
  // A thread dump by SIGQUIT, an hour before, asked for nothing.
  if (asked_by(end, is_runtime)) {
    const std::string asked = asked_words(*end.asked) + ", and SIGKILL when it had not ended by then";
    return is_pod(incident)
               ? "The container runtime" + by + " stopped it, as kubelet asks for when a pod has to go: " + asked +
                     ", its grace period (terminationGracePeriodSeconds) being over. Whether the pod was deleted or "
                     "evicted, or its liveness probe failed, is written in the pod's events alone."
               : "The container runtime" + by + " stopped it: " + asked +
                     ", as docker stop does after its grace "
                     "period.";
  }
  if (!asking_is_seen(end)) {
    return "The container runtime" + by + " killed it; " + kAskingUnseen + ".";
  }
  return is_pod(incident)
             ? "The container runtime" + by +
                   " killed it without asking first, with no grace period: its pod was deleted "
                   "by force or evicted, a probe failed and its grace period was 0, or somebody used crictl or ctr."
             : "The container runtime" + by + " killed it without asking first, as docker kill and docker rm -f do.";
}

std::string service_manager_sentence(const ProcessEnd& end) {
  return asked_by(end, is_service_manager)
             ? "systemd stopped its unit: " + asked_words(*end.asked) +
                   ", and SIGKILL when it had not ended by then, its stop timeout (TimeoutStopSec=) being over."
         : asking_is_seen(end) ? "systemd killed it without asking it first."
                               : "systemd killed it; " + std::string(kAskingUnseen) + ".";
}

std::string early_killer_sentence(const ProcessEnd& end, const std::string& sender) {
  const std::string what =
      " A killer of user space acts before the kernel's OOM killer, by the memory or the pressure "
      "of the machine or of a slice: no limit of its own was hit.";
  if (end.signal == SIGTERM) {
    return sender + " asked it to end (SIGTERM), and it ended." + what;
  }
  return sender + " killed it" +
         (end.asked && end.asked->sender && end.sender && end.asked->sender->pid == end.sender->pid
              ? ": " + asked_words(*end.asked) + ", and SIGKILL when it was still there."
              : ".") +
         what;
}

std::string runtime_remedy(const Incident& incident) {
  const std::string longer =
      "If it should end by itself: handle the signal in the main process (a shell as PID 1 passes none on), or give it "
      "longer (";
  if (is_pod(incident)) {
    const Pod& pod = *incident.container.pod;
    const std::string name =
        is_name(pod.name) && is_name(pod.name_space) ? pod.name + " -n " + pod.name_space : "POD -n NAMESPACE";
    return "kubectl describe pod " + name +
           " shows its events for about an hour: \"Liveness probe failed\", \"Evicted\" with what the node was low on, "
           "\"Killing\"." +
           (asked_by(*incident.end, is_runtime) ? " " + longer + "terminationGracePeriodSeconds)." : "");
  }
  return incident.end->asked ? longer + "docker stop -t, stop_grace_period)." : "";
}

std::string fault_words(std::uint32_t signal) {
  switch (signal) {
    case SIGSEGV:
      return "it touched memory that is not its own";
    case SIGBUS:
      return "it touched a mapping with nothing behind it: a truncated file, a full tmpfs, no huge page left";
    case SIGILL:
      return "it ran an instruction that the CPU does not know";
    case SIGFPE:
      return "a division by zero or the like";
    case SIGSYS:
      return "a system call that seccomp forbids";
    case SIGXCPU:
      return "its limit of CPU time was reached";
    case SIGXFSZ:
      return "a file grew past its size limit";
    default:
      return "a fault of its own";
  }
}

}  // namespace

bool is_early_killer(const std::string& comm) { return std::ranges::find(kEarlyKillers, comm) != kEarlyKillers.end(); }

// systemd-oomd and Debian's earlyoom are no root: they have a user of their own, and CAP_KILL.
bool is_early_killer(const Sender& sender) {
  const std::string unit = "/system.slice/" + sender.comm + ".service";  // not one that a service made below its own
  return is_one_of(kEarlyKillers, sender) &&
         (sender.uid == 0 || sender.cgroup_path == unit || sender.cgroup_path.starts_with(unit + "/"));
}

JudgedCause judge_end(const Incident& incident) {
  const ProcessEnd& end = *incident.end;
  JudgedCause out =
      end.signal == SIGKILL || end.signal == SIGTERM ? judge_kill(incident)
      : end.signal == SIGABRT
          ? JudgedCause{Cause::kAborted, 0.9, {"it ended by SIGABRT, which a program sends itself"}, {}}
          : JudgedCause{Cause::kCrashed, 0.9, {signal_name(end.signal) + ": " + fault_words(end.signal)}, {}};
  if (end.without_info) {
    out.reasons_for.emplace_back("not by kill(2): by cgroup.kill, or since its parent ended");
  }
  if (end.asked) {
    out.reasons_for.push_back(asked_words(*end.asked) +
                              (end.asked->sender ? ", from " + who(*end.asked->sender) : std::string()));
  }
  weigh_memory(incident, out);
  if (const auto& state = incident.container.state;
      state && state->oom_killed.value_or(false) && ended_after(*state, incident.unix_ns)) {
    out.reasons_against.emplace_back(
        "the runtime says OOMKilled true; the kernel's OOM killer did not kill this process");
  }
  return out;
}

std::string end_sentence(const Incident& incident, Cause cause) {
  if (!incident.end) {
    return "";
  }
  const ProcessEnd& end = *incident.end;
  const std::string sender = end.sender ? who(*end.sender) : "somebody";
  switch (cause) {
    case Cause::kStoppedByRuntime:
      return runtime_sentence(incident) + " No OOM.";
    case Cause::kStoppedByServiceManager:
      return service_manager_sentence(end) + " No OOM.";
    case Cause::kEarlyOomKiller:
      return early_killer_sentence(end, sender);
    case Cause::kKilledFromHost:
      return sender + ", killed it from outside of the container. No OOM.";
    case Cause::kKilledWithin:
      return end.sender && end.sender->pid == end.pid ? "It killed itself by SIGKILL. No OOM."
                                                      : sender + ", of the same container, killed it. No OOM.";
    case Cause::kKilledByKernel:
      return "The kernel killed it, but not for want of memory.";
    case Cause::kCrashed:
      return "It crashed by " + signal_name(end.signal) + ": " + fault_words(end.signal) +
             ". A cgroup's limit does not send this signal; an allocation that was refused can end so.";
    case Cause::kAborted:
      return "It ended itself by SIGABRT: a failed assertion, an uncaught exception, or an allocation that was refused "
             "(ulimit -v, overcommit, a runtime's own heap limit).";
    default:
      return signal_name(end.signal) +
             " ended it, and who sent it is not known for certain. No record shows the OOM killer.";
  }
}

std::string end_remedy(const Incident& incident, Cause cause) {
  switch (cause) {
    case Cause::kStoppedByRuntime:
      return runtime_remedy(incident);
    case Cause::kStoppedByServiceManager:
      return "systemctl status and journalctl -u tell why it was stopped; TimeoutStopSec= is how long it may take.";
    case Cause::kEarlyOomKiller:
      return "Its log says why it chose this one (journalctl -u " +
             (incident.end->sender ? incident.end->sender->comm : "earlyoom") +
             "). Give the others on this machine limits, so that they cannot use it up; a higher limit for this one "
             "helps nothing.";
    case Cause::kCrashed:
      return incident.end->signal == SIGBUS
                 ? "Look whether a tmpfs or /dev/shm was full (docker run --shm-size), then for a core file."
                 : "Look for a core file, and at the kernel's log.";
    case Cause::kAborted:
      return "Read its last lines on standard error; raising a memory limit helps only a runtime that sizes its heap "
             "by it.";
    case Cause::kKilledFromHost:
      return "Look at who that is: its user, its command line and the processes that it comes from. No memory limit "
             "changes this.";
    case Cause::kKilledWithin:
      return incident.end->main_process
                 ? "Look at why: no memory limit changes this."
                 : "If that is a master of workers, its log says why: gunicorn (WORKER TIMEOUT) and the like kill a "
                   "worker that does not answer, which only looks like an OOM.";
    case Cause::kKilledByKernel:
      return "Look at limits of CPU time (ulimit -t, LimitCPU=), and at the kernel's log (journalctl -k).";
    case Cause::kUnknown:
      return "docker events and the kernel's log (journalctl -k) may know more.";
    default:
      return "";
  }
}

}  // namespace memcrest
