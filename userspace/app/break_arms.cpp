// SPDX-License-Identifier: Apache-2.0
#include "app/break_arms.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "breakpoint/container_processes.h"
#include "identity/cgroup_path.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kNamePatienceNs = 10'000 * kMillisecond;
constexpr std::uint64_t kSeldomNs = 100 * kMillisecond;
constexpr std::uint64_t kLimitsNs = 1000 * kMillisecond;
constexpr std::uint64_t kBeginningNs = 3000 * kMillisecond;
// Whoever was caught is looked after for a moment when it goes on.
constexpr std::uint64_t kRestNs = 2000 * kMillisecond;
// A charge that was under way while the line was set may have put the old level back.
constexpr std::uint64_t kRefreshNs = 50 * kMillisecond;

std::string parent_path(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

bool is_own_cgroup(const std::string& path, const Identity& identity, Resolver& resolver) {
  if (identity.container.id.empty()) {
    return false;
  }
  const std::string own = parse_cgroup_path(path).container_path;
  return own.empty() ? resolver.find_path(parent_path(path)).container.id != identity.container.id : own == path;
}

BreakArms::BreakArms(const BreakOptions& options, const CgroupTree& tree, const Clock& clock, BreakpointTable* table,
                     Inject inject)
    : options_(options), tree_(tree), clock_(clock), table_(table), inject_(std::move(inject)) {}

void BreakArms::scan(Resolver& resolver) {
  resolver_ = &resolver;
  for (const CgroupTree::Entry& entry : tree_.scan()) {
    known_.try_emplace(entry.id, One{.path = entry.path, .since_ns = clock_.boot_ns()});
  }
}

void BreakArms::forget(std::uint64_t cgroup_id) {
  if (const auto one = known_.find(cgroup_id); one != known_.end()) {
    if (table_ != nullptr) {
      table_->disarm(cgroup_id);
    }
    known_.erase(one);
  }
}

void BreakArms::note(const CgroupEvent& event) {
  if (!event.created) {
    forget(event.cgroup_id);
  } else if (options_.command.empty() && !event.path_cut) {
    known_.try_emplace(event.cgroup_id, One{.path = event.path, .since_ns = clock_.boot_ns()});
  }
}

void BreakArms::arm_command(std::uint64_t cgroup_id, const std::string& path) {
  One& one = known_[cgroup_id];
  one = {.path = path, .since_ns = clock_.boot_ns()};
  arm(cgroup_id, one);
}

void BreakArms::arm_chosen(std::uint64_t cgroup_id, const std::string& path, const BreakSettings& settings) {
  One& one = known_[cgroup_id];
  one = {.path = path, .since_ns = clock_.boot_ns()};
  one.settings = &settings;
  arm(cgroup_id, one);
}

void BreakArms::pause(bool paused) {
  paused_ = paused;
  for (auto& [id, one] : known_) {
    if (paused && one.stage == Stage::kArmed) {
      wait(id, one, 0);
    }
  }
}

// Without a line until usage has fallen.
void BreakArms::wait(std::uint64_t cgroup_id, One& one, std::uint64_t rest_ns) {
  if (table_ != nullptr) {
    table_->disarm(cgroup_id);
  }
  one.stage = Stage::kWaiting;
  one.since_ns = clock_.boot_ns();
  one.rest_ns = rest_ns;
}

std::optional<std::uint64_t> BreakArms::rearm_below(const One& one) const {
  const BreakSettings& what = settings(one);
  return what.rearm_below ? what.rearm_below : what.rearm_after ? std::optional(one.line_bytes / 10 * 9) : std::nullopt;
}

// A container's own cgroup, not those that it made inside; where cgroups are asked for, the outermost that match.
bool BreakArms::is_wanted(const Identity& identity, const std::string& path) {
  const bool by_cgroup = !options_.filter.cgroups.empty();
  const auto one_of = [&](const std::string& up) {
    return std::ranges::any_of(options_.filter.cgroups,
                               [&](const std::string& pattern) { return matches_cgroup(pattern, up); });
  };
  if (by_cgroup && (!one_of(path) || one_of(parent_path(path)))) {
    return false;
  }
  if (!by_cgroup && !is_own_cgroup(path, identity, *resolver_)) {
    return false;
  }
  return matches(options_.filter, identity.container, path);
}

// Whoever has no name is not stopped by mistake: a filter lets the unknown through, this does not.
void BreakArms::decide(std::uint64_t cgroup_id, One& one) {
  const Identity identity = resolver_->find(cgroup_id);
  const bool late = clock_.boot_ns() - one.since_ns > kNamePatienceNs;
  if ((identity.pending || !identity.known) && !late) {
    return;
  }
  if (!is_wanted(identity, one.path)) {
    // Its name may still come.
    if (!identity.more_coming || late) {
      known_.erase(cgroup_id);
    }
    return;
  }
  const bool by_name = !options_.filter.containers.empty() || !options_.filter.labels.empty() ||
                       !options_.filter.images.empty() || !options_.filter.pods.empty() ||
                       !options_.filter.namespaces.empty();
  if (by_name && identity.container.name.empty() && !identity.container.unknown_reason.empty()) {
    one.stage = Stage::kNoLine;
    tell_once(one, "it could not be named: " + identity.container.unknown_reason);
    return;
  }
  arm(cgroup_id, one);
}

void BreakArms::no_line(std::uint64_t cgroup_id, One& one, const std::string& why) {
  if (table_ != nullptr) {
    table_->disarm(cgroup_id);
  }
  one.stage = Stage::kNoLine;
  tell_once(one, why);
}

void BreakArms::tell_once(One& one, const std::string& why) {
  if (!one.told) {
    spdlog::warn("no line for {}: {}", escape_terminal(one.path), escape_terminal(why));
    one.told = true;
  }
}

std::optional<std::uint64_t> BreakArms::number(const std::string& path, const char* file) const {
  return tree_.read_number(path, file).value_or(std::nullopt);
}

std::optional<std::uint64_t> BreakArms::effective_limit(const std::string& path) const {
  std::optional<std::uint64_t> out;
  for (std::string up = path; up.size() > 1; up = parent_path(up)) {
    if (const auto limit = number(up, tree_.limit_file())) {
      out = std::min(out.value_or(*limit), *limit);
    }
  }
  return out;
}

void BreakArms::arm(std::uint64_t cgroup_id, One& one) {
  const auto dir = tree_.dir_of(one.path);
  if (!dir || one.path.size() < 2) {
    no_line(cgroup_id, one, "it is not to be seen from here");
    return;
  }
  const auto inside = processes_in(*dir);
  // Whoever is to resume it must not be stopped with it.
  if (std::ranges::any_of(inside,
                          [](const auto& two) { return two.process.tgid == static_cast<unsigned>(getpid()); })) {
    no_line(cgroup_id, one, "memcrest itself runs in it");
    return;
  }
  if (const std::string daemon = runtime_daemon_in(inside, settings(one).allowed); !daemon.empty()) {
    no_line(cgroup_id, one, daemon + " runs in it; --allow NAME lets it be stopped");
    return;
  }
  const auto line = line_now(one);
  if (!line) {
    one.stage = Stage::kNoLine;
    one.limitless = true;
    return;
  }
  one.limitless = false;
  arm_at(cgroup_id, one, *line);
}

std::optional<std::uint64_t> BreakArms::line_now(One& one) {
  const BreakSettings& settings = options_.settings;
  std::optional<std::uint64_t> out;
  if (settings.at) {
    out = line_of(*settings.at, settings.at->percent ? effective_limit(one.path) : std::nullopt);
  }
  one.by_growth = false;
  if (settings.growth) {
    if (!one.floor) {
      one.floor.emplace(*settings.growth);
    }
    const std::uint64_t now = clock_.boot_ns();
    if (const auto usage = number(one.path, tree_.usage_file())) {
      one.floor->note(now, *usage);
    }
    if (const auto line = one.floor->line(now); line && (!out || *line < *out)) {
      out = line;
      one.by_growth = true;
    }
  }
  return out;
}

void BreakArms::arm_at(std::uint64_t cgroup_id, One& one, std::uint64_t bytes) {
  one.line_bytes = bytes;
  one.since_ns = clock_.boot_ns();
  one.refreshed = false;
  one.stage = Stage::kArmed;
  // A process that does not grow would never be caught: it is told of at once.
  const auto usage = number(one.path, tree_.usage_file());
  if (paused_ || (settings(one).only_crossings && usage && *usage >= bytes)) {
    wait(cgroup_id, one, 0);
    return;
  }
  if (usage && *usage >= bytes) {
    spdlog::info("{} holds {} already, more than its line of {}", escape_terminal(one.path), format_size(*usage),
                 format_size(bytes));
    reached_late(cgroup_id, one, *usage);
    return;
  }
  if (table_ == nullptr) {
    return;
  }
  BreakpointLine line{.cgroup_id = cgroup_id, .bytes = bytes, .signal = SIGSTOP, .each = true};
  if (settings(one).action == BreakAction::kSignal) {
    line.signal = static_cast<std::uint32_t>(settings(one).signal);
    line.each = false;
  }
  if (const auto armed = table_->arm(line); !armed) {
    one.stage = Stage::kNoLine;
    tell_once(one, armed.error().message());
  }
}

BreakpointEvent BreakArms::hit_as_of_now(std::uint64_t cgroup_id) const {
  BreakpointEvent event;
  event.time_ns = clock_.boot_ns();
  event.cgroup_id = cgroup_id;
  if (const auto known = known_.find(cgroup_id); known != known_.end()) {
    event.line_bytes = known->second.line_bytes;
    event.usage_bytes = number(known->second.path, tree_.usage_file()).value_or(event.line_bytes);
    event.limit_bytes = number(known->second.path, tree_.limit_file());
  }
  return event;
}

void BreakArms::reached_late(std::uint64_t cgroup_id, One& one, std::uint64_t usage) {
  one.stage = Stage::kReached;
  BreakpointEvent event = hit_as_of_now(cgroup_id);
  event.usage_bytes = usage;
  event.late = true;
  inject_(event);
}

void BreakArms::follow(std::uint64_t cgroup_id, One& one) {
  const bool by_growth = one.by_growth;
  const auto line = line_now(one);
  if (!line && options_.settings.growth && one.stage == Stage::kArmed) {
    return;  // usage could not be read, this time
  }
  if (!line) {
    if (one.stage == Stage::kArmed && table_ != nullptr) {
      table_->disarm(cgroup_id);
    }
    one.stage = Stage::kNoLine;
    one.limitless = true;
    return;
  }
  if (one.stage == Stage::kArmed && by_growth && one.by_growth) {
    // It moves all the time: as seldom as may be, and without asking anew who lives there.
    const std::uint64_t off = *line > one.line_bytes ? *line - one.line_bytes : one.line_bytes - *line;
    if (off > GrowthFloor::slack(*options_.settings.growth)) {
      move(cgroup_id, one, *line);
    }
  } else if (one.limitless || *line != one.line_bytes) {
    arm(cgroup_id, one);
  }
}

void BreakArms::move(std::uint64_t cgroup_id, One& one, std::uint64_t bytes) {
  if (table_ != nullptr) {
    const auto moved = table_->move(cgroup_id, bytes);
    if (!moved) {
      no_line(cgroup_id, one, moved.error().message());
      return;
    }
    if (!*moved) {
      return;  // it was reached a moment ago
    }
  }
  if (bytes < one.line_bytes) {  // as when it was armed
    one.refreshed = false;
    one.since_ns = clock_.boot_ns();
  }
  one.line_bytes = bytes;
}

void BreakArms::watch_usage(std::uint64_t cgroup_id, One& one) {
  const auto usage = number(one.path, tree_.usage_file());
  if (!usage) {
    return;
  }
  if (one.stage == Stage::kArmed && *usage >= one.line_bytes) {
    reached_late(cgroup_id, one, *usage);
  } else if (one.stage == Stage::kWaiting && !paused_ && *usage < rearm_below(one).value_or(0) &&
             clock_.boot_ns() - one.since_ns > one.rest_ns) {
    arm(cgroup_id, one);
  }
}

void BreakArms::tick() {
  const std::uint64_t now = clock_.boot_ns();
  const BreakSettings& settings = options_.settings;
  const bool limits = settings.at && settings.at->percent && now - last_limits_ns_ > kLimitsNs;
  last_limits_ns_ = limits ? now : last_limits_ns_;
  const bool usage = settings.growth &&
                     now - last_usage_ns_ >= static_cast<std::uint64_t>(GrowthFloor::pause(*settings.growth).count());
  last_usage_ns_ = usage ? now : last_usage_ns_;
  const bool seldom = now - last_seldom_ns_ >= kSeldomNs;
  last_seldom_ns_ = seldom ? now : last_seldom_ns_;
  bool refresh = false;
  std::vector<std::uint64_t> ids;  // one that is not wanted is forgotten on the way
  for (const auto& [id, one] : known_) {
    ids.push_back(id);
  }
  for (const std::uint64_t id : ids) {
    One& one = known_.at(id);
    if (one.stage == Stage::kUndecided && resolver_ != nullptr) {
      decide(id, one);
      continue;
    }
    // Runtimes make the cgroup first, and set its limit before they start anything in it.
    if (one.limitless && now - one.since_ns < kBeginningNs) {
      if (seldom) {
        arm(id, one);
      }
    } else if (one.limitless) {
      tell_once(one, "it has no limit, and none above it");
    }
    if ((limits && (one.stage == Stage::kArmed || one.stage == Stage::kNoLine)) ||
        (usage && one.stage == Stage::kArmed)) {
      follow(id, one);
    }
    if ((seldom && one.stage == Stage::kWaiting) || (table_ == nullptr && one.stage == Stage::kArmed)) {
      watch_usage(id, one);
    }
    if (one.stage == Stage::kArmed && !one.refreshed && now - one.since_ns > kRefreshNs) {
      one.refreshed = true;
      refresh = true;
    }
  }
  if (refresh && table_ != nullptr) {
    table_->refresh();
  }
}

void BreakArms::reach(std::uint64_t cgroup_id) {
  if (const auto one = known_.find(cgroup_id); one != known_.end() && one->second.stage == Stage::kArmed) {
    one->second.stage = Stage::kReached;
  }
}

void BreakArms::settle(std::uint64_t cgroup_id) {
  const auto one = known_.find(cgroup_id);
  if (one == known_.end()) {
    if (table_ != nullptr) {
      table_->disarm(cgroup_id);
    }
    return;
  }
  const auto after = settings(one->second).rearm_after.value_or(std::chrono::nanoseconds(0));
  wait(cgroup_id, one->second, std::max(kRestNs, static_cast<std::uint64_t>(after.count())));
  one->second.floor.reset();  // what it grew by before is told
  if (!rearm_below(one->second)) {
    one->second.stage = Stage::kReached;
  }
}

void BreakArms::disarm_all() {
  if (table_ != nullptr) {
    table_->disarm_all();
  }
  known_.clear();
}

std::size_t BreakArms::armed() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(known_, [](const auto& one) { return one.second.stage == Stage::kArmed; }));
}

std::optional<std::string> BreakArms::dir_of(std::uint64_t cgroup_id) const {
  const auto one = known_.find(cgroup_id);
  return one == known_.end() ? std::nullopt : tree_.dir_of(one->second.path);
}

std::string BreakArms::rule_of(std::uint64_t cgroup_id) const {
  const auto one = known_.find(cgroup_id);
  return one == known_.end()     ? ""
         : one->second.by_growth ? to_string(*options_.settings.growth)
         : options_.settings.at  ? to_string(*options_.settings.at)
                                 : "";
}

const BreakSettings& BreakArms::settings_of(std::uint64_t cgroup_id) const {
  const auto one = known_.find(cgroup_id);
  return one == known_.end() ? options_.settings : settings(one->second);
}

bool BreakArms::is_ours(std::uint64_t cgroup_id) const { return known_.contains(cgroup_id); }

}  // namespace memcrest
