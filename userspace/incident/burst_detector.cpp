// SPDX-License-Identifier: Apache-2.0
#include "incident/burst_detector.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "incident/rise.h"
#include "incident/samplers.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kMinBurst = 16U << 20U;
constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::uint64_t kMaxQuantum = 1ULL << 60U;
constexpr std::size_t kShapePoints = 16;
constexpr std::size_t kMaxWatermarks = 4096;
constexpr std::size_t kMaxPoints = 4096;
constexpr std::uint64_t kMaxAgeNs = 120'000'000'000;
constexpr std::uint64_t kMinWindowNs = 1'000'000;

double to_ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

std::uint64_t minus(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

struct BurstDetector::Track {
  struct Open {
    std::uint64_t start_ns = 0;
    std::uint64_t base_bytes = 0;
    std::uint64_t peak_bytes = 0;
    std::uint64_t peak_ns = 0;
    // The last peak that was well above the one before: a slow creep does not keep a burst open.
    std::uint64_t progress_bytes = 0;
    std::uint64_t progress_ns = 0;
    std::uint64_t watermark_at_start = 0;
    std::uint64_t least_bytes = 0;  // what made it a burst: trimming its foot must leave as much
    bool steps_missing = false;
  };

  explicit Track(std::uint64_t window) : window_ns(window), lows(window) {}

  void add(UsagePoint point);
  void add_late(const StepEvent& event);
  void begin_empty(std::uint64_t time_ns);
  void note_watermark(std::uint64_t time_ns, std::uint64_t bytes);
  [[nodiscard]] bool comes_late(std::uint64_t time_ns) const { return has_points() && time_ns < last().time_ns; }
  void blame(const StepEvent& event);
  void open_if_risen(std::uint64_t least);
  [[nodiscard]] Open rise_from(const UsagePoint& lowest) const;
  [[nodiscard]] Open without_foot(Open rise) const;
  [[nodiscard]] BurstFinding finish(const Open& whole, std::uint64_t end_ns, BurstEnd end, std::uint64_t unsure_ns);
  [[nodiscard]] std::vector<std::uint64_t> shape(const Open& rise, std::uint64_t end_ns) const;
  [[nodiscard]] bool has_points() const { return !history.points().empty(); }
  [[nodiscard]] const UsagePoint& last() const { return history.points().back(); }

  std::uint64_t window_ns;
  std::uint64_t cgroup_id = 0;
  UsageHistory history{kMaxPoints, kMaxAgeNs};
  SlidingMinimum lows;
  GrowthLedger ledger;
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t quantum = kMiB;
  std::uint64_t told_bytes = 0;  // usage up to which the ledger says who
  std::uint64_t watermark = 0;
  std::uint64_t last_step_ns = 0;
  std::uint64_t last_missing_ns = 0;                               // when steps were last left out
  std::deque<std::pair<std::uint64_t, std::uint64_t>> watermarks;  // time, watermark; one per rise of it
  std::optional<Open> open;
};

void BurstDetector::Track::add(UsagePoint point) {
  if (has_points()) {
    point.time_ns = std::max(point.time_ns, last().time_ns);
  }
  if (!open) {
    ledger.forget_before(minus(point.time_ns, 2 * window_ns));
  }
  told_bytes = std::min(told_bytes, point.usage_bytes);
  history.add(point, quantum / 4);
  lows.add(last());
}

// A record that was overtaken, by one of another CPU or by a look at the usage file. What it saw is over: taken as the
// newest it would look like a fall and a second rise. Who grew the cgroup still counts.
void BurstDetector::Track::add_late(const StepEvent& event) {
  told_bytes = event.down ? std::min(told_bytes, event.usage_bytes) : told_bytes;
  blame(event);
}

// The cgroup began with nothing at `time_ns`, whether or not its first steps have overtaken the news of it.
void BurstDetector::Track::begin_empty(std::uint64_t time_ns) {
  if (has_points() &&
      (open || time_ns > history.points().front().time_ns || history.points().front().time_ns - time_ns > window_ns)) {
    return;
  }
  history.begin_with({time_ns, 0, false});
  lows.restart(history.points().front());
  for (const UsagePoint& point : history.points()) {
    lows.add(point);
  }
  watermarks.emplace_front(time_ns, 1);  // any peak from here on is a new one
}

void BurstDetector::Track::note_watermark(std::uint64_t time_ns, std::uint64_t bytes) {
  if (bytes <= watermark) {
    return;
  }
  watermark = bytes;
  watermarks.emplace_back(time_ns, bytes);
  // Only the last one from before a rise is ever asked for.
  while (watermarks.size() > 2 && !open && watermarks[1].first < minus(time_ns, 2 * window_ns)) {
    watermarks.pop_front();
  }
  if (watermarks.size() > kMaxWatermarks) {
    watermarks.erase(watermarks.begin() + 1);
  }
}

// A sample may see memory before the step that tells whose it is: growth waits for its step.
void BurstDetector::Track::blame(const StepEvent& event) {
  if (event.usage_bytes > told_bytes) {
    ledger.add(last().time_ns, event.foreign ? nullptr : &event.task, event.usage_bytes - told_bytes);
    told_bytes = event.usage_bytes;
  }
}

// The rise that leads from the lowest point of the window to now. It starts where usage left the base by more than a
// quantum for the last time.
BurstDetector::Track::Open BurstDetector::Track::rise_from(const UsagePoint& lowest) const {
  const auto& points = history.points();
  Open out;
  out.base_bytes = lowest.usage_bytes;
  std::size_t at_base = points.size() - 1;
  while (at_base > 0 && points[at_base].time_ns >= lowest.time_ns &&
         points[at_base].usage_bytes > lowest.usage_bytes + quantum / 2) {
    --at_base;
  }
  const std::size_t first = std::min(at_base + 1, points.size() - 1);
  out.start_ns = points[first].time_ns;
  for (std::size_t i = first; i < points.size(); ++i) {
    if (points[i].usage_bytes > out.peak_bytes) {
      out.peak_bytes = points[i].usage_bytes;
      out.peak_ns = points[i].time_ns;
    }
  }
  // One leap from base to peak: it took at most since the last look at the base.
  if (out.start_ns == out.peak_ns) {
    out.start_ns = std::max(points[at_base].time_ns, minus(out.peak_ns, window_ns));
  }
  out.watermark_at_start = 0;
  for (const auto& [time, value] : watermarks) {
    if (time >= out.start_ns) {
      break;
    }
    out.watermark_at_start = value;
  }
  out.steps_missing = last_missing_ns >= out.start_ns && last_missing_ns != 0;
  return out;
}

void BurstDetector::Track::open_if_risen(std::uint64_t least) {
  const UsagePoint lowest = lows.lowest();
  if (last().usage_bytes > lowest.usage_bytes && last().usage_bytes - lowest.usage_bytes >= least) {
    open = rise_from(lowest);
    open->least_bytes = least;
    open->progress_bytes = open->peak_bytes;
    open->progress_ns = open->peak_ns;
    lows.restart(last());
  }
}

std::vector<std::uint64_t> BurstDetector::Track::shape(const Open& rise, std::uint64_t end_ns) const {
  const std::uint64_t rise_ns = std::max<std::uint64_t>(minus(rise.peak_ns, rise.start_ns), 1'000'000);
  const std::uint64_t from = minus(rise.start_ns, rise_ns / 4);
  // A long plateau would press the rise into one column.
  const std::uint64_t to = std::max(rise.peak_ns, std::min(end_ns, rise.peak_ns + rise_ns));
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < kShapePoints; ++i) {
    out.push_back(history.at(from + (to - from) / (kShapePoints - 1) * i));
  }
  out.back() = history.at(to);
  return out;
}

