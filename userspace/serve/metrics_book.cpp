// SPDX-License-Identifier: Apache-2.0
#include "serve/metrics_book.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "identity/container_filter.h"

namespace memcrest {
namespace {

constexpr double kMiB = 1048576;
constexpr double kGrowthBounds[] = {16 * kMiB, 64 * kMiB, 256 * kMiB, 1024 * kMiB, 4096 * kMiB, 16384 * kMiB};
constexpr double kDurationBounds[] = {0.001, 0.01, 0.1, 0.5, 1, 5, 15, 60};
constexpr const char* kScopeLabels[] = {"scope=\"memcg\"", "scope=\"ancestor\"", "scope=\"host\"", "scope=\"cpuset\"",
                                        "scope=\"mempolicy\""};

std::string label_of(const Container& container, const char* name) {
  const auto found = container.labels.find(name);
  return found == container.labels.end() ? std::string() : found->second;
}

std::string labels_of(const Container& container, const CgroupRef& cgroup) {
  MetricLabels out;
  out.add("container", container.name).add("container_id", container.id);
  out.add("namespace", pod_namespace(container)).add("pod", pod_name(container));
  out.add("unit", !container.id.empty() ? "" : container.unit.empty() ? cgroup.path : container.unit);
  return out.text();
}

std::string info_of(const Container& container, const CgroupRef& cgroup) {
  MetricLabels out;
  out.add("runtime", to_string(container.runtime)).add("image", container.image).add("cgroup", cgroup.path);
  out.add("compose_project", label_of(container, "com.docker.compose.project"));
  out.add("compose_service", label_of(container, "com.docker.compose.service"));
  return out.text();
}

// All that labels are made of.
bool says_the_same(const ContainerMemory& before, const Container& container, const CgroupRef& cgroup) {
  const Container& one = before.container;
  return before.cgroup.path == cgroup.path && one.name == container.name && one.unit == container.unit &&
         one.image == container.image && one.runtime == container.runtime && one.labels == container.labels &&
         pod_namespace(one) == pod_namespace(container) && pod_name(one) == pod_name(container);
}

}  // namespace

MetricsBook::MetricsBook(const MetricsSettings& settings)
    : settings_(settings), growth_(kGrowthBounds), duration_(kDurationBounds) {}

void MetricsBook::set(const MetricsSettings& settings) {
  const std::lock_guard lock(inbox_mutex_);
  inbox_.settings = settings;
}

void MetricsBook::set(const MeasuredStalls& measured) {
  const std::lock_guard lock(mutex_);
  measured_ = measured;
}

void MetricsBook::note(std::span<const Event> events) {
  const std::lock_guard lock(inbox_mutex_);
  for (const Event& event : events) {
    if (const auto* step = std::get_if<StepEvent>(&event)) {
      if (inbox_.steps.size() >= kMaxCells && !inbox_.steps.contains(step->cgroup_id)) {
        continue;
      }
      Steps& steps = inbox_.steps[step->cgroup_id];
      steps.count += 1 + step->suppressed;
      steps.reclaim_ns = std::max(steps.reclaim_ns, step->reclaim_ns);
      steps.throttle_ns = std::max(steps.throttle_ns, step->throttle_ns);
      steps.watermark = std::max(steps.watermark, step->watermark_bytes);
      steps.highest = std::max(steps.highest, step->usage_bytes);
    } else if (const auto* change = std::get_if<CgroupEvent>(&event); change != nullptr && !change->created) {
      if (inbox_.removed.size() < kMaxCells) {
        inbox_.removed.push_back({change->cgroup_id, change->watermark_bytes});
      }
    }
  }
}

void MetricsBook::take_inbox() {
  Inbox taken;
  {
    const std::lock_guard lock(inbox_mutex_);
    std::swap(taken, inbox_);
  }
  settings_ = taken.settings.value_or(settings_);
  for (const auto& [id, steps] : taken.steps) {
    if (cells_.size() >= kMaxCells && !cells_.contains(id)) {
      continue;
    }
    Cell& cell = cells_[id];
    cell.steps += steps.count;
    cell.reclaim_ns = std::max(cell.reclaim_ns, steps.reclaim_ns);
    cell.throttle_ns = std::max(cell.throttle_ns, steps.throttle_ns);
    cell.watermark = std::max(cell.watermark, steps.watermark);
    for (std::uint64_t& highest : cell.highest) {
      highest = std::max(highest, steps.highest);
    }
  }
  for (const Removed& one : taken.removed) {
    const auto found = cells_.find(one.cgroup_id);
    if (found != cells_.end()) {
      found->second.watermark = std::max(found->second.watermark, one.watermark);
      found->second.removed = true;
      removed_.push_back(one.cgroup_id);
    }
  }
  for (std::size_t i = 0; i < taken.incidents.size(); ++i) {
    totals_.incidents[i] += taken.incidents[i];
  }
  totals_.incomplete += taken.incomplete;
  totals_.refused += taken.refused;
  for (const Told& told : taken.told) {
    take(told);
  }
}

MetricsBook::Row* MetricsBook::row_of(const Container& container, const CgroupRef& cgroup, bool sampled) {
  const std::string& key = container.id.empty() ? cgroup.path : container.id;
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    if (rows_.size() >= settings_.max_containers) {
      return nullptr;
    }
    found = rows_.emplace(key, Row{}).first;
  }
  Row& row = found->second;
  // Names come later than the first incident, and may change. What a sample said holds: an incident may be of a cgroup
  // further in.
  const bool known = row.memory && (!sampled || says_the_same(*row.memory, container, cgroup));
  if (row.labels.empty() || (!container.name.empty() && !known)) {
    row.labels = labels_of(container, cgroup);
    row.info = info_of(container, cgroup);
  }
  return &row;
}

