// SPDX-License-Identifier: Apache-2.0
#include "app/break_policy.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/break_arms.h"
#include "app/privileges.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kNamePatienceNs = 10 * kSecond;
constexpr std::size_t kMostCandidates = 16384;
constexpr std::size_t kMostTold = 256;
// The runner answers at once, or not at all.
constexpr auto kPatience = std::chrono::milliseconds(300);
constexpr auto kImpatience = std::chrono::seconds(5);
constexpr auto kEnd = std::chrono::seconds(10);

// What the runner knows: what was done, and to whom. Of the hit itself the collector knows more.
void add_done(Breakpoint& out, Breakpoint&& done) {
  out.rule = std::move(done.rule);
  out.action = std::move(done.action);
  out.outcome = std::move(done.outcome);
  out.failed = done.failed;
  out.held_ms = done.held_ms;
  out.output = std::move(done.output);
  out.processes = std::move(done.processes);
  out.total_processes = done.total_processes;
}

}  // namespace

Result<std::unique_ptr<BreakPolicy>> BreakPolicy::start(const BreakPolicyOptions& options, CmdlineDetail cmdlines,
                                                        const Clock& clock) {
  if (!may_signal_all()) {
    return fail("--break-at", "", 0, "CAP_KILL is missing: whoever is stopped could not be resumed");
  }
  auto runner = BreakRunner::start(options, cmdlines);
  if (!runner) {
    return std::unexpected(runner.error());
  }
  return std::unique_ptr<BreakPolicy>(new BreakPolicy(options, std::move(*runner), clock));
}

Result<void> BreakPolicy::take(LoadedProbe& probe) {
  if (probe.own_tgid() != static_cast<std::uint32_t>(::getpid())) {
    return fail(
        "--break-at", "", 0,
        "the agent runs in a pid namespace of its own (a container without the host's): it could not resume whom "
        "it stops");
  }
  const auto table = BreakpointTable::of(probe);
  return table ? runner_->give(*table) : std::unexpected(table.error());
}

void BreakPolicy::attached(const Features& features) {
  if (features.charge.name == "sampled" || features.charge.name.empty()) {
    spdlog::error("--break-at: no hook sees charges here: nothing is done at lines");
    runner_.reset();
  }
}

std::unique_ptr<EventSource> BreakPolicy::lost_hits() {
  auto source = std::make_unique<InjectedSource>();
  lost_hits_ = source.get();
  return source;
}

void BreakPolicy::observe(std::span<const Event> events) {
  if (!runner_) {
    return;
  }
  for (const Event& event : events) {
    if (const auto* cgroup = std::get_if<CgroupEvent>(&event)) {
      if (!cgroup->created) {
        undecided_.erase(cgroup->cgroup_id);
        if (chosen_.erase(cgroup->cgroup_id) > 0) {
          gone_.push_back(cgroup->cgroup_id);
        }
      } else if (!cgroup->path_cut && undecided_.size() < kMostCandidates) {
        undecided_.try_emplace(cgroup->cgroup_id, Candidate{cgroup->path, clock_.boot_ns()});
      }
    } else if (const auto* hit = std::get_if<BreakpointEvent>(&event); hit != nullptr) {
      if (const auto told = runner_->hit(*hit); !told) {
        spdlog::error("a line was reached, and nothing can be done: {}", escape_terminal(told.error().message()));
      }
    }
  }
}

bool BreakPolicy::decide(std::uint64_t cgroup_id, const Candidate& one, Resolver& resolver) {
  const Identity identity = resolver.find(cgroup_id);
  const bool late = clock_.boot_ns() - one.since_ns > kNamePatienceNs;
  if (!late && (identity.pending || !identity.known)) {
    return false;
  }
  if (!is_own_cgroup(one.path, identity, resolver) || (identity.container.pod && identity.container.pod->sandbox)) {
    return true;
  }
  const auto label = identity.container.labels.find(options_.label);
  if (!late && identity.more_coming && label == identity.container.labels.end()) {
    return false;
  }
  // Of one that nobody could name it is not known whether it has the label.
  const std::string nothing;
  const std::string& word = label != identity.container.labels.end()    ? label->second
                            : identity.container.unknown_reason.empty() ? options_.otherwise
                                                                        : nothing;
  if (word.empty()) {
    return true;
  }
  const auto action = std::ranges::find(options_.allowed, word);
  if (action == options_.allowed.end()) {
    spdlog::warn("{} asks for '{}' at its line, which --break-allow does not allow", escape_terminal(one.path),
                 escape_terminal(word.substr(0, 64)));
    return true;
  }
  const auto index = static_cast<std::size_t>(action - options_.allowed.begin());
  if (const auto armed = runner_->arm(cgroup_id, index, one.path); !armed) {
    return false;  // again at the next turn
  }
  chosen_[cgroup_id] = index;
  return true;
}