// A burst often stands on a slow foot (a container's start-up before its program grows). It begins where the last
// fifteen sixteenths of it begin, or its duration would say little.
BurstDetector::Track::Open BurstDetector::Track::without_foot(Open rise) const {
  const std::uint64_t foot = rise.base_bytes + (rise.peak_bytes - rise.base_bytes) / 16;
  const auto& points = history.points();
  auto at = std::ranges::lower_bound(points, rise.start_ns, {}, &UsagePoint::time_ns);
  auto last_low = points.end();
  for (; at != points.end() && at->time_ns < rise.peak_ns; ++at) {
    last_low = at->usage_bytes <= foot ? at : last_low;
  }
  if (last_low == points.end() || rise.peak_bytes - last_low->usage_bytes < rise.least_bytes) {
    return rise;
  }
  rise.base_bytes = std::max(rise.base_bytes, last_low->usage_bytes);
  rise.start_ns = last_low->time_ns;
  return rise;
}

BurstFinding BurstDetector::Track::finish(const Open& whole, std::uint64_t end_ns, BurstEnd end,
                                          std::uint64_t unsure_ns) {
  const Open rise = without_foot(whole);
  BurstFinding out;
  out.cgroup_id = cgroup_id;
  out.end_ns = end_ns;
  out.limit_bytes = limit_bytes;
  out.watermark_bytes = watermark;
  out.quantum_bytes = quantum;
  // What was known of the watermark at the start may be a quantum too low: one that is far above all that steps saw is
  // the peak of an earlier burst.
  out.watermark_rose = rise.watermark_at_start != 0 && watermark > rise.watermark_at_start &&
                       minus(watermark, rise.peak_bytes) <= 2 * std::min(quantum, kMaxQuantum);
  out.steps_missing = rise.steps_missing || (last_missing_ns != 0 && last_missing_ns >= rise.start_ns);
  Burst& burst = out.burst;
  burst.start_boot_ns = rise.start_ns;
  burst.base_bytes = rise.base_bytes;
  burst.peak_bytes = out.watermark_rose ? std::max(watermark, rise.peak_bytes) : rise.peak_bytes;
  burst.growth_bytes = minus(burst.peak_bytes, burst.base_bytes);
  const std::uint64_t rise_ns = minus(rise.peak_ns, rise.start_ns);
  burst.duration_ms = to_ms(rise_ns);
  burst.slope_bytes_per_s =
      rise_ns > 0 ? static_cast<double>(burst.growth_bytes) * 1e9 / static_cast<double>(rise_ns) : 0;
  burst.end = end;
  burst.end_uncertainty_ms = to_ms(unsure_ns);
  burst.contributors = ledger.since(rise.start_ns);
  burst.shape = shape(rise, end_ns);
  out.samplers = samplers_view(history, rise.start_ns, end_ns, burst.base_bytes, burst.peak_bytes);
  const std::uint64_t half = burst.base_bytes + burst.growth_bytes / 2;
  burst.above_half_ms = to_ms(time_above(history, rise.start_ns, end_ns, half));
  open.reset();
  return out;
}