void MetricsBook::note(const Incident& incident, std::uint64_t now_boot_ns) {
  if (!incident.update.empty()) {
    return;
  }
  Told told{.kind = incident.kind,
            .scope = incident.scope,
            .container = incident.container,
            .cgroup = incident.cgroup,
            .peak = incident.peak_bytes.value_or(0),
            .boot_ns = now_boot_ns,
            .growth_bytes = std::nullopt,
            .duration_s = std::nullopt,
            .exemplar = {.incident_id = incident.id, .value = 1, .unix_ns = incident.unix_ns}};
  if (incident.kind == IncidentKind::kOom) {
    const std::uint64_t counted = incident.oom ? incident.oom->kills.value_or(0) : 0;
    told.kills = incident.victims.empty() ? counted : incident.victims.size();
    told.ooms = incident.stuck && !incident.stuck->ongoing ? 0 : 1;
    told.exemplar.value = static_cast<double>(told.kills);
  } else if (incident.kind == IncidentKind::kBurst && incident.burst) {
    told.growth_bytes = static_cast<double>(incident.burst->growth_bytes);
    told.duration_s = incident.burst->duration_ms / 1000;
  } else if (incident.kind == IncidentKind::kChargeFailure) {
    told.failures = incident.charge_failure ? incident.charge_failure->count : 1;
  }
  const std::lock_guard lock(inbox_mutex_);
  ++inbox_.incidents[static_cast<std::size_t>(incident.kind)];
  inbox_.incomplete += incident.evidence.complete ? 0 : 1;
  if (inbox_.told.size() < kMaxTold) {
    inbox_.told.push_back(std::move(told));
  } else {
    ++inbox_.refused;
  }
}

