// SPDX-License-Identifier: Apache-2.0
#include "report/detail.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "incident/growth_meter.h"
#include "incident/saturating.h"
#include "report/recorded_names.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxTracks = 256;
constexpr std::size_t kAllPoints = 2'000'000;  // of all tracks together, and of all windows
constexpr std::size_t kMaxLimits = 256;
constexpr std::size_t kMaxTasks = 1024;
constexpr std::size_t kAllNodes = 200'000;  // of all trees of stacks
constexpr std::size_t kMaxNodes = 8192;
constexpr std::uint64_t kBefore = 60 * kSecond;  // of an incident: four looks of the slowest sampler
constexpr std::uint64_t kAfter = 15 * kSecond;
constexpr std::uint64_t kNear = 10 * kSecond;  // events of a kill lie so close to it

bool near(std::uint64_t a, std::uint64_t b) { return (a > b ? a - b : b - a) <= kNear; }

// Where an incident's growth began, and until when it is looked at.
void choose_times(ReportedIncident& one) {
  const Incident& incident = one.incident;
  const auto duration = [](double ms) { return ms > 0 && ms < 1e12 ? static_cast<std::uint64_t>(ms * 1e6) : 0; };
  IncidentDetail& detail = one.detail;
  detail.growth_to_ns = incident.boot_ns;
  detail.growth_from_ns = saturating_sub(incident.boot_ns, kBefore);
  if (const auto& burst = incident.burst; burst && burst->start_boot_ns != 0) {
    detail.growth_from_ns = burst->start_boot_ns;
    detail.growth_to_ns =
        std::max(incident.boot_ns, saturating_add(burst->start_boot_ns, duration(burst->duration_ms)));
  }
}

class Pass {
 public:
  Pass(RecordingReader& reader, Report& report)
      : reader_(reader), report_(report), names_(std::make_shared<RecordedNames>(reader)) {}
  [[nodiscard]] Result<void> run();

 private:
  [[nodiscard]] Result<void> choose_tracks();
  [[nodiscard]] std::optional<std::size_t> track_of(std::uint64_t cgroup_id, const std::string& path);
  void add_ancestors(ReportedIncident& one, const std::vector<RecordedCgroup>& cgroups);
  void point(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t usage_bytes);
  template <typename Do>
  void each_at(std::uint64_t cgroup_id, std::uint64_t time_ns, Do act);
  void take(const RecordingReader::Item& item);
  void on(StepEvent step);
  void on(const SampleEvent& sample);
  void on(const CgroupEvent& event) {
    if (about_.contains(event.cgroup_id)) {
      growth_.add(event);
    }
  }
  void on(const VictimEvent& victim);
  void on(const LogOomEvent& log);
  template <typename T>
  void on(const T& /*event*/) {}
  void finish();

  RecordingReader& reader_;
  Report& report_;
  std::shared_ptr<const FrameNames> names_;
  GrowthMeter growth_;
  std::unordered_map<std::uint64_t, std::size_t> tracks_;
  // The incidents of one cgroup by the beginning of what is looked at.
  struct About {
    std::vector<ReportedIncident*> incidents;
    std::size_t first = 0;  // those before it are over
  };
  std::unordered_map<std::uint64_t, About> about_;
  std::unordered_map<std::uint32_t, std::vector<ReportedIncident*>> killed_;  // by their victims' pids
};

std::optional<std::size_t> Pass::track_of(std::uint64_t cgroup_id, const std::string& path) {
  if (const auto found = tracks_.find(cgroup_id); found != tracks_.end()) {
    return found->second;
  }
  if (tracks_.size() >= kMaxTracks) {
    return std::nullopt;
  }
  report_.tracks.push_back({cgroup_id, path, Series(0), {}});
  tracks_.emplace(cgroup_id, report_.tracks.size() - 1);
  return report_.tracks.size() - 1;
}

