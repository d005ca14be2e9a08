// SPDX-License-Identifier: Apache-2.0
#include "collector/collector.h"

#include <algorithm>

#include "incident/verdict.h"
#include "util/units.h"

namespace memcrest {
namespace {

// How often the usage of an active cgroup is read where no hook shows memory being given back.
constexpr std::uint64_t kSampleNs = 5 * kMillisecond;
// The same for one that only had a step lately: what it gives back sets the base of its next burst.
constexpr std::uint64_t kQuietSampleNs = 50 * kMillisecond;
// What a burst already told explains of its ancestors' bursts is remembered this long.
constexpr std::uint64_t kToldNs = 10'000 * kMillisecond;
// How finely it is known when something was lost.
constexpr std::uint64_t kLossNs = 100 * kMillisecond;
// A burst is held back so long for one further inside to end as well. OOMs are not.
constexpr std::uint64_t kBurstDelayNs = 25 * kMillisecond;
constexpr std::uint64_t kAftermathNs = 50 * kMillisecond;
constexpr std::size_t kMaxTold = 1024;
constexpr std::size_t kMaxWaiting = 4096;
constexpr std::size_t kMaxCut = 1024;
constexpr std::size_t kKeptBatch = 2048;

bool is_below(const std::string& child, const std::string& parent) {
  return parent == "/" || (child.size() > parent.size() && child.starts_with(parent) && child[parent.size()] == '/');
}

LossCount difference(const LossCount& now, const LossCount& before) {
  LossCount out;
  out.critical = now.critical - before.critical;
  out.bulk = now.bulk - before.bulk;
  out.throttled = now.throttled - before.throttled;
  out.invalid = now.invalid - before.invalid;
  out.untracked = now.untracked - before.untracked;
  return out;
}

// The watermark never falls: where it rose during a burst it is that burst's peak, unless a later one went higher.
void set_exact_peak(BurstFinding& finding, std::uint64_t watermark) {
  Burst& burst = finding.burst;
  if (watermark < burst.peak_bytes || watermark > burst.peak_bytes + finding.quantum_bytes) {
    return;
  }
  burst.peak_bytes = watermark;
  burst.peak_exact = true;
  burst.growth_bytes = burst.peak_bytes - std::min(burst.base_bytes, burst.peak_bytes);
  if (burst.duration_ms > 0) {
    burst.slope_bytes_per_s = static_cast<double>(burst.growth_bytes) * 1e3 / burst.duration_ms;
  }
}

}  // namespace

Collector::Collector(EventSource& source, Surroundings& around, CollectorSettings settings, Sink sink)
    : source_(source),
      around_(around),
      settings_(std::move(settings)),
      sink_(std::move(sink)),
      bursts_(settings_.bursts),
      ooms_(settings_.ooms),
      aftermath_(around) {}

EventSource::Status Collector::turn(std::chrono::milliseconds longest) {
  if (batch_.capacity() > kKeptBatch) {  // a storm's: half a KiB for each event
    std::vector<Event>().swap(batch_);
  }
  batch_.clear();
  // Whatever happened before this was read: only up to here is it known that nothing more can join an OOM, a burst or a
  // row of refusals.
  now_ = around_.now();
  const std::uint64_t read_until = now_.boot_ns;
  const auto status = source_.poll(wait_time(longest), batch_);
  now_ = around_.now();
  for (const Event& event : batch_) {
    handle(event);
  }
  totals_.events += batch_.size();
  around_.tend();
  if (!settings_.falls_are_seen) {
    sample_active();
  }
  const std::uint64_t now = now_.boot_ns;
  note_loss(now);
  // OOMs first: the rise that led to one belongs to it and not to a burst of its own.
  collect_ooms(read_until);
  bursts_.advance(read_until);
  collect_bursts(now, false);
  collect_failures(read_until, false);
  collect_exits(read_until);
  release(now, false);
  return status;
}

void Collector::finish() {
  now_ = around_.now();
  collect_ooms(~0ULL);
  bursts_.close(now_.boot_ns);
  collect_bursts(now_.boot_ns, true);
  collect_failures(now_.boot_ns, true);
  collect_exits(~0ULL);
  release(now_.boot_ns, true);
}

std::chrono::milliseconds Collector::wait_time(std::chrono::milliseconds longest) const {
  const std::uint64_t now = now_.boot_ns;
  std::uint64_t wait = static_cast<std::uint64_t>(longest.count()) * kMillisecond;
  for (const auto& deadline : {ooms_.deadline(), failures_.deadline(), exits_.deadline()}) {
    if (deadline) {
      wait = std::min(wait, *deadline > now ? *deadline - now : 0);
    }
  }
  if (!settings_.falls_are_seen && bursts_.any_under_way()) {
    wait = std::min(wait, kSampleNs);
  } else if (bursts_.any_active()) {
    wait = std::min(wait, kQuietSampleNs);
  }
  if (!waiting_.empty() || !ended_.empty()) {
    wait = std::min(wait, 2 * kMillisecond);
  }
  if (aftermath_.any()) {
    wait = std::min(wait, kAftermathNs);
  }
  // Rounded up: a wait of 0.4 ms must not become a busy loop.
  return std::chrono::milliseconds((wait + kMillisecond - 1) / kMillisecond);
}

void Collector::handle(const Event& event) {
  around_.note(event);
  std::visit([this](const auto& typed) { on(typed); }, event);
}

void Collector::on(const StepEvent& event) {
  ++totals_.steps;
  bursts_.step(event);
  floors_.add(event.cgroup_id, event.time_ns, event.usage_bytes);
  ooms_.note(event.serial, event.oom_events);
  stalls_.note(event.cgroup_id, event.time_ns, event.reclaim_ns, event.throttle_ns);
}

void Collector::on(const SampleEvent& event) {
  bursts_.sample(event);
  floors_.add(event.cgroup_id, event.time_ns, event.usage_bytes);
}
void Collector::on(const ExecEvent& /*event*/) {}
void Collector::on(const ThrottleEvent& event) { bursts_.missing(event.cgroup_id, event.time_ns); }
void Collector::on(const ExitEvent& event) {
  ooms_.feed(event);
  if (settings_.ends_are_told) {
    exits_.feed(event, bursts_.usage_at(event.task.cgroup_id, event.time_ns));
  }
}
void Collector::on(const OomEvent& event) { ooms_.feed(event); }
void Collector::on(const KillEvent& event) {
  ooms_.feed(event);
  if (settings_.ends_are_told) {  // before its memory falls, and its cgroup goes
    exits_.feed(event, bursts_.usage_at(event.target.cgroup_id, event.time_ns));
  }
}
void Collector::on(const ChargeFailureEvent& event) { failures_.feed(event, now_.boot_ns); }

void Collector::on(const LogOomEvent& event) {
  const bool log_alone = settings_.ooms.log_wait.count() == 0;
  for (const std::string& path : {event.limit_path, event.victim_path}) {
    // Where hooks see the kill, they cut the rise at its moment.
    const std::uint64_t id = path.empty() || !log_alone ? 0 : around_.find_path(path).cgroup.id;
    if (id != 0 && !event.victims.empty()) {
      cut_rise({event.victims.front().pid, 0}, id, event.time_ns, std::nullopt);
    }
  }
  ooms_.feed(event);
}

void Collector::on(const VictimEvent& event) {
  // While the victim still lives: after this its memory falls.
  for (const MemcgState& memcg : event.chain.entries) {
    cut_rise(event.task.process, memcg.cgroup_id, event.time_ns, memcg.watermark_bytes);
    stalls_.note(memcg.cgroup_id, event.time_ns, memcg.reclaim_ns, memcg.throttle_ns);
  }
  ooms_.feed(event);
  exits_.feed(event);
}

void Collector::cut_rise(const ProcessKey& victim, std::uint64_t cgroup_id, std::uint64_t time_ns,
                         std::optional<std::uint64_t> watermark) {
  auto rise = bursts_.cut(cgroup_id, time_ns);
  rise = rise ? std::move(rise) : take_back(cgroup_id, time_ns);
  if (rise && cut_.size() < kMaxCut) {
    if (rise->watermark_rose && watermark) {
      set_exact_peak(*rise, *watermark);
    } else if (!watermark) {
      sharpen_peak(*rise);
    }
    cut_.emplace(std::pair(victim, cgroup_id), std::move(*rise));
  }
}

// A look at the usage file can see the fall before the record of the kill is read: the burst is this kill's after all.
std::optional<BurstFinding> Collector::take_back(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  const auto found = std::ranges::find_if(ended_, [&](const Ended& one) {
    return one.finding.cgroup_id == cgroup_id && one.finding.burst.end == BurstEnd::kFell &&
           one.finding.end_ns >= time_ns;
  });
  if (found == ended_.end()) {
    return std::nullopt;
  }
  BurstFinding out = std::move(found->finding);
  ended_.erase(found);
  out.burst.end = BurstEnd::kKilled;
  return out;
}

void Collector::on(const CgroupEvent& event) {
  if (event.created) {
    bursts_.created(event.cgroup_id, event.time_ns);
    floors_.created(event.cgroup_id, event.time_ns);
  } else {
    bursts_.removed(event.cgroup_id, event.time_ns);
    floors_.removed(event.cgroup_id);
  }
}

void Collector::sample_active() {
  const std::uint64_t now = now_.boot_ns;
  if (now - last_sample_ns_ < kSampleNs) {
    return;
  }
  // Falls matter most while a burst is open; elsewhere they only set the next one's base.
  const bool all = now - last_full_sample_ns_ >= kQuietSampleNs;
  const auto active = all ? bursts_.active(now) : bursts_.under_way();
  last_sample_ns_ = now;
  if (all) {
    last_full_sample_ns_ = now;
  }
  for (const SampleEvent& sample : around_.sample(active)) {
    bursts_.sample(sample);
    floors_.add(sample.cgroup_id, sample.time_ns, sample.usage_bytes);
  }
}

void Collector::collect_failures(std::uint64_t now_ns, bool all) {
  for (const ChargeFailureFinding& finding : failures_.take(now_ns, all)) {
    tell_failure(finding);
  }
}

void Collector::collect_exits(std::uint64_t now_ns) {
  for (const ExitFinding& finding : exits_.take(now_ns)) {
    tell_exit(finding);
  }
}

void Collector::collect_ooms(std::uint64_t now_ns) {
  for (const OomFinding& finding : ooms_.take(now_ns)) {
    tell_oom(finding);
  }
  if (!ooms_.deadline()) {
    cut_.clear();
  }
}

void Collector::collect_bursts(std::uint64_t now_ns, bool all) {
  for (BurstFinding& finding : bursts_.take()) {
    sharpen_peak(finding);
    std::string path = around_.find(finding.cgroup_id).cgroup.path;
    ended_.push_back({std::move(finding), std::move(path), now_ns});
  }
  // Innermost first, and each a little late: usage counts upwards, so a burst in a container is one in all its
  // ancestors too, and those may notice the end a moment earlier.
  std::ranges::stable_sort(ended_, std::ranges::greater{},
                           [](const Ended& one) { return std::ranges::count(one.path, '/'); });
  const auto due = [&](const Ended& one) { return all || now_ns - one.since_ns >= kBurstDelayNs; };
  // told_below() looks at all of ended_: nothing leaves it before the last has been told.
  for (const Ended& one : ended_) {
    if (due(one) && !told_below(one)) {
      told_.push_back({one.path, one.finding.burst.start_boot_ns, one.finding.end_ns, one.finding.burst.growth_bytes});
      tell_burst(one.finding);
    }
  }
  std::erase_if(ended_, due);
  while (told_.size() > kMaxTold || (!told_.empty() && told_.front().end_ns + kToldNs < now_ns)) {
    told_.pop_front();
  }
}

bool Collector::told_below(const Ended& ended) const {
  const Burst& burst = ended.finding.burst;
  const auto explains = [&](const std::string& path, std::uint64_t start_ns, std::uint64_t end_ns,
                            std::uint64_t growth_bytes) {
    return is_below(path, ended.path) && end_ns >= burst.start_boot_ns && start_ns <= ended.finding.end_ns &&
           growth_bytes >= burst.growth_bytes / 2;
  };
  return !ended.path.empty() &&
         (std::ranges::any_of(
              told_, [&](const Told& one) { return explains(one.path, one.start_ns, one.end_ns, one.growth_bytes); }) ||
          std::ranges::any_of(ended_, [&](const Ended& one) {
            return explains(one.path, one.finding.burst.start_boot_ns, one.finding.end_ns,
                            one.finding.burst.growth_bytes);
          }));
}

// Steps know the peak to one quantum; the kernel's watermark knows it to the page, if it is this burst's.
void Collector::sharpen_peak(BurstFinding& finding) const {
  if (!finding.watermark_rose) {
    return;
  }
  const Identity identity = around_.find(finding.cgroup_id);
  if (const auto peak = around_.number(identity.cgroup.path, settings_.files.peak)) {
    set_exact_peak(finding, *peak);
  }
}

void Collector::hold(Incident incident, std::uint64_t evidence_from_ns, std::vector<Place> places, Origin origin) {
  waiting_.push_back({std::move(incident), now_.boot_ns, evidence_from_ns, std::move(places), std::move(origin)});
}

void Collector::release(std::uint64_t now_ns, bool all) {
  const auto wait_ns = static_cast<std::uint64_t>(settings_.identity_wait.count()) * kMillisecond;
  const auto stack_wait_ns = static_cast<std::uint64_t>(settings_.stack_wait.count()) * kMillisecond;
  std::vector<Waiting> still;
  // At the end the last names are waited for, for all incidents together.
  const auto patience_end = std::chrono::steady_clock::now() + std::chrono::milliseconds(all ? 500 : 0);
  const auto patience = [&] {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience_end - std::chrono::steady_clock::now());
    return std::clamp(left, std::chrono::milliseconds(0), std::chrono::milliseconds(200));
  };
  for (Waiting& one : waiting_) {
    // Known by its path only: there is nothing more to wait for.
    const bool path_only = one.incident.cgroup.id == 0 && !one.incident.cgroup.path.empty();
    const Identity identity = path_only ? around_.find_path(one.incident.cgroup.path)
                              : all && now_ns - one.since_ns < wait_ns
                                  ? around_.wait(one.incident.cgroup.id, patience())
                                  : around_.find(one.incident.cgroup.id);
    const bool can_wait = !all && waiting_.size() < kMaxWaiting;
    const bool last_look = !can_wait || now_ns - one.since_ns >= stack_wait_ns;
    const bool all_named = named(one, all ? patience() : std::chrono::milliseconds(0), last_look);
    const bool pending = identity.pending || (one.incident.end && senders_pending(*one.incident.end));
    if ((pending && can_wait && now_ns - one.since_ns < wait_ns) || !all_named) {
      still.push_back(std::move(one));
      continue;
    }
    one.incident.container = identity.container;
    if (identity.known) {
      one.incident.cgroup.path = identity.cgroup.path;
    }
    if (identity.pending && one.incident.container.unknown_reason.empty()) {
      one.incident.container.unknown_reason = "the container runtime has not answered yet";
    }
    if (one.incident.end && !is_worth_telling(one.incident)) {
      continue;
    }
    judge_roles(one.incident, one.places);
    if (one.incident.ranking) {
      around_.complete_names(*one.incident.ranking);
    }
    add_evidence(one.incident, one.evidence_from_ns);
    conclude(one.incident);
    sink_(one.incident);
    aftermath_.follow(one.incident, now_ns);
  }
  waiting_ = std::move(still);
  aftermath_.collect(now_ns, all, sink_);
}

