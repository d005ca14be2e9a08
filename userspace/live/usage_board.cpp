// SPDX-License-Identifier: Apache-2.0
#include "live/usage_board.h"
#include "util/units.h"

#include <algorithm>
#include <ranges>

namespace memcrest {
namespace {

constexpr std::uint64_t kRemembered = 300 * kSecond;  // points
constexpr std::uint64_t kShownGone = 60 * kSecond;
constexpr std::size_t kMaxDetailed = 16;  // incidents of one container, newest first
constexpr std::size_t kMaxMoved = 65536;

}  // namespace

std::string main_kind(const MemoryFigures& figures) {
  if (!figures.anon_bytes || !figures.file_bytes || !figures.shmem_bytes) {
    return {};
  }
  const std::uint64_t named = *figures.anon_bytes + *figures.file_bytes + *figures.shmem_bytes;
  const std::uint64_t usage = figures.usage_bytes.value_or(0);
  const std::pair<const char*, std::uint64_t> kinds[] = {{"anon", *figures.anon_bytes},
                                                         {"file", *figures.file_bytes},
                                                         {"shmem", *figures.shmem_bytes},
                                                         {"kernel", usage > named ? usage - named : 0}};
  const auto& most = *std::ranges::max_element(kinds, {}, &std::pair<const char*, std::uint64_t>::second);
  return most.second == 0 ? std::string() : most.first;
}

UsageBoard::Cell& UsageBoard::cell_of(std::uint64_t cgroup_id) {
  const auto [slot, fresh] = cells_.try_emplace(cgroup_id);
  if (fresh && cells_.size() > settings_.max_cgroups) {
    // The quietest of a few will do: to look at all of them for each new one would cost more than it is worth.
    auto quietest = cells_.end();
    std::size_t looked = 0;
    for (auto at = cells_.begin(); at != cells_.end() && looked < 64; ++at) {
      if (at->first == cgroup_id || at->second.memory) {
        continue;
      }
      ++looked;
      if (quietest == cells_.end() || at->second.track.newest_ns() < quietest->second.track.newest_ns()) {
        quietest = at;
      }
    }
    if (quietest != cells_.end()) {
      cells_.erase(quietest);
    }
  }
  return slot->second;
}

void UsageBoard::blame(Cell& cell, const StepEvent& step, const MeteredGrowth& grown) {
  cell.kinds[static_cast<std::size_t>(step.kind)] += grown.bytes;
  if (!grown.by_task || grown.own_bytes == 0) {
    return;
  }
  auto found = cell.growers.find(step.task.process);
  if (found == cell.growers.end()) {
    if (cell.growers.size() >= kMaxGrowers) {
      const auto least = std::ranges::min_element(cell.growers, {}, [](const auto& one) { return one.second.bytes; });
      cell.growers.erase(least);
    }
    found = cell.growers.emplace(step.task.process, Grower{step.task.comm, 0}).first;
  }
  found->second.bytes += grown.own_bytes;
}

void UsageBoard::on(const StepEvent& step) {
  Cell& cell = cell_of(step.cgroup_id);
  cell.track.add(step.time_ns, step.usage_bytes, step.watermark_bytes);
  cell.track.add_stall(step.time_ns, step.reclaim_ns + step.throttle_ns);
  cell.track.keep_newest(settings_.max_points);
  blame(cell, step, growth_.add(step));
  if (news_.moved.size() < kMaxMoved) {
    news_.moved.insert(step.cgroup_id);
  }
  if (++points_ > settings_.all_points) {
    make_room(step.time_ns);
  }
}

void UsageBoard::on(const SampleEvent& sample) {
  growth_.add(sample);
  const auto found = cells_.find(sample.cgroup_id);
  if (found == cells_.end() || found->second.track.usage() == sample.usage_bytes) {
    return;
  }
  found->second.track.add(sample.time_ns, sample.usage_bytes, 0);
  found->second.track.keep_newest(settings_.max_points);
  ++points_;
  if (news_.moved.size() < kMaxMoved) {
    news_.moved.insert(sample.cgroup_id);
  }
}

void UsageBoard::on(const CgroupEvent& event) {
  growth_.add(event);
  news_.cgroups = news_.cgroups || event.created;
  if (event.created) {
    return;
  }
  const auto found = cells_.find(event.cgroup_id);
  if (found == cells_.end()) {
    return;
  }
  if (!found->second.memory) {
    cells_.erase(found);
    return;
  }
  // Its mark tells the peak of a burst that nothing else saw the end of.
  found->second.track.add(event.time_ns, 0, event.watermark_bytes);
  found->second.gone_ns = event.time_ns;
}

void UsageBoard::make_room(std::uint64_t now_ns) {
  std::size_t count = 0;
  for (auto& [id, cell] : cells_) {
    cell.track.forget_before(now_ns > kRemembered ? now_ns - kRemembered : 0);
    count += cell.track.points().size();
  }
  for (std::size_t most = settings_.max_points / 2; count > settings_.all_points * 3 / 4 && most > 1; most /= 2) {
    count = 0;
    for (auto& [id, cell] : cells_) {
      cell.track.keep_newest(most);
      count += cell.track.points().size();
    }
  }
  points_ = count;
}

void UsageBoard::note(std::span<const Event> events) {
  for (const Event& event : events) {
    std::visit([this](const auto& one) { on(one); }, event);
  }
}

void UsageBoard::note(ContainerMemory figures, std::uint64_t boot_ns) {
  Cell& cell = cell_of(figures.cgroup.id);
  const std::uint64_t usage = figures.figures.usage_bytes.value_or(0);
  const std::uint64_t mark = figures.figures.peak_bytes.value_or(0);
  // Usage that was read a moment ago tells less than a step that came since.
  if (cell.track.empty() ||
      (boot_ns > cell.track.newest_ns() && (usage != cell.track.usage() || mark > cell.track.watermark()))) {
    cell.track.add(boot_ns, usage, mark);
    cell.track.keep_newest(settings_.max_points);
    ++points_;
  }
  if (cell.gone_ns < boot_ns) {
    cell.gone_ns = 0;
  }
  cell.memory = std::make_shared<const ContainerMemory>(std::move(figures));
}

void UsageBoard::keep_only(const std::unordered_set<std::uint64_t>& running, std::uint64_t boot_ns) {
  for (auto at = cells_.begin(); at != cells_.end();) {
    Cell& cell = at->second;
    if (cell.memory && cell.gone_ns == 0 && !running.contains(at->first)) {
      cell.gone_ns = boot_ns;
      cell.track.add(boot_ns, 0, 0);
    }
    const bool over = cell.gone_ns != 0 && cell.gone_ns + kShownGone < boot_ns;
    at = over ? cells_.erase(at) : std::next(at);
  }
}

void UsageBoard::note(const Incident& incident) {
  const auto same = std::ranges::find_if(incidents_, [&](const auto& one) { return one->id == incident.id; });
  if (same != incidents_.end()) {
    *same = std::make_shared<const Incident>(incident);
    return;
  }
  incidents_.push_back(std::make_shared<const Incident>(incident));
  if (incidents_.size() > settings_.max_incidents) {
    incidents_.pop_front();
  }
  const auto found = cells_.find(incident.cgroup.id);
  if (found != cells_.end()) {
    found->second.incidents += 1;
    found->second.bursts += incident.kind == IncidentKind::kBurst ? 1 : 0;
    found->second.kills += incident.kind == IncidentKind::kOom ? incident.victims.size() : 0;
  }
  if (news_.moved.size() < kMaxMoved) {
    news_.moved.insert(incident.cgroup.id);
  }
}

UsageBoard::News UsageBoard::take_news() { return std::exchange(news_, {}); }

LiveRow UsageBoard::row_of(const Cell& cell, std::uint64_t now_ns, std::uint64_t since_ns) const {
  LiveRow out;
  out.memory = *cell.memory;
  MemoryFigures& figures = out.memory.figures;
  const UsageTrack& track = cell.track;
  figures.usage_bytes = track.usage();
  if (track.watermark() > 0) {
    figures.peak_bytes = std::max(figures.peak_bytes.value_or(0), track.watermark());
  }
  if (figures.effective && figures.effective->cgroup_path == out.memory.cgroup.path) {
    figures.effective->usage_bytes = track.usage();
  }
  if (cell.kills > figures.oom_kills.value_or(0)) {
    figures.oom_kills = cell.kills;
  }
  const UsageTrack::Peak peak = track.peak(since_ns, now_ns);
  out.peak_interval_bytes = peak.bytes;
  out.peak_interval_exact = peak.exact;
  out.history = track.history(now_ns);
  out.growth_bytes_per_s = track.growth(now_ns);
  out.stall_ms = track.stall_ms(now_ns);
  out.bursts = cell.bursts;
  out.incidents = cell.incidents;
  out.kind = main_kind(cell.memory->figures);
  out.gone = cell.gone_ns != 0;
  return out;
}

std::vector<LiveRow> UsageBoard::rows(std::uint64_t now_ns, std::uint64_t since_ns) {
  std::vector<LiveRow> out;
  for (const auto& [id, cell] : cells_) {
    if (cell.memory) {
      out.push_back(row_of(cell, now_ns, since_ns));
    }
  }
  return out;
}

std::optional<LiveDetail> UsageBoard::detail(std::uint64_t cgroup_id, std::uint64_t now_ns, std::uint64_t since_ns) {
  const auto found = cells_.find(cgroup_id);
  if (found == cells_.end() || !found->second.memory) {
    return std::nullopt;
  }
  const Cell& cell = found->second;
  LiveDetail out;
  out.row = row_of(cell, now_ns, since_ns);
  out.points.assign(cell.track.points().begin(), cell.track.points().end());
  out.cut = cell.track.cut();
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < kKinds; ++i) {
    all += cell.kinds[i];
    if (cell.kinds[i] > 0) {
      out.kinds.push_back({static_cast<MemoryKind>(i), cell.kinds[i], 0});
    }
  }
  for (const auto& [process, grower] : cell.growers) {
    out.growers.push_back({process.tgid, grower.comm, grower.bytes, 0});
  }
  const double whole = all == 0 ? 1 : static_cast<double>(all);
  std::ranges::for_each(out.kinds, [&](KindShare& one) { one.share = static_cast<double>(one.bytes) / whole; });
  std::ranges::for_each(out.growers, [&](Contributor& one) { one.share = static_cast<double>(one.bytes) / whole; });
  std::ranges::stable_sort(out.kinds, std::ranges::greater{}, &KindShare::bytes);
  std::ranges::stable_sort(out.growers, std::ranges::greater{}, &Contributor::bytes);
  for (const auto& one : incidents_ | std::views::reverse) {
    if (one->cgroup.id == cgroup_id && out.incidents.size() < kMaxDetailed) {
      out.incidents.push_back(one);
    }
  }
  return out;
}

std::vector<std::shared_ptr<const Incident>> UsageBoard::incidents() const {
  return {incidents_.rbegin(), incidents_.rend()};
}

}  // namespace memcrest
