// SPDX-License-Identifier: Apache-2.0
#include "live/recorded_usage.h"

#include <algorithm>
#include <iterator>
#include <ranges>

#include "export/incident_reader.h"
#include "live/usage_track.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCurves = 8192;
constexpr std::size_t kMaxPoints = 100'000;    // of one curve
constexpr std::size_t kAllPoints = 2'000'000;  // of all
constexpr std::size_t kMaxOther = 50'000;      // of one curve: growth, limits, stalls
constexpr std::size_t kMaxTasks = 65536;
constexpr std::size_t kMaxIncidents = 2000;
constexpr std::size_t kMaxIncidentBytes = 1U << 20U;
constexpr std::uint64_t kShownGone = 60 * kSecond;
constexpr std::uint64_t kDetail = 300 * kSecond;  // points before the moment

std::string meta_of(const RecordingReader& reader, const char* key) {
  const auto found = reader.meta().find(key);
  return found == reader.meta().end() ? std::string() : found->second;
}

// Two neighbours become one: the later one's usage, the higher one's peak.
void halve(std::vector<LivePoint>& points) {
  std::size_t to = 0;
  for (std::size_t i = 0; i < points.size(); i += 2) {
    LivePoint one = points[i];
    if (i + 1 < points.size()) {
      one = {points[i + 1].time_ns, points[i + 1].usage_bytes, std::max(one.high_bytes, points[i + 1].high_bytes)};
    }
    points[to++] = one;
  }
  points.resize(to);
}

}  // namespace

void RecordedUsage::add_point(Curve& curve, std::uint64_t time_ns, std::uint64_t usage, std::uint64_t watermark) {
  const std::uint64_t last = curve.points.empty() ? 0 : curve.points.back().time_ns;
  LivePoint point{std::max(time_ns, last), usage, usage};
  if (curve.watermark > 0 && watermark > curve.watermark) {
    point.high_bytes = std::max(usage, watermark);
  }
  curve.watermark = std::max(curve.watermark, watermark);
  if (curve.points.empty()) {
    curve.first_ns = time_ns;
  }
  if (curve.stride > 1 && curve.seen % curve.stride != 0 && !curve.points.empty()) {
    LivePoint& group = curve.points.back();
    group = {point.time_ns, usage, std::max(group.high_bytes, point.high_bytes)};
  } else {
    curve.points.push_back(point);
    ++all_points_;
  }
  ++curve.seen;
  if (curve.points.size() > kMaxPoints) {
    all_points_ -= curve.points.size() / 2;
    halve(curve.points);
    curve.stride *= 2;
  }
}

std::size_t RecordedUsage::task_of(const StepEvent& step) {
  const Task task{step.task.process.tgid, step.task.comm};
  if (const auto found = task_index_.find(task); found != task_index_.end()) {
    return found->second;
  }
  if (tasks_.size() >= kMaxTasks) {
    return 0;
  }
  tasks_.push_back(task);
  task_index_.emplace(task, tasks_.size() - 1);
  return tasks_.size() - 1;
}

void RecordedUsage::on(const StepEvent& step, ExportedCgroups& cgroups) {
  auto found = curves_.find(step.cgroup_id);
  const MeteredGrowth grown = growth_.add(step);
  if (found == curves_.end()) {
    if (curves_.size() >= kMaxCurves || all_points_ >= kAllPoints) {
      return;
    }
    found = curves_.try_emplace(step.cgroup_id).first;
    const ExportedCgroup& whose = cgroups.find(step.cgroup_id, step.serial);
    ContainerMemory& memory = found->second.memory;
    memory.container = whose.container;
    memory.cgroup = {step.cgroup_id, whose.path};
    memory.kind = whose.container.id.empty()
                      ? (whose.container.runtime == Runtime::kSystemd ? CgroupKind::kUnit : CgroupKind::kOther)
                      : CgroupKind::kContainer;
  }
  Curve& curve = found->second;
  if (all_points_ < kAllPoints) {
    add_point(curve, step.time_ns, step.usage_bytes, step.watermark_bytes);
  }
  if (curve.limits.size() < kMaxOther && (curve.limits.empty() || curve.limits.back().second != step.limit_bytes)) {
    curve.limits.emplace_back(step.time_ns, step.limit_bytes);
  }
  const std::uint64_t held = step.reclaim_ns + step.throttle_ns;
  if (curve.held.size() < kMaxOther && (curve.held.empty() || curve.held.back().total_ns < held)) {
    curve.held.push_back({step.time_ns, held});
  }
  if (grown.bytes > 0 && curve.grown.size() < kMaxOther) {
    curve.grown.push_back(
        {step.time_ns, grown.bytes, grown.by_task ? grown.own_bytes : 0, grown.by_task ? task_of(step) : 0, step.kind});
  }
}

