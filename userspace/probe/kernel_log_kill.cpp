// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_kill.h"

#include <algorithm>
#include <array>

#include "probe/kernel_log_text.h"

namespace memcrest::kernel_log {
namespace {

constexpr std::size_t kComm = 15;  // TASK_COMM_LEN without its NUL
constexpr std::size_t kMaxPath = 4096;

constexpr std::string_view kGroupEnd = " are going to be killed due to memory.oom.group set";
constexpr std::string_view kMemcgMessage = "Memory cgroup out of memory: ";
constexpr std::array<std::string_view, 2> kHostMessages = {"Out of memory: ",
                                                           "Out of memory (oom_kill_allocating_task): "};

std::optional<Constraint> constraint_of(std::string_view name) {
  if (name == "CONSTRAINT_NONE") {
    return Constraint::kNone;
  }
  if (name == "CONSTRAINT_CPUSET") {
    return Constraint::kCpuset;
  }
  if (name == "CONSTRAINT_MEMORY_POLICY") {
    return Constraint::kMemoryPolicy;
  }
  if (name == "CONSTRAINT_MEMCG") {
    return Constraint::kMemcg;
  }
  return std::nullopt;
}

// What the kernel calls the event in front of "Killed process" and the like; unset: `text` does not begin so.
std::optional<bool> take_message(std::string_view& text) {
  if (take(text, kMemcgMessage)) {
    return true;
  }
  for (const auto& message : kHostMessages) {
    if (take(text, message)) {
      return false;
    }
  }
  return std::nullopt;
}

// "MESSAGE: WHAT 123 (…" with `end` somewhere behind it.
std::optional<Named> parse_named(std::string_view line, std::string_view what, std::string_view end) {
  const auto memcg = take_message(line);
  if (!memcg || !take(line, what)) {
    return std::nullopt;
  }
  const auto pid = take_number<std::uint32_t>(line);
  if (!pid || !line.starts_with(" (") || line.find(end) == std::string_view::npos) {
    return std::nullopt;
  }
  return Named{*pid, *memcg};
}

bool inside(std::string_view path, std::string_view above) {
  return above == "/" || (path.starts_with(above) &&
                          (path.size() == above.size() || path[above.size()] == '/' || path[above.size()] == ','));
}

// `text` is "PATH,task_memcg=PATH,task=NAME" or, for a host's OOM, begins behind the first path. A path may hold the
// separator itself: the statistics told the first one, and the second lies inside it.
void split_limit(std::string_view& text, std::string_view hint, Summary& out) {
  constexpr std::string_view kNext = ",task_memcg=";
  std::size_t at = text.find(kNext);
  if (!hint.empty() && text.starts_with(hint) && text.substr(hint.size()).starts_with(kNext)) {
    at = hint.size();
  } else {
    for (std::size_t next = at; next != std::string_view::npos; next = text.find(kNext, next + 1)) {
      if (inside(text.substr(next + kNext.size()), text.substr(0, next))) {
        at = next;
        break;
      }
    }
  }
  if (at == std::string_view::npos) {
    // Cut. Half a path would name a cgroup that does not exist, or another one.
    out.limit_path = hint;
    text = {};
    return;
  }
  out.limit_path = text.substr(0, at);
  text.remove_prefix(at + kNext.size());
}

// `text` is "PATH,task=NAME". Both may hold ",task=": the task dump knows the name, otherwise its length decides.
void split_victim(std::string_view text, const SummaryHints& hints, Summary& out) {
  constexpr std::string_view kNext = ",task=";
  if (hints.tasks != nullptr && out.pid) {
    for (const auto& task : *hints.tasks) {
      if ((task.tgid == *out.pid || task.pid == *out.pid) && text.ends_with(task.comm)) {
        const std::string_view before = text.substr(0, text.size() - task.comm.size());
        if (before.ends_with(kNext)) {
          out.victim_path = before.substr(0, before.size() - kNext.size());
          return;
        }
      }
    }
  }
  const std::size_t from = text.size() - std::min(text.size(), kNext.size() + kComm);
  std::size_t at = text.find(kNext, from);
  if (at == std::string_view::npos) {
    at = text.rfind(kNext);
  }
  if (at != std::string_view::npos) {
    out.victim_path = text.substr(0, at);
  }
}

// Takes ",pid=1,uid=0" off the end.
bool split_ids(std::string_view& text, Summary& out) {
  constexpr std::string_view kUid = ",uid=";
  constexpr std::string_view kPid = ",pid=";
  const std::size_t uid = text.rfind(kUid);
  const std::size_t pid = uid == std::string_view::npos ? uid : text.substr(0, uid).rfind(kPid);
  if (pid == std::string_view::npos) {
    return false;
  }
  std::string_view pid_text = text.substr(pid + kPid.size(), uid - pid - kPid.size());
  std::string_view uid_text = text.substr(uid + kUid.size());
  const auto value = take_number<std::uint32_t>(pid_text);
  if (!value || !pid_text.empty() || !take_number<std::int64_t>(uid_text) || !uid_text.empty()) {
    return false;
  }
  out.pid = value;
  text = text.substr(0, pid);
  return true;
}

}  // namespace

Summary parse_summary(std::string_view line, const SummaryHints& hints) {
  constexpr std::string_view kCpuset = ",cpuset=";
  constexpr std::string_view kMems = ",mems_allowed=";
  constexpr std::string_view kMemcg = ",oom_memcg=/";
  constexpr std::string_view kGlobal = ",global_oom,task_memcg=/";
  Summary out;
  take(line, kSummaryStart);
  out.constraint = constraint_of(line.substr(0, line.find(',')));
  const bool ids = split_ids(line, out);
  // The cpuset is shown by its name alone, which holds no slash: the first of these is the kernel's.
  const std::size_t memcg = line.find(kMemcg);
  const std::size_t global = line.find(kGlobal);
  const std::size_t paths = std::min(memcg, global);
  std::string_view head = line.substr(0, paths);
  if (const std::size_t at = head.find(kCpuset); at != std::string_view::npos) {
    head.remove_prefix(at + kCpuset.size());
    const std::size_t mems = head.rfind(kMems);
    if (mems != std::string_view::npos) {
      out.cpuset_path = head.substr(0, mems);
      out.mems_allowed = head.substr(mems + kMems.size());
    }
  }
  if (paths == std::string_view::npos) {
    out.limit_path = hints.limit_path;
    return out;
  }
  if (paths == memcg) {
    line.remove_prefix(memcg + kMemcg.size() - 1);
    split_limit(line, hints.limit_path, out);
  } else {
    line.remove_prefix(global + kGlobal.size() - 1);
  }
  if (ids) {
    split_victim(line, hints, out);
  }
  out.complete = ids && !out.victim_path.empty();
  return out;
}

std::optional<Killed> parse_killed(std::string_view line) {
  constexpr std::string_view kSizes = ") total-vm:";
  Killed out;
  out.memcg = take_message(line);
  if (!take(line, "Killed process ")) {
    return std::nullopt;
  }
  const auto pid = take_number<std::uint32_t>(line);
  if (!pid || !take(line, " (")) {
    return std::nullopt;
  }
  out.victim.pid = *pid;
  // Behind the name there are only numbers: the last one is the kernel's.
  const std::size_t at = line.rfind(kSizes);
  out.victim.comm = line.substr(0, std::min(at == std::string_view::npos ? line.rfind(')') : at, kLongComm));
  if (at == std::string_view::npos) {
    return out;
  }
  line.remove_prefix(at + kSizes.size());
  const auto bytes = [line](std::string_view key) -> std::optional<std::uint64_t> {
    const auto value = value_of<std::uint64_t>(line, key);
    return value ? std::optional(times(*value, 1024)) : std::nullopt;
  };
  std::string_view mapped = line;
  if (const auto kib = take_number<std::uint64_t>(mapped); kib && mapped.starts_with("kB")) {
    out.victim.mapped_bytes = times(*kib, 1024);
  }
  const auto anon = bytes(" anon-rss:");
  out.sizes = anon.has_value();
  out.victim.anon_bytes = anon.value_or(0);
  out.victim.file_bytes = bytes(" file-rss:").value_or(0);
  out.victim.shmem_bytes = bytes(" shmem-rss:").value_or(0);
  out.victim.pagetable_bytes = bytes(" pgtables:");
  out.victim.uid = value_of<std::uint32_t>(line, " UID:");
  out.victim.oom_score_adj = value_of<std::int32_t>(line, " oom_score_adj:");
  return out;
}

std::optional<Named> parse_exiting(std::string_view line) {
  return parse_named(line, "OOM victim ", ") is already exiting");
}

std::optional<Named> parse_announcement(std::string_view line) {
  return parse_named(line, "Kill process ", ") score ");
}

std::optional<std::string> parse_group(std::string_view line) {
  if (!take(line, kGroupStart) || !line.ends_with(kGroupEnd)) {
    return std::nullopt;
  }
  return std::string(line.substr(0, std::min(line.size() - kGroupEnd.size(), kMaxPath)));
}

bool unfinished(std::string_view line) {
  if (line.starts_with(kSummaryStart)) {
    return !parse_summary(line, {}).complete;
  }
  if (line.starts_with(kStatsStart)) {
    return !line.ends_with(':') && line.find(": ") == std::string_view::npos;
  }
  return line == kGroupStart || (line.starts_with("Tasks in /") && !line.ends_with(kGroupEnd));
}

bool continues(std::string_view line, std::string_view piece) {
  if (piece.starts_with('/')) {
    return true;  // a path
  }
  if (line.starts_with(kSummaryStart)) {
    return piece.starts_with(',') || line.ends_with(",cpuset=");
  }
  return line.starts_with(kStatsStart) ? piece.starts_with(':') : kGroupEnd.starts_with(piece.substr(0, 10));
}

}  // namespace memcrest::kernel_log