BurstDetector::BurstDetector(BurstSettings settings) : settings_(settings) {}
BurstDetector::~BurstDetector() = default;

BurstDetector::Track& BurstDetector::track(std::uint64_t cgroup_id) {
  const auto found = tracks_.find(cgroup_id);
  if (found != tracks_.end()) {
    return *found->second;
  }
  if (!tracks_.empty() && tracks_.size() >= settings_.max_cgroups) {
    forget_quietest();
  }
  const auto window = std::max(static_cast<std::int64_t>(kMinWindowNs), settings_.window.count());
  auto& slot = tracks_[cgroup_id];
  slot = std::make_unique<Track>(static_cast<std::uint64_t>(window));
  slot->cgroup_id = cgroup_id;
  return *slot;
}

// A burst under way is told as far as it went.
void BurstDetector::forget_quietest() {
  const auto quietest = std::ranges::min_element(tracks_, {}, [](const auto& entry) {
    return std::pair(entry.second->open.has_value(), entry.second->last_step_ns);
  });
  Track& one = *quietest->second;
  if (one.open) {
    const auto rise = *one.open;
    ended_.push_back(one.finish(rise, one.last().time_ns, BurstEnd::kOpen, 0));
  }
  active_.erase(quietest->first);
  tracks_.erase(quietest);
}

void BurstDetector::created(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  Track& one = track(cgroup_id);
  one.begin_empty(time_ns);
  one.last_step_ns = std::max(one.last_step_ns, time_ns);  // young, not quiet
}

void BurstDetector::step(const StepEvent& event) {
  Track& one = track(event.cgroup_id);
  level_out(one, event.time_ns);
  one.limit_bytes = event.limit_bytes;
  one.quantum = std::clamp<std::uint64_t>(event.quantum_bytes, 1, kMaxQuantum);
  one.last_step_ns = std::max(one.last_step_ns, event.time_ns);
  if (event.suppressed > 0) {
    one.last_missing_ns = event.time_ns;
  }
  one.note_watermark(event.time_ns, event.watermark_bytes);
  active_.insert(event.cgroup_id);
  if (one.comes_late(event.time_ns) && event.usage_bytes <= one.last().usage_bytes) {
    one.add_late(event);
    return;
  }
  const bool base_line = !one.has_points();
  one.add({event.time_ns, event.usage_bytes, false});
  if (base_line) {
    one.told_bytes = event.usage_bytes;
  } else {
    one.blame(event);
  }
  settle(one, false);
}

void BurstDetector::sample(const SampleEvent& event) {
  const auto found = tracks_.find(event.cgroup_id);
  if (found == tracks_.end() || !found->second->has_points() || found->second->comes_late(event.time_ns)) {
    return;  // a sample alone is no base line: nothing says what came before; an overtaken one says nothing new
  }
  level_out(*found->second, event.time_ns);
  found->second->add({event.time_ns, event.usage_bytes, true});
  settle(*found->second, true);
}

// A rise that made no progress for a window is over, at the end of that window.
void BurstDetector::level_out(Track& one, std::uint64_t now_ns) {
  if (one.open && minus(now_ns, one.open->progress_ns) > one.window_ns) {
    const auto rise = *one.open;
    ended_.push_back(one.finish(rise, rise.progress_ns + one.window_ns, BurstEnd::kLevelled, 0));
  }
}