void MetricsBook::take(const Told& told) {
  Exemplar exemplar = told.exemplar;
  for (const auto& [value, histogram] :
       {std::pair(told.growth_bytes, &growth_), std::pair(told.duration_s, &duration_)}) {
    if (value) {
      exemplar.value = *value;
      histogram->add(*value, exemplar);
    }
  }
  const std::string& key = told.container.id.empty() ? told.cgroup.path : told.container.id;
  const bool is_new = !rows_.contains(key);
  Row* row = row_of(told.container, told.cgroup, false);
  if (row == nullptr) {
    ++totals_.refused;
    return;
  }
  if (is_new) {  // a container that runs is seen by the next sample
    row->gone_boot_ns = told.boot_ns;
    row->cgroup_id = told.cgroup.id;
  }
  row->peak = std::max(row->peak, told.peak);
  switch (told.kind) {
    case IncidentKind::kOom: {
      const auto scope = static_cast<std::size_t>(told.scope);
      row->kills[scope] += told.kills;
      row->ooms[scope] += told.ooms;
      row->exemplars[scope] = told.exemplar;
      row->last_oom_unix_ns = told.exemplar.unix_ns;
      break;
    }
    case IncidentKind::kBurst:
      ++row->bursts;
      row->burst_exemplar = told.exemplar;
      break;
    case IncidentKind::kChargeFailure:
      row->failures += told.failures;
      break;
    case IncidentKind::kKill:
    case IncidentKind::kBreakpoint:
      break;
  }
}

void MetricsBook::note(const std::vector<ContainerMemory>& running, std::uint64_t now_boot_ns, const Name& name) {
  std::unique_lock lock(mutex_);
  take_inbox();
  totals_.running = running.size();
  totals_.unlimited = 0;
  for (auto& [key, row] : rows_) {
    row.seen = false;
  }
  for (const ContainerMemory& one : running) {
    totals_.unlimited += one.figures.limit_known && one.figures.effective_known && !one.figures.effective ? 1 : 0;
    Row* row = row_of(one.container, one.cgroup, true);
    if (row == nullptr) {
      ++totals_.refused;
      continue;
    }
    row->memory = std::make_unique<const ContainerMemory>(one);
    row->seen = true;
    row->gone_boot_ns = 0;
    row->cgroup_id = one.cgroup.id;
    row->peak = std::max(row->peak, one.figures.peak_bytes.value_or(0));
  }
  for (auto& [key, row] : rows_) {
    if (!row.seen) {
      row.memory.reset();
    }
  }
  // Names are asked for without the lock: a scrape does not wait for the resolver.
  const std::vector<std::uint64_t> removed = std::exchange(removed_, {});
  const std::vector<std::uint64_t> asked = nameless(removed);
  lock.unlock();
  Names names;
  for (const std::uint64_t id : asked) {
    if (auto container = name ? name(id) : std::nullopt; container && !container->id.empty()) {
      names.emplace(id, std::move(*container));
    }
  }
  lock.lock();
  join_removed(now_boot_ns, removed, names);
  for (auto& [key, row] : rows_) {
    if (!row.memory && row.gone_boot_ns == 0) {
      row.gone_boot_ns = now_boot_ns;
    }
  }
  prune(now_boot_ns);
}

std::vector<std::uint64_t> MetricsBook::nameless(std::vector<std::uint64_t> out) const {
  std::unordered_set<std::uint64_t> known;
  for (const auto& [key, row] : rows_) {
    known.insert(row.cgroup_id);
  }
  std::erase_if(out, [&](std::uint64_t id) { return known.contains(id); });
  return out;
}

// Of cgroups that are gone: what steps told goes to their container, and the cell goes.
void MetricsBook::join_removed(std::uint64_t now_boot_ns, const std::vector<std::uint64_t>& removed,
                               const Names& names) {
  std::unordered_map<std::uint64_t, Row*> by_cgroup;
  for (auto& [key, row] : rows_) {
    by_cgroup[row.cgroup_id] = &row;
  }
  for (const std::uint64_t id : removed) {
    const auto cell = cells_.find(id);
    if (cell == cells_.end()) {
      continue;
    }
    const auto found = by_cgroup.find(id);
    Row* row = found == by_cgroup.end() ? nullptr : found->second;
    if (const auto name = names.find(id); row == nullptr && name != names.end() && !rows_.contains(name->second.id)) {
      row = row_of(name->second, {.id = id, .path = {}}, false);
      if (row != nullptr) {
        row->cgroup_id = id;
        row->gone_boot_ns = now_boot_ns;
      } else {
        ++totals_.refused;
      }
    }
    if (row != nullptr) {
      row->cell = cell->second;
      row->peak = std::max(row->peak, cell->second.watermark);
    }
    cells_.erase(cell);
  }
}