// A path can be used again: it counts as that of a cgroup which was there at the time.
void Pass::add_ancestors(ReportedIncident& one, const std::vector<RecordedCgroup>& cgroups) {
  const std::string& own = one.incident.cgroup.path;
  std::vector<const RecordedCgroup*> above;
  for (const RecordedCgroup& cgroup : cgroups) {
    const std::string& path = cgroup.path;
    const bool ancestor =
        path.size() > 1 && path.size() < own.size() && own.starts_with(path) && own[path.size()] == '/';
    const bool there = cgroup.created_ns.value_or(0) <= one.incident.boot_ns &&
                       saturating_add(cgroup.removed_ns.value_or(~0ULL), kNear) >= one.incident.boot_ns;
    if (ancestor && there && cgroup.cgroup_id != one.incident.cgroup.id) {
      above.push_back(&cgroup);
    }
  }
  std::ranges::stable_sort(above, std::ranges::greater{}, [](const RecordedCgroup* c) { return c->path.size(); });
  for (const RecordedCgroup* cgroup : above) {
    const auto track = track_of(cgroup->cgroup_id, cgroup->path);
    if (track && std::ranges::find(one.detail.ancestors, *track) == one.detail.ancestors.end()) {
      one.detail.ancestors.push_back(*track);
    }
  }
}

Result<void> Pass::choose_tracks() {
  const auto cgroups = reader_.cgroups();
  if (!cgroups) {
    return std::unexpected(cgroups.error());
  }
  for (ReportedIncident& one : report_.incidents) {
    if (!one.unreadable.empty()) {
      continue;
    }
    choose_times(one);
    one.detail.track = track_of(one.incident.cgroup.id, one.incident.cgroup.path);
    about_[one.incident.cgroup.id].incidents.push_back(&one);
    for (const Victim& victim : one.incident.victims) {
      killed_[victim.pid].push_back(&one);
    }
  }
  for (ReportedIncident& one : report_.incidents) {
    if (one.unreadable.empty()) {
      add_ancestors(one, *cgroups);
    }
  }
  const std::size_t each = std::min(kMaxPoints, kAllPoints / std::max<std::size_t>(1, report_.tracks.size()));
  for (Track& track : report_.tracks) {
    track.series = Series(each);
    for (const RecordedCgroup& cgroup : *cgroups) {  // it began with nothing
      if (cgroup.cgroup_id == track.cgroup_id && cgroup.created_ns) {
        track.series.add(*cgroup.created_ns, 0);
        break;
      }
    }
  }
  for (auto& [id, about] : about_) {
    std::ranges::sort(about.incidents, {}, [](const ReportedIncident* one) { return one->detail.growth_from_ns; });
  }
  const std::size_t nodes =
      std::clamp<std::size_t>(kAllNodes / std::max<std::size_t>(1, report_.incidents.size()), 256, kMaxNodes);
  const std::size_t window = std::min(kMaxPoints, kAllPoints / std::max<std::size_t>(1, report_.incidents.size()));
  for (ReportedIncident& one : report_.incidents) {
    one.detail.window.emplace(window);
    one.detail.growth = GrowthTree(nodes, names_);
  }
  return {};
}

// What is looked at around one incident: events come nearly in the order of time.
template <typename Do>
void Pass::each_at(std::uint64_t cgroup_id, std::uint64_t time_ns, Do act) {
  const auto found = about_.find(cgroup_id);
  if (found == about_.end()) {
    return;
  }
  About& about = found->second;
  while (about.first < about.incidents.size() &&
         saturating_add(about.incidents[about.first]->detail.growth_to_ns, kAfter + kNear) < time_ns) {
    ++about.first;
  }
  for (std::size_t i = about.first; i < about.incidents.size(); ++i) {
    IncidentDetail& detail = about.incidents[i]->detail;
    if (saturating_sub(detail.growth_from_ns, kBefore) > time_ns) {
      break;
    }
    if (saturating_add(detail.growth_to_ns, kAfter) >= time_ns) {
      act(detail);
    }
  }
}