void Collector::note_loss(std::uint64_t now_ns) {
  if (now_ns - last_loss_ns_ < kLossNs) {
    return;
  }
  last_loss_ns_ = now_ns;
  const LossCount now = source_.loss();
  if (loss_history_.empty() || !(loss_history_.back().second == now)) {
    loss_history_.emplace_back(now_ns, now);
  }
  // Enough to say what was lost during the longest burst that anybody asks about.
  while (loss_history_.size() > 4096) {
    loss_history_.pop_front();
  }
}

// The floors of the cgroup that was full, up to the rise that is this incident's. Where that rise is most of what is
// known, nothing of a floor before it can be told, and the whole course tells more.
void Collector::look_back(Incident& incident, std::uint64_t cgroup_id) {
  constexpr double kHistoryOverRise = 3;
  const bool rise = incident.burst && incident.burst->start_boot_ns != 0;
  if (rise) {
    incident.trend = floors_.trend(cgroup_id, incident.burst->start_boot_ns, incident.limit.bytes);
    if (incident.trend && incident.trend->window_ms >= kHistoryOverRise * incident.burst->duration_ms) {
      return;
    }
  }
  if (auto whole = floors_.trend(cgroup_id, incident.boot_ns, incident.limit.bytes)) {
    incident.trend = whole;
    incident.trend->with_rise = rise;
  }
}