void BreakPolicy::tick(Resolver& resolver, const CgroupTree& tree) {
  if (!runner_) {
    return;
  }
  if (!scanned_) {
    scanned_ = true;
    for (const CgroupTree::Entry& entry : tree.scan()) {
      undecided_.try_emplace(entry.id, Candidate{entry.path, clock_.boot_ns()});
    }
  }
  std::erase_if(gone_, [&](std::uint64_t id) { return runner_->forget(id).has_value(); });
  std::erase_if(undecided_, [&](const auto& one) { return decide(one.first, one.second, resolver); });
  while (auto answer = runner_->answer(std::chrono::milliseconds(0))) {
    take(std::move(*answer));
  }
  tell_if_gone();
}

void BreakPolicy::tell_if_gone() {
  if (runner_ && !runner_->is_there()) {
    spdlog::error("the process that acts at lines is gone: whoever it held goes on, nothing is done any more");
    runner_.reset();
    close_told("the process that acts at lines was gone before it was over");
  }
}

void BreakPolicy::take(BreakRunner::Answer answer) {
  if (const auto* lost = std::get_if<BreakpointEvent>(&answer)) {
    if (lost_hits_ != nullptr) {
      lost_hits_->add(*lost);
    }
  } else if (const auto* part = std::get_if<BreakRunner::Part>(&answer)) {
    const Key key{part->time_ns, part->cgroup_id};
    if (told_.erase(key) == 0) {
      begun_[key] = std::nullopt;
    }
  } else {
    auto& incident = std::get<Incident>(answer);
    const Key key{incident.boot_ns, incident.cgroup.id};
    if (const auto told = told_.find(key); told != told_.end()) {
      add_done(*told->second.first.breakpoint, std::move(*incident.breakpoint));
      if (!told->second.first.breakpoint->outcome.empty()) {
        close(told);
      }
    } else {
      begun_[key] = std::move(incident.breakpoint);  // it may be over before the collector tells of it
    }
  }
  while (begun_.size() > kMostTold) {
    begun_.erase(begun_.begin());
  }
}

void BreakPolicy::close(Told::iterator told) {
  auto [update, action] = std::move(told->second);
  told_.erase(told);
  update.update = "breakpoint";
  count(update, action);
  over_.push_back(std::move(update));
}

void BreakPolicy::close_told(const std::string& why) {
  while (!told_.empty()) {
    Breakpoint& hit = *told_.begin()->second.first.breakpoint;
    hit.outcome = why;
    hit.failed = true;
    close(told_.begin());
  }
}

bool BreakPolicy::complete(Incident& incident) {
  if (!incident.breakpoint) {
    return true;
  }
  const Key key{incident.boot_ns, incident.cgroup.id};
  // Who was waited for in vain once is not waited for again at once: the collector has more to do.
  const auto now = std::chrono::steady_clock::now();
  const auto until = now < impatient_until_ ? now : now + kPatience;
  while (runner_ && !begun_.contains(key)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    auto answer = runner_->answer(std::max(left, std::chrono::milliseconds(0)));
    if (!answer) {
      impatient_until_ = std::chrono::steady_clock::now() + kImpatience;
      break;
    }
    take(std::move(*answer));
  }
  const auto said = begun_.find(key);
  if (said != begun_.end() && !said->second) {
    begun_.erase(said);
    return false;
  }
  Breakpoint& out = *incident.breakpoint;
  if (said != begun_.end()) {
    add_done(out, std::move(*said->second));
    begun_.erase(said);
  }
  const auto chosen = chosen_.find(incident.cgroup.id);
  const std::string action = chosen == chosen_.end() ? "" : options_.allowed.at(chosen->second);
  if (!out.outcome.empty()) {
    count(incident, action);
  } else {
    told_.insert_or_assign(key, std::pair(incident, action));
    while (told_.size() > kMostTold) {
      told_.erase(told_.begin());
    }
  }
  tell_if_gone();
  return true;
}

std::vector<Incident> BreakPolicy::finish() {
  if (runner_) {
    runner_->end();
    const auto until = std::chrono::steady_clock::now() + kEnd;
    while (runner_->is_there() && std::chrono::steady_clock::now() < until) {
      if (auto answer = runner_->answer(std::chrono::milliseconds(100))) {
        take(std::move(*answer));
      }
    }
    runner_.reset();
  }
  close_told("memcrest ended before it was over");
  return updates();
}

void BreakPolicy::count(const Incident& incident, const std::string& action) {
  ++counts_[{action, incident.breakpoint->failed ? "failed" : "done"}];
  spdlog::warn("{}: {} at its line: {}", escape_terminal(incident.cgroup.path), escape_terminal(action),
               escape_terminal(incident.breakpoint->outcome));
}

std::vector<Incident> BreakPolicy::updates() { return std::exchange(over_, {}); }

}  // namespace memcrest