void Pass::point(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t usage_bytes) {
  const auto track = tracks_.find(cgroup_id);
  if (track == tracks_.end()) {
    return;
  }
  report_.tracks[track->second].series.add(time_ns, usage_bytes);
  each_at(cgroup_id, time_ns, [&](IncidentDetail& detail) { detail.window->add(time_ns, usage_bytes); });
}

void Pass::on(StepEvent step) {
  point(step.cgroup_id, step.time_ns, step.usage_bytes);
  if (const auto track = tracks_.find(step.cgroup_id); track != tracks_.end()) {
    auto& limits = report_.tracks[track->second].limits;
    if (limits.size() < kMaxLimits && (limits.empty() || limits.back().second != step.limit_bytes)) {
      limits.emplace_back(step.time_ns, step.limit_bytes);
    }
  }
  if (about_.contains(step.cgroup_id)) {
    const MeteredGrowth grown = growth_.add(step);
    names_->trim(step);
    each_at(step.cgroup_id, step.time_ns, [&](IncidentDetail& detail) {
      if (step.time_ns >= detail.growth_from_ns && step.time_ns <= detail.growth_to_ns) {
        detail.growth.add(step, grown);
      }
    });
  }
}

void Pass::on(const SampleEvent& sample) {
  point(sample.cgroup_id, sample.time_ns, sample.usage_bytes);
  growth_.add(sample);
}

void Pass::on(const VictimEvent& victim) {
  const auto incidents = killed_.find(victim.task.process.tgid);
  if (incidents == killed_.end()) {
    return;
  }
  for (ReportedIncident* one : incidents->second) {
    if (one->detail.chain.entries.empty() && near(victim.time_ns, one->incident.boot_ns)) {
      one->detail.chain = victim.chain;
    }
  }
}

void Pass::on(const LogOomEvent& log) {
  for (const LogVictim& victim : log.victims) {
    const auto incidents = killed_.find(victim.pid);
    if (incidents == killed_.end()) {
      continue;
    }
    for (ReportedIncident* one : incidents->second) {
      if (one->detail.tasks.empty() && near(log.time_ns, one->incident.boot_ns)) {
        one->detail.total_tasks = log.tasks.size();
        const auto shown = static_cast<std::ptrdiff_t>(std::min(log.tasks.size(), kMaxTasks));
        one->detail.tasks.assign(log.tasks.begin(), log.tasks.begin() + shown);
      }
    }
  }
}

void Pass::take(const RecordingReader::Item& item) {
  if (const auto* event = std::get_if<Event>(&item)) {
    std::visit([this](const auto& one) { on(one); }, *event);
  } else if (const auto* read = std::get_if<RecordingReader::Sampled>(&item)) {
    on(read->sample);
  }
}

// Tracks and windows that tell nothing go.
void Pass::finish() {
  for (Track& track : report_.tracks) {
    track.series.finish();
  }
  const auto is_empty = [this](std::size_t track) { return report_.tracks[track].series.points().empty(); };
  for (ReportedIncident& one : report_.incidents) {
    IncidentDetail& detail = one.detail;
    detail.window->finish();
    if (!detail.track || report_.tracks[*detail.track].series.stride() == 1) {
      detail.window.reset();
    }
    std::erase_if(detail.ancestors, is_empty);
  }
}

Result<void> Pass::run() {
  if (auto chosen = choose_tracks(); !chosen) {
    return chosen;
  }
  Result<void> out;
  while (true) {
    const auto item = reader_.next();
    if (!item) {
      out = std::unexpected(item.error());
      break;
    }
    if (!*item) {
      break;
    }
    take(**item);
  }
  finish();
  if (auto left_out = growth_.left_out(); !left_out.empty()) {
    report_.recording.gaps.push_back(std::move(left_out));
  }
  // The reader may not outlive this.
  for (ReportedIncident& one : report_.incidents) {
    one.detail.growth.forget_names();
  }
  return out;
}

}  // namespace

Result<void> read_details(RecordingReader& reader, Report& report) { return Pass(reader, report).run(); }

}  // namespace memcrest
