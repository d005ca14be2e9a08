// SPDX-License-Identifier: Apache-2.0
#include "view/exit_code_text.h"

#include <string_view>
#include <utility>

#include "util/text.h"
#include "util/units.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

struct Meaning {
  int code;
  std::string_view text;
};

constexpr Meaning kMeanings[] = {
    {0,
     "The main process ended by itself and reports success. A child may have been killed all the same: Docker then "
     "says\n"
     "OOMKilled=true beside exit code 0.\n"},
    {125, "Docker's or Podman's own: the container could not be started. Not the program's exit code, and no OOM.\n"},
    {126, "The command was found and could not be executed (permissions, wrong architecture). No OOM.\n"},
    {127, "The command was not found. No OOM.\n"},
    {134,
     "128 + 6, SIGABRT: the program ended itself. Failed assertions, std::terminate, a runtime that gives up: \"failed "
     "to\n"
     "allocate\" and \"JavaScript heap out of memory\" end like this. It is no kill by the kernel: an allocation was\n"
     "refused (ulimit -v, overcommit, the runtime's own heap limit), or something else was wrong. The container's "
     "limit\n"
     "refuses nothing to a program's heap, it kills.\n"
     "Look at: the program's last lines on standard error; ulimit -a in the container; -Xmx, --max-old-space-size.\n"},
    {137,
     "128 + 9, SIGKILL: somebody killed it. Not always an OOM. By likelihood:\n"
     "- the OOM killer, at the container's own limit, that of a cgroup above (a pod, a slice), or the machine's "
     "memory;\n"
     "- docker stop after its grace period (10 s), docker kill, docker rm -f;\n"
     "- kubelet after terminationGracePeriodSeconds, at an eviction or a failed liveness probe;\n"
     "- systemd's stop timeout; systemd-oomd, earlyoom or oomd, which kill before the kernel does;\n"
     "- a person or another process, by kill -9 or cgroup.kill.\n"
     "docker inspect's OOMKilled does not settle it: it can be false after an OOM (Podman, a limit further up, cgroup "
     "v2\n"
     "with some runtimes) and true without one that mattered (a child was killed).\n"
     "Look at: the kernel's log (journalctl -k -g 'oom-kill|Killed process'), oom_kill in the cgroup's memory.events\n"
     "while it exists, docker events, kubectl describe pod.\n"},
    {139,
     "128 + 11, SIGSEGV: the program touched memory that is not its own. That is a fault of the program (or of its "
     "stack\n"
     "limit), and no OOM: an exhausted memory limit ends in 137.\n"
     "Look at: the kernel's log (\"segfault at\"), a core file, ulimit -s.\n"},
    {143,
     "128 + 15, SIGTERM: it was asked to end, by docker stop, kubelet, systemd or a person, and did. No OOM; early "
     "killers\n"
     "(earlyoom, systemd-oomd) may send SIGTERM before SIGKILL.\n"
     "Look at: docker events, kubectl describe pod, journalctl -u of those services.\n"},
};

}  // namespace

std::string exit_code_text(int code) {
  std::string out = "exit code " + std::to_string(code) + "\n";
  for (const Meaning& one : kMeanings) {
    if (one.code == code) {
      return out += one.text;
    }
  }
  if (code > 128 && code < 128 + 65) {
    return out + "128 + " + std::to_string(code - 128) + ": ended by signal " + std::to_string(code - 128) +
           " (kill -l " + std::to_string(code - 128) +
           " names it), unless the program itself chose this number. The\n" +
           "OOM killer sends signal 9 and nothing else: that would be 137.\n";
  }
  return out + "The program's own: its documentation says what it means. The OOM killer leaves 137.\n";
}

std::string runtime_end_text(const Container& container) {
  std::string out = std::string(to_string(container.runtime)) + (container.state ? " says of " : " knows ") +
                    escape_terminal(container.name) + " (" + escape_terminal(container.id.substr(0, view::kShortId)) +
                    (container.image.empty() ? "" : ", ") + escape_terminal(container.image) + ")";
  if (!container.state) {
    return out + ", and nothing of an end\n";
  }
  // Of one that runs again, the times and codes are those of its last end.
  const bool ended =
      container.state->status == "exited" || container.state->status == "dead" || container.state->status == "stopped";
  RuntimeState state = *container.state;
  const auto finished = ended ? std::exchange(state.finished_unix_ns, std::nullopt) : std::nullopt;
  if (!ended) {
    state.finished_unix_ns.reset();
    state.exit_code.reset();
    state.oom_killed.reset();
  }
  out += ": " + escape_terminal(view::state_words(state));
  out += finished ? std::string(view::kDot) + "ended " + format_rfc3339(*finished) + "\n" : "\n";
  const auto code = state.exit_code;
  return code && *code >= 0 && *code <= 255 ? out + "\n" + exit_code_text(*code) : out;
}

}  // namespace memcrest
