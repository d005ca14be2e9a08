// SPDX-License-Identifier: Apache-2.0
#include "incident/burst_track.h"

#include <algorithm>

#include "incident/samplers.h"
#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kShapePoints = 16;
constexpr std::size_t kMaxWatermarks = 4096;
constexpr std::size_t kMaxPoints = 4096;
constexpr std::uint64_t kMaxAgeNs = 120'000'000'000;
// What making a cgroup costs, and more: no sampler's picture changes by it.
constexpr std::uint64_t kLittle = 1U << 20U;
// How long a kill may follow the end of a rise and still be told with it.
constexpr std::uint64_t kPlateauWindows = 10;

double to_ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

std::uint64_t minus(std::uint64_t a, std::uint64_t b) { return saturating_sub(a, b); }

}  // namespace

BurstTrack::BurstTrack(std::uint64_t cgroup, std::uint64_t window, std::uint64_t foreign_wait)
    : cgroup_id(cgroup),
      window_ns(window),
      foreign_wait_ns(foreign_wait),
      history(kMaxPoints, kMaxAgeNs),
      lows(window) {}

bool BurstTrack::may_rest(std::uint64_t now_ns) const {
  if (!has_points() || open || waiting_bytes > 0 ||
      minus(now_ns, std::max(last().time_ns, last_step_ns)) <= window_ns ||
      (plateau && minus(now_ns, plateau->end_ns) <= kPlateauWindows * window_ns)) {
    return false;
  }
  const auto [low, high] = std::ranges::minmax(history.points(), {}, &UsagePoint::usage_bytes);
  return high.usage_bytes - low.usage_bytes < std::max(quantum, kLittle) || minus(now_ns, last().time_ns) > kMaxAgeNs;
}

RestingTrack BurstTrack::rest() const {
  return {.last = last(),
          .limit_bytes = limit_bytes,
          .quantum = quantum,
          .told_bytes = told_bytes,
          .watermark = watermarks.empty() ? std::pair<std::uint64_t, std::uint64_t>() : watermarks.back(),
          .last_step_ns = last_step_ns,
          .last_missing_ns = last_missing_ns};
}

void BurstTrack::wake(const RestingTrack& rest) {
  history.add(rest.last);
  lows.add(rest.last);
  limit_bytes = rest.limit_bytes;
  quantum = rest.quantum;
  told_bytes = rest.told_bytes;
  watermark = rest.watermark.second;
  if (watermark != 0) {
    watermarks.push_back(rest.watermark);
  }
  last_step_ns = rest.last_step_ns;
  last_missing_ns = rest.last_missing_ns;
}

void BurstTrack::add(UsagePoint point) {
  if (has_points()) {
    point.time_ns = std::max(point.time_ns, last().time_ns);
  }
  if (!open) {
    ledger.forget_before(minus(point.time_ns, 2 * window_ns));
  }
  told_bytes = std::min(told_bytes, point.usage_bytes);
  waiting_bytes = std::min(waiting_bytes, point.usage_bytes - told_bytes);
  history.add(point, quantum / 4);
  lows.add(last());
}

// A record that was overtaken, by one of another CPU or by a look at the usage file. What it saw is over: taken as the
// newest it would look like a fall and a second rise. Who grew the cgroup still counts.
void BurstTrack::add_late(const StepEvent& event) {
  told_bytes = event.down ? std::min(told_bytes, event.usage_bytes) : told_bytes;
  blame(event);
}