void Collector::add_evidence(Incident& incident, std::uint64_t from_ns) const {
  Evidence& evidence = incident.evidence;
  evidence.charge_tier = settings_.charge_tier;
  evidence.oom_tier = settings_.oom_tier;
  LossCount before;
  // Where steps were lost a rise seems to begin later than it did.
  const std::uint64_t window_ns = static_cast<std::uint64_t>(settings_.bursts.window.count());
  for (const auto& [time, count] : loss_history_) {
    if (time + window_ns >= from_ns) {
      break;
    }
    before = count;
  }
  const LossCount lost = difference(source_.loss(), before);
  evidence.lost_critical = lost.critical + lost.invalid;
  evidence.lost_bulk = lost.bulk;
  if (lost.untracked > 0) {
    evidence.gaps.emplace_back("more memory cgroups than the kernel-side table holds: some were not followed");
  }
  evidence.gaps.insert(evidence.gaps.end(), settings_.standing_gaps.begin(), settings_.standing_gaps.end());
  if (incident.cgroup.path.empty()) {
    evidence.gaps.emplace_back("the path of the cgroup is not known");
  }
  if (incident.container.name.empty() && !incident.container.id.empty()) {
    evidence.gaps.emplace_back("the container's name is not known: " + incident.container.unknown_reason);
  }
  const Container& container = incident.container;
  if (container.pod && !container.name.empty() && !container.pod->unknown_reason.empty()) {
    const bool pod_told = container.pod->owner || !container.pod->labels.empty();
    evidence.gaps.emplace_back((pod_told ? "the container's memory request and restart count are not known: "
                                         : "the pod's owner, labels and memory request are not known: ") +
                               container.pod->unknown_reason);
  }
  if (auto gap = around_.stream_gap(container, incident.cgroup.path); !gap.empty()) {
    evidence.gaps.push_back(std::move(gap));
  }
  evidence.complete = evidence.gaps.empty() && evidence.lost_critical == 0 && evidence.lost_bulk == 0;
}

}  // namespace memcrest