void MetricsBook::prune(std::uint64_t now_boot_ns) {
  const auto keep = static_cast<std::uint64_t>(settings_.keep.count());
  std::erase_if(rows_, [&](const auto& one) {
    const Row& row = one.second;
    return row.gone_boot_ns != 0 && now_boot_ns > row.gone_boot_ns + keep;
  });
}

std::size_t MetricsBook::slot_of(const std::string& scraper) {
  ++scrapes_;
  for (std::size_t i = 0; i < scrapers_.size(); ++i) {
    if (scrapers_[i].first == scraper) {
      scrapers_[i].second = scrapes_;
      return i;
    }
  }
  std::size_t slot = scrapers_.size();
  if (slot < kScrapers) {
    scrapers_.emplace_back(scraper, scrapes_);
    return slot;  // since the start
  }
  slot = static_cast<std::size_t>(
      std::ranges::min_element(scrapers_, {}, &std::pair<std::string, std::uint64_t>::second) - scrapers_.begin());
  scrapers_[slot] = {scraper, scrapes_};
  return slot;
}

MetricsBook::Cell& MetricsBook::cell_of(Row& row) {
  const auto live = cells_.find(row.cgroup_id);
  return live == cells_.end() ? row.cell : live->second;
}

// The mark rose: that is the peak, to the page. It did not: steps tell it, and what stood at either end.
std::uint64_t MetricsBook::take_peak(Row& row, Cell& cell, std::size_t slot) {
  const std::uint64_t usage = row.memory ? row.memory->figures.usage_bytes.value_or(0) : 0;
  const std::uint64_t peak = std::max(row.peak, cell.watermark);
  std::uint64_t out = std::max({cell.highest[slot], row.usage_before[slot], usage});
  if (peak > row.peak_before[slot]) {
    out = peak;
  }
  row.peak_before[slot] = peak;
  row.usage_before[slot] = usage;
  cell.highest[slot] = 0;
  return out;
}

void MetricsBook::write(MetricsText& out, const std::string& scraper) {
  // Written under the lock, of which the collector's thread knows nothing: rows are not copied to be read.
  const std::lock_guard lock(mutex_);
  take_inbox();
  const std::size_t slot = slot_of(scraper);
  std::vector<Shown> rows;
  rows.reserve(rows_.size());
  for (auto& [key, row] : rows_) {
    Cell& cell = cell_of(row);
    rows.push_back({row, cell, take_peak(row, cell, slot)});
  }
  out.expect(written_bytes_ * 2);  // what is not written takes no memory; to grow would take as much again
  write_counts(out, rows);
  write_figures(out, rows);
  write_totals(out);
  written_bytes_ = out.size();
}

void MetricsBook::write_counts(MetricsText& out, const std::vector<Shown>& rows) const {
  const auto each = [&](const MetricInfo& info, const auto& write_one) {
    out.family(info);
    for (const Shown& one : rows) {
      write_one(one.row, one.cell);
    }
  };
  const auto by_scope = [&](const MetricInfo& info, const auto member) {
    each(info, [&](const Row& row, const Cell&) {
      for (std::size_t i = 0; i < kScopes; ++i) {
        if ((row.*member)[i] > 0 || row.ooms[i] > 0) {
          out.sample(row.labels, kScopeLabels[i], (row.*member)[i], row.exemplars[i]);
        }
      }
    });
  };
  by_scope(metric::kOomKills, &Row::kills);
  by_scope(metric::kOoms, &Row::ooms);
  each(metric::kLastOom, [&](const Row& row, const Cell&) {
    if (row.last_oom_unix_ns > 0) {
      out.sample(row.labels, static_cast<double>(row.last_oom_unix_ns / 1'000'000) / 1000);
    }
  });
  // A 0 is there so that its first rise is seen: of what is gone none comes.
  const auto counts = [](const Row& row, std::uint64_t value) { return value > 0 || row.gone_boot_ns == 0; };
  each(metric::kBursts, [&](const Row& row, const Cell&) {
    if (counts(row, row.bursts)) {
      out.sample(row.labels, row.bursts, row.burst_exemplar);
    }
  });
  each(metric::kChargeFailures, [&](const Row& row, const Cell&) {
    if (counts(row, row.failures)) {
      out.sample(row.labels, row.failures);
    }
  });
  each(metric::kSteps, [&](const Row& row, const Cell& cell) {
    if (counts(row, cell.steps)) {
      out.sample(row.labels, cell.steps);
    }
  });
  each(metric::kStall, [&](const Row& row, const Cell& cell) {
    const auto stall = [&](bool measured, const char* label, std::uint64_t ns) {
      if (measured && counts(row, ns)) {
        out.sample(row.labels, label, static_cast<double>(ns) / 1e9);
      }
    };
    stall(measured_.reclaim, "kind=\"direct\"", cell.reclaim_ns);
    stall(measured_.throttle, "kind=\"throttle\"", cell.throttle_ns);
  });
}