// The cgroup began with nothing at `time_ns`, whether or not its first steps have overtaken the news of it.
void BurstTrack::begin_empty(std::uint64_t time_ns) {
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

void BurstTrack::note_watermark(std::uint64_t time_ns, std::uint64_t bytes) {
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

// A sample may see memory before the step that tells whose it is: growth waits for its step. So may a task of another
// cgroup (BurstSettings::foreign_wait). An ancestor is looked
// at when one of its children takes a step: the task that runs then did not make all that came since the last look.
void BurstTrack::blame(const StepEvent& event) {
  if (event.usage_bytes <= told_bytes) {
    return;
  }
  if (waiting_bytes > 0 && minus(event.time_ns, waiting_ns) > foreign_wait_ns) {
    blame_nobody();
  }
  const std::uint64_t grown = minus(event.usage_bytes, told_bytes);
  if (event.foreign) {
    waiting_ns = waiting_bytes > 0 ? waiting_ns : event.time_ns;
    waiting_bytes = std::max(waiting_bytes, grown);
    if (foreign_wait_ns == 0) {
      blame_nobody();
    }
    return;
  }
  const std::uint64_t own = event.ancestor ? std::min(grown, quantum) : grown;
  ledger.add(last().time_ns, {.task = &event.task,
                              .bytes = own,
                              .page_cache = event.page_cache,
                              .kind = event.kind,
                              .user_stack = &event.user_stack,
                              .kernel_stack = &event.kernel_stack});
  if (grown > own) {
    ledger.add(last().time_ns, {.bytes = grown - own});
  }
  told_bytes += grown;
  waiting_bytes = minus(waiting_bytes, grown);
}

// No step of its own came for what others saw.
void BurstTrack::blame_nobody() {
  if (waiting_bytes > 0) {
    ledger.add(std::min(waiting_ns, last().time_ns), {.bytes = waiting_bytes});
    told_bytes += waiting_bytes;
    waiting_bytes = 0;
  }
}

// The rise that leads from the lowest point of the window to now. It starts where usage left the base by more than a
// quantum for the last time.
BurstTrack::Open BurstTrack::rise_from(const UsagePoint& lowest) const {
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

void BurstTrack::open_if_risen(std::uint64_t least) {
  const UsagePoint lowest = lows.lowest();
  if (last().usage_bytes > lowest.usage_bytes && last().usage_bytes - lowest.usage_bytes >= least) {
    open = rise_from(lowest);
    plateau.reset();
    open->least_bytes = least;
    open->progress_bytes = open->peak_bytes;
    open->progress_ns = open->peak_ns;
    lows.restart(last());
  }
}

std::vector<std::uint64_t> BurstTrack::shape(const Open& rise, std::uint64_t end_ns) const {
  const std::uint64_t rise_ns = std::max<std::uint64_t>(minus(rise.peak_ns, rise.start_ns), 1'000'000);
  const std::uint64_t from = minus(rise.start_ns, rise_ns / 4);
  // A long plateau would press the rise into one column.
  const std::uint64_t to = std::max(rise.peak_ns, std::min(end_ns, rise.peak_ns + rise_ns));
  std::vector<std::uint64_t> out;
  out.reserve(kShapePoints);
  for (std::size_t i = 0; i < kShapePoints; ++i) {
    out.push_back(history.at(from + (to - from) / (kShapePoints - 1) * i));
  }
  out.back() = history.at(to);
  return out;
}

// A burst may stand on a slow foot (a container's start-up before its program grows): where the first sixteenth took
// longer than all the rest, the burst begins after it, or its duration would say little.
BurstTrack::Open BurstTrack::without_foot(Open rise) const {
  const std::uint64_t foot = rise.base_bytes + (rise.peak_bytes - rise.base_bytes) / 16;
  const auto& points = history.points();
  auto at = std::ranges::lower_bound(points, rise.start_ns, {}, &UsagePoint::time_ns);
  auto last_low = points.end();
  for (; at != points.end() && at->time_ns < rise.peak_ns; ++at) {
    last_low = at->usage_bytes <= foot ? at : last_low;
  }
  if (last_low == points.end() || rise.peak_bytes - last_low->usage_bytes < rise.least_bytes ||
      last_low->time_ns - rise.start_ns < rise.peak_ns - last_low->time_ns) {
    return rise;
  }
  rise.base_bytes = std::max(rise.base_bytes, last_low->usage_bytes);
  rise.start_ns = last_low->time_ns;
  return rise;
}

BurstFinding BurstTrack::finish(const Open& whole, std::uint64_t end_ns, BurstEnd end, std::uint64_t unsure_ns) {
  const Open rise = without_foot(whole);
  blame_nobody();
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
  burst.page_cache_bytes = std::min(ledger.page_cache_since(rise.start_ns), burst.growth_bytes);
  burst.kinds = ledger.kinds_since(rise.start_ns);
  burst.threads = ledger.threads_since(rise.start_ns);
  out.stacks = ledger.stacks_since(rise.start_ns);
  out.seen_bytes = ledger.total_since(rise.start_ns);
  burst.shape = shape(rise, end_ns);
  out.samplers = samplers_view(history, rise.start_ns, end_ns, burst.base_bytes, burst.peak_bytes);
  const std::uint64_t half = burst.base_bytes + burst.growth_bytes / 2;
  burst.above_half_ms = to_ms(time_above(history, rise.start_ns, end_ns, half));
  open.reset();
  return out;
}

// A rise that made no progress for a window is over, at the end of that window.
void BurstTrack::level_out(std::uint64_t now_ns, std::vector<BurstFinding>& ended) {
  if (open && minus(now_ns, open->progress_ns) > window_ns) {
    const Open rise = *open;
    plateau = finish(rise, saturating_add(rise.progress_ns, window_ns), BurstEnd::kLevelled, 0);
    ended.push_back(*plateau);
  }
}

// After a new point: a burst opens, goes on to a new peak, or has fallen.
void BurstTrack::settle(bool sampled, std::uint64_t least, std::vector<BurstFinding>& ended) {
  const UsagePoint now = last();
  if (plateau && now.usage_bytes <= plateau->burst.base_bytes + plateau->burst.growth_bytes / 2) {
    plateau.reset();
  }
  if (!open) {
    open_if_risen(least);
    return;
  }
  if (now.usage_bytes > open->peak_bytes) {
    open->peak_bytes = now.usage_bytes;
    open->peak_ns = now.time_ns;
    // The next burst's base lies after this one's peak, so that no growth is told twice.
    lows.restart(now);
    if (open->peak_bytes - open->progress_bytes >=
        std::min((open->peak_bytes - open->base_bytes) / 16, open->least_bytes / 4)) {
      open->progress_bytes = open->peak_bytes;
      open->progress_ns = open->peak_ns;
    }
    return;
  }
  if (now.usage_bytes > open->base_bytes + (open->peak_bytes - open->base_bytes) / 2) {
    return;
  }
  // A hook tells each quantum of a fall; anything that drops further at once was found late.
  const auto& points = history.points();
  const UsagePoint before = points.size() > 1 ? points[points.size() - 2] : now;
  const bool late = sampled || minus(before.usage_bytes, now.usage_bytes) > 2 * quantum;
  const Open rise = *open;
  ended.push_back(finish(rise, now.time_ns, BurstEnd::kFell, late ? now.time_ns - before.time_ns : 0));
}

// Usage reached the limit, reclaim held it there for a while, then the kill: still this burst's doing.
std::optional<BurstFinding> BurstTrack::killed_on_plateau(std::uint64_t end_ns) {
  if (!plateau || minus(end_ns, plateau->end_ns) > kPlateauWindows * window_ns) {
    return std::nullopt;
  }
  BurstFinding out = std::move(*plateau);
  plateau.reset();
  Burst& burst = out.burst;
  out.end_ns = end_ns;
  burst.end = BurstEnd::kKilled;
  const std::uint64_t half = burst.base_bytes + burst.growth_bytes / 2;
  burst.above_half_ms = to_ms(time_above(history, burst.start_boot_ns, end_ns, half));
  out.samplers = samplers_view(history, burst.start_boot_ns, end_ns, burst.base_bytes, burst.peak_bytes);
  return out;
}

}  // namespace memcrest