// After a new point: a burst opens, goes on to a new peak, or has fallen.
void BurstDetector::settle(Track& one, bool sampled) {
  const UsagePoint now = one.last();
  if (!one.open) {
    const std::uint64_t least = settings_.min_bytes.value_or(std::max(kMinBurst, one.limit_bytes.value_or(0) / 20));
    one.open_if_risen(least);
    return;
  }
  auto& open = *one.open;
  if (now.usage_bytes > open.peak_bytes) {
    open.peak_bytes = now.usage_bytes;
    open.peak_ns = now.time_ns;
    // The next burst's base lies after this one's peak, so that no growth is told twice.
    one.lows.restart(now);
    if (open.peak_bytes - open.progress_bytes >=
        std::min((open.peak_bytes - open.base_bytes) / 16, open.least_bytes / 4)) {
      open.progress_bytes = open.peak_bytes;
      open.progress_ns = open.peak_ns;
    }
    return;
  }
  if (now.usage_bytes > open.base_bytes + (open.peak_bytes - open.base_bytes) / 2) {
    return;
  }
  // A hook tells each quantum of a fall; anything that drops further at once was found late.
  const auto& points = one.history.points();
  const UsagePoint before = points.size() > 1 ? points[points.size() - 2] : now;
  const bool late = sampled || minus(before.usage_bytes, now.usage_bytes) > 2 * one.quantum;
  const auto rise = open;
  ended_.push_back(one.finish(rise, now.time_ns, BurstEnd::kFell, late ? now.time_ns - before.time_ns : 0));
}

void BurstDetector::advance(std::uint64_t now_ns) {
  for (auto id = active_.begin(); id != active_.end();) {
    const auto found = tracks_.find(*id);
    if (found == tracks_.end()) {
      id = active_.erase(id);
      continue;
    }
    Track& one = *found->second;
    level_out(one, now_ns);
    const bool quiet = !one.open && minus(now_ns, one.last_step_ns) > one.window_ns;
    if (quiet) {
      one.ledger.clear();
    }
    id = quiet ? active_.erase(id) : std::next(id);
  }
}

std::vector<BurstFinding> BurstDetector::take() {
  std::ranges::stable_sort(ended_, {}, &BurstFinding::end_ns);
  return std::exchange(ended_, {});
}

std::optional<BurstFinding> BurstDetector::cut(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  const auto found = tracks_.find(cgroup_id);
  if (found == tracks_.end() || !found->second->has_points()) {
    return std::nullopt;
  }
  Track& one = *found->second;
  const std::uint64_t end_ns = std::max(time_ns, one.last().time_ns);
  if (one.open) {
    const auto rise = *one.open;
    one.lows.restart(one.last());
    return one.finish(rise, end_ns, BurstEnd::kKilled, 0);
  }
  // The same batch of events may hold the fall that the kill itself caused.
  for (auto ended = ended_.begin(); ended != ended_.end(); ++ended) {
    if (ended->cgroup_id == cgroup_id && ended->end_ns + one.window_ns >= time_ns) {
      BurstFinding out = std::move(*ended);
      ended_.erase(ended);
      out.burst.end = BurstEnd::kKilled;
      return out;
    }
  }
  if (one.last().usage_bytes < one.lows.lowest().usage_bytes + one.quantum) {
    return std::nullopt;
  }
  const auto rise = one.rise_from(one.lows.lowest());
  if (rise.peak_ns + one.window_ns < time_ns) {
    return std::nullopt;
  }
  one.lows.restart(one.last());
  return one.finish(rise, end_ns, BurstEnd::kKilled, 0);
}

void BurstDetector::removed(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  const auto found = tracks_.find(cgroup_id);
  if (found == tracks_.end()) {
    return;
  }
  Track& one = *found->second;
  if (one.open) {
    const auto rise = *one.open;
    const std::uint64_t end_ns = std::max(time_ns, one.last().time_ns);
    ended_.push_back(one.finish(rise, end_ns, BurstEnd::kRemoved, end_ns - one.last().time_ns));
  }
  active_.erase(cgroup_id);
  tracks_.erase(found);
}

std::vector<std::uint64_t> BurstDetector::active(std::uint64_t now_ns) const {
  std::vector<std::uint64_t> out;
  for (const std::uint64_t id : active_) {
    const auto found = tracks_.find(id);
    if (found != tracks_.end() &&
        (found->second->open || minus(now_ns, found->second->last_step_ns) <= found->second->window_ns)) {
      out.push_back(id);
    }
  }
  return out;
}

}  // namespace memcrest