void RecordedUsage::on(const SampleEvent& sample) {
  growth_.add(sample);
  const auto found = curves_.find(sample.cgroup_id);
  if (found != curves_.end() && all_points_ < kAllPoints && !found->second.points.empty() &&
      found->second.points.back().usage_bytes != sample.usage_bytes) {
    add_point(found->second, sample.time_ns, sample.usage_bytes, 0);
  }
}

void RecordedUsage::on(const CgroupEvent& event) {
  growth_.add(event);
  const auto found = curves_.find(event.cgroup_id);
  if (!event.created && found != curves_.end()) {
    add_point(found->second, event.time_ns, 0, event.watermark_bytes);
    found->second.removed_ns = event.time_ns;
  }
}

void RecordedUsage::add_incident(const RecordedIncident& recorded) {
  if (recorded.json.empty()) {
    return;
  }
  auto incident = incident_from_json(recorded.json);
  if (!incident) {
    return;
  }
  auto shared = std::make_shared<const Incident>(std::move(*incident));
  const auto [slot, fresh] = by_id_.try_emplace(shared->id, incidents_.size());
  if (!fresh) {
    incidents_[slot->second] = std::move(shared);
  } else if (incidents_.size() < kMaxIncidents) {
    incidents_.push_back(std::move(shared));
  } else {
    by_id_.erase(slot);
  }
}

void RecordedUsage::take(const RecordingReader::Item& item, ExportedCgroups& cgroups) {
  std::uint64_t time_ns = 0;
  if (const auto* event = std::get_if<Event>(&item)) {
    time_ns = time_of(*event);
    if (const auto* step = std::get_if<StepEvent>(event)) {
      on(*step, cgroups);
    } else {
      std::visit(
          [this](const auto& one) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(one)>, StepEvent>) {
              on(one);
            }
          },
          *event);
    }
  } else if (const auto* sampled = std::get_if<RecordingReader::Sampled>(&item)) {
    time_ns = sampled->sample.time_ns;
    on(sampled->sample);
  } else if (const auto* loss = std::get_if<LossCount>(&item)) {
    lost_ = *loss;
  } else if (const auto* moment = std::get_if<Moment>(&item)) {
    moment_ = moment_ ? moment_ : std::optional(*moment);
    time_ns = moment->boot_ns;
  }
  if (time_ns != 0) {
    begin_ns_ = begin_ns_ == 0 ? time_ns : std::min(begin_ns_, time_ns);
    end_ns_ = std::max(end_ns_, time_ns);
  }
}

void RecordedUsage::finish() {
  for (const auto& [id, curve] : curves_) {
    if (!curve.memory.cgroup.path.empty()) {
      by_path_.emplace(curve.memory.cgroup.path, id);
    }
  }
  std::ranges::stable_sort(incidents_, {}, [](const auto& one) { return one->boot_ns; });
  for (const auto& one : incidents_) {
    const auto found = curves_.find(one->cgroup.id);
    if (found == curves_.end()) {
      continue;
    }
    Curve& curve = found->second;
    if (curve.memory.container.name.empty() && !one->container.name.empty()) {
      curve.memory.container = one->container;  // known by then
      curve.memory.kind = CgroupKind::kContainer;
    }
    if (one->kind == IncidentKind::kBurst) {
      curve.bursts.push_back(one->boot_ns);
    }
    for (std::size_t i = 0; one->kind == IncidentKind::kOom && i < one->victims.size(); ++i) {
      curve.kills.push_back(one->boot_ns);
    }
  }
  only_containers_ =
      std::ranges::any_of(curves_, [](const auto& one) { return one.second.memory.kind == CgroupKind::kContainer; });
  if (all_points_ >= kAllPoints) {
    notes_.emplace_back("the recording holds more than is shown: its last part is missing");
  }
  if (end_ns_ < begin_ns_) {
    end_ns_ = begin_ns_;
  }
}