void MetricsBook::write_figures(MetricsText& out, const std::vector<Shown>& rows) const {
  const auto figure = [&](const MetricInfo& info, const auto& read) {
    out.family(info);
    for (const Shown& one : rows) {
      const std::optional<std::uint64_t> value = one.row.memory ? read(one.row.memory->figures) : std::nullopt;
      if (value) {
        out.sample(one.row.labels, *value);
      }
    }
  };
  figure(metric::kUsage, [](const MemoryFigures& one) { return one.usage_bytes; });
  figure(metric::kWorkingSet, [](const MemoryFigures& one) { return one.working_set_bytes(); });
  figure(metric::kLimit, [](const MemoryFigures& one) { return one.limit_bytes; });
  figure(metric::kEffectiveLimit,
         [](const MemoryFigures& one) { return one.effective ? std::optional(one.effective->bytes) : std::nullopt; });
  figure(metric::kHeadroom, [](const MemoryFigures& one) -> std::optional<std::uint64_t> {
    if (!one.effective || !one.effective->usage_bytes) {
      return std::nullopt;
    }
    return one.effective->bytes - std::min(one.effective->bytes, *one.effective->usage_bytes);
  });
  out.family(metric::kPeak);
  for (const Shown& one : rows) {
    if (const std::uint64_t peak = std::max(one.row.peak, one.cell.watermark); peak > 0) {
      out.sample(one.row.labels, peak);
    }
  }
  out.family(metric::kPeakSinceScrape);
  for (const Shown& one : rows) {
    if (one.row.memory || one.peak > 0) {
      out.sample(one.row.labels, one.peak);
    }
  }
  out.family(metric::kContainerInfo);
  for (const Shown& one : rows) {
    out.sample(one.row.labels, one.row.info, std::uint64_t{1});
  }
}

void MetricsBook::write_totals(MetricsText& out) const {
  out.family(metric::kContainers);
  out.sample({}, totals_.running);
  out.family(metric::kUnlimited);
  out.sample({}, totals_.unlimited);
  out.family(metric::kSeriesRefused);
  out.sample({}, totals_.refused);
  out.family(metric::kBurstGrowth);
  out.histogram(growth_);
  out.family(metric::kBurstDuration);
  out.histogram(duration_);
  out.family(metric::kIncidents);
  for (const IncidentKind kind : {IncidentKind::kOom, IncidentKind::kBurst, IncidentKind::kKill,
                                  IncidentKind::kChargeFailure, IncidentKind::kBreakpoint}) {
    out.sample(std::string("kind=\"") + to_string(kind) + "\"", totals_.incidents[static_cast<std::size_t>(kind)]);
  }
  out.family(metric::kIncomplete);
  out.sample({}, totals_.incomplete);
}

std::array<std::uint64_t, 5> MetricsBook::incidents() {
  const std::lock_guard lock(mutex_);
  take_inbox();
  return totals_.incidents;
}

std::vector<ContainerMemory> MetricsBook::running() const {
  const std::lock_guard lock(mutex_);
  std::vector<ContainerMemory> out;
  for (const auto& [key, row] : rows_) {
    if (row.memory) {
      out.push_back(*row.memory);
    }
  }
  return out;
}

}  // namespace memcrest