RecordedUsage RecordedUsage::read(RecordingReader& reader, ExportedCgroups& cgroups) {
  RecordedUsage out;
  out.charge_tier_ = meta_of(reader, "charge_tier");
  out.oom_tier_ = meta_of(reader, "oom_tier");
  if (reader.meta().contains("excerpt_before_ns")) {
    out.notes_.emplace_back("an excerpt: it holds what was seen around incidents");
  }
  if (!reader.ended()) {
    out.notes_.emplace_back("the recording has no end: its writer was killed, or still writes");
  }
  const auto listed = reader.each_incident(kMaxIncidentBytes, [&](RecordedIncident one) { out.add_incident(one); });
  if (!listed) {
    out.notes_.push_back("incidents could not be read: " + listed.error().message());
  }
  while (true) {
    const auto item = reader.next();
    if (!item) {
      out.notes_.push_back("the recording could not be read to its end: " + item.error().message());
      break;
    }
    if (!*item) {
      break;
    }
    out.take(**item, cgroups);
  }
  out.finish();
  return out;
}

bool RecordedUsage::is_there(const Curve& curve, std::uint64_t boot_ns) {
  return curve.first_ns <= boot_ns && (curve.removed_ns == ~0ULL || boot_ns < curve.removed_ns + kShownGone);
}

std::optional<std::optional<std::uint64_t>> RecordedUsage::limit_at(const Curve& curve, std::uint64_t boot_ns) {
  const auto limit =
      std::ranges::find_if(curve.limits | std::views::reverse, [&](const auto& one) { return one.first <= boot_ns; });
  return limit == curve.limits.rend() ? std::nullopt : std::optional(limit->second);
}

// The lowest limit of the cgroup and those around it, as far as they took steps of their own.
std::optional<EffectiveLimit> RecordedUsage::effective_at(const Curve& curve, std::uint64_t boot_ns) const {
  std::optional<EffectiveLimit> out;
  const auto consider = [&](const Curve& one) {
    const auto limit = limit_at(one, boot_ns);
    if (limit && *limit && (!out || **limit < out->bytes)) {
      const auto after = std::ranges::upper_bound(one.points, boot_ns, {}, &LivePoint::time_ns);
      out = EffectiveLimit{
          .bytes = **limit,
          .cgroup_path = one.memory.cgroup.path,
          .usage_bytes = after == one.points.begin() ? std::nullopt : std::optional(std::prev(after)->usage_bytes)};
    }
  };
  consider(curve);
  const std::string& path = curve.memory.cgroup.path;
  for (std::size_t end = path.rfind('/'); end != std::string::npos && end > 0; end = path.rfind('/', end - 1)) {
    // Of several of that name the newest: that an earlier one was removed may not be in the recording.
    const Curve* newest = nullptr;
    const auto [first, last] = by_path_.equal_range(path.substr(0, end));
    for (auto above = first; above != last; ++above) {
      const Curve& one = curves_.at(above->second);
      if (one.first_ns <= boot_ns && (newest == nullptr || newest->first_ns < one.first_ns)) {
        newest = &one;
      }
    }
    if (newest != nullptr && boot_ns < newest->removed_ns) {
      consider(*newest);
    }
  }
  return out;
}

LiveRow RecordedUsage::row_at(const Curve& curve, std::uint64_t boot_ns, std::uint64_t since_ns) const {
  // The minute before the moment, as the live board would have kept it.
  UsageTrack track;
  const std::uint64_t from = boot_ns > (kLiveSeconds + 1) * kSecond ? boot_ns - (kLiveSeconds + 1) * kSecond : 0;
  auto at = std::ranges::upper_bound(curve.points, from, {}, &LivePoint::time_ns);
  at = at == curve.points.begin() ? at : std::prev(at);
  std::uint64_t highest = 0;
  for (auto before = curve.points.begin(); before != at; ++before) {
    highest = std::max(highest, before->high_bytes);
  }
  for (; at != curve.points.end() && at->time_ns <= boot_ns; ++at) {
    if (highest == 0 && at->high_bytes > at->usage_bytes) {
      track.add(at->time_ns, at->usage_bytes, at->usage_bytes);
    }
    track.add(at->time_ns, at->usage_bytes, at->high_bytes > at->usage_bytes ? at->high_bytes : 0);
    highest = std::max(highest, at->high_bytes);
  }
  LiveRow out;
  out.memory = curve.memory;
  MemoryFigures& figures = out.memory.figures;
  figures.usage_bytes = track.usage();
  figures.peak_bytes = highest;
  if (const auto limit = limit_at(curve, boot_ns)) {
    figures.limit_known = true;
    figures.limit_bytes = *limit;
  }
  figures.effective = effective_at(curve, boot_ns);
  const auto until = [&](const std::vector<std::uint64_t>& times) {
    return static_cast<std::uint64_t>(std::ranges::upper_bound(times, boot_ns) - times.begin());
  };
  figures.oom_kills = until(curve.kills);
  out.bursts = until(curve.bursts);
  out.incidents = out.bursts + *figures.oom_kills;
  for (const Held& one : curve.held) {
    if (one.time_ns <= boot_ns) {
      track.add_stall(one.time_ns, one.total_ns);
    }
  }
  const UsageTrack::Peak peak = track.peak(since_ns, boot_ns);
  out.peak_interval_bytes = peak.bytes;
  out.peak_interval_exact = peak.exact;
  out.history = track.history(boot_ns);
  out.growth_bytes_per_s = track.growth(boot_ns);
  out.stall_ms = track.stall_ms(boot_ns);
  std::map<MemoryKind, std::uint64_t> kinds;
  for (const Grown& one : curve.grown) {
    if (one.time_ns <= boot_ns && one.kind != MemoryKind::kUnknown) {
      kinds[one.kind] += one.bytes;
    }
  }
  const auto most = std::ranges::max_element(kinds, {}, [](const auto& one) { return one.second; });
  out.kind = most == kinds.end() ? std::string() : to_string(most->first);
  out.gone = curve.removed_ns <= boot_ns;
  return out;
}

LiveSnapshot RecordedUsage::look(std::uint64_t boot_ns, std::uint64_t since_ns) const {
  LiveSnapshot out;
  out.boot_ns = boot_ns;
  out.unix_ns = moment_ ? moment_->unix_of(boot_ns) : 0;
  out.charge_tier = charge_tier_;
  out.oom_tier = oom_tier_;
  out.lost = lost_;
  out.notes = notes_;
  for (const auto& [id, curve] : curves_) {
    const bool sandbox = curve.memory.container.pod && curve.memory.container.pod->sandbox;
    if (is_there(curve, boot_ns) && !sandbox && (!only_containers_ || curve.memory.kind == CgroupKind::kContainer)) {
      out.rows.push_back(row_at(curve, boot_ns, since_ns));
    }
  }
  return out;
}

std::optional<LiveDetail> RecordedUsage::detail(std::uint64_t cgroup_id, std::uint64_t boot_ns,
                                                std::uint64_t since_ns) const {
  const auto found = curves_.find(cgroup_id);
  if (found == curves_.end()) {
    return std::nullopt;
  }
  const Curve& curve = found->second;
  LiveDetail out;
  out.row = row_at(curve, boot_ns, since_ns);
  out.cut = curve.stride > 1;
  for (const LivePoint& one : curve.points) {
    if (one.time_ns <= boot_ns && one.time_ns + kDetail >= boot_ns) {
      out.points.push_back(one);
    }
  }
  std::map<std::size_t, std::uint64_t> growers;
  std::map<MemoryKind, std::uint64_t> kinds;
  std::uint64_t all = 0;
  for (const Grown& one : curve.grown) {
    if (one.time_ns > boot_ns) {
      continue;
    }
    all += one.bytes;
    kinds[one.kind] += one.bytes;
    if (one.task != 0) {
      growers[one.task] += one.own_bytes;
    }
  }
  const double whole = all == 0 ? 1 : static_cast<double>(all);
  for (const auto& [task, bytes] : growers) {
    out.growers.push_back({tasks_[task].first, tasks_[task].second, bytes, static_cast<double>(bytes) / whole});
  }
  for (const auto& [kind, bytes] : kinds) {
    out.kinds.push_back({kind, bytes, static_cast<double>(bytes) / whole});
  }
  std::ranges::stable_sort(out.growers, std::ranges::greater{}, &Contributor::bytes);
  std::ranges::stable_sort(out.kinds, std::ranges::greater{}, &KindShare::bytes);
  for (const auto& one : incidents_ | std::views::reverse) {
    if (one->cgroup.id == cgroup_id && one->boot_ns <= boot_ns) {
      out.incidents.push_back(one);
    }
  }
  return out;
}

}  // namespace memcrest
