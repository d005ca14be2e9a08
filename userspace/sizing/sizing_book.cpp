// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_book.h"

#include <algorithm>
#include <utility>

#include "identity/cgroup_path.h"
#include "incident/composition.h"
#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxIds = 1024;              // that are told apart within what is put together
constexpr std::uint64_t kMostBytes = 1ULL << 60U;  // more than any machine has: so that no sum of a few overflows

std::uint64_t sane(std::uint64_t bytes) { return std::min(bytes, kMostBytes); }

// Limits above this are the kernel's ways to say that there is none.
std::optional<std::uint64_t> sane_limit(const std::optional<std::uint64_t>& limit) {
  return limit && *limit < kMostBytes ? limit : std::nullopt;
}

// Cgroups below a container's own are counted in it already.
bool is_own(const ExportedCgroup& cgroup) {
  const CgroupPath parsed = parse_cgroup_path(cgroup.path);
  return parsed.container_path.empty() ? cgroup.path.ends_with(cgroup.container.id)
                                       : parsed.container_path == cgroup.path;
}

Cause first_cause(const Incident& incident) {
  return incident.verdict && !incident.verdict->causes.empty() ? incident.verdict->causes.front().cause
                                                               : Cause::kUnknown;
}

// Whether a larger limit of its own could have prevented it.
bool own_limit(const Incident& incident) {
  const Cause cause = first_cause(incident);
  return is_own_limit(incident) && incident.limit.bytes && cause != Cause::kAskedFor && cause != Cause::kLimitLowered &&
         cause != Cause::kAncestorLimit;
}

void add_oom(SizedOoms& ooms, const Incident& incident) {
  if (!own_limit(incident)) {
    ++ooms.elsewhere;
    return;
  }
  ++ooms.own;
  ooms.limit_bytes = std::max(ooms.limit_bytes, sane(*incident.limit.bytes));
  if (incident.advice && incident.advice->needed_bytes) {
    ooms.needed_bytes = std::max(ooms.needed_bytes.value_or(0), sane(*incident.advice->needed_bytes));
  } else if (incident.advice && incident.advice->limit_bytes) {
    ooms.guessed_bytes = std::max(ooms.guessed_bytes.value_or(0), sane(*incident.advice->limit_bytes));
  }
  if (incident.composition) {
    ooms.cache_share = share_of(*incident.composition, "file");
  }
}

void add_leak(SizedUsage& usage, const Incident& incident) {
  if (first_cause(incident) == Cause::kLeak &&
      incident.verdict->causes.front().confidence > usage.leak_confidence.value_or(0)) {
    usage.leak_confidence = incident.verdict->causes.front().confidence;
    usage.leak_text = incident.verdict->text;
  }
}

}  // namespace

SizingBook::SizingBook(const SizingSettings& settings, WhoseIs whose, Wanted wanted)
    : settings_(settings), whose_(std::move(whose)), wanted_(std::move(wanted)) {}

bool SizingBook::is_of_interest(const ExportedCgroup& cgroup) const {
  const Container& container = cgroup.container;
  if (container.id.empty()) {
    return settings_.all && !cgroup.path.empty() && cgroup.path != "/";
  }
  return is_own(cgroup) && (settings_.all || !container.pod || !container.pod->sandbox);
}

SizingBook::Open* SizingBook::open(std::uint64_t cgroup_id, std::uint64_t serial) {
  auto found = open_.find(cgroup_id);
  if (found != open_.end() && found->second.serial != serial) {  // ids are used again
    close(cgroup_id, found->second.windows.last_ns(), {});
    found = open_.end();
  }
  if (found != open_.end()) {
    return &found->second;
  }
  if (open_.size() >= kMaxOpen) {
    ++left_out_;
    return nullptr;
  }
  const auto window = static_cast<std::uint64_t>(settings_.window.count());
  return &open_.try_emplace(cgroup_id, Open{.serial = serial, .windows = UsageWindows(window), .limit = {}})
              .first->second;
}

void SizingBook::add(const StepEvent& told_step, std::uint64_t grown_bytes) {
  Open* one = open(told_step.cgroup_id, told_step.serial);
  if (one == nullptr) {
    return;
  }
  StepEvent step;  // without its stacks
  step.time_ns = told_step.time_ns;
  step.usage_bytes = sane(told_step.usage_bytes);
  step.watermark_bytes = sane(told_step.watermark_bytes);
  step.quantum_bytes = sane(told_step.quantum_bytes);
  one->windows.add(step);
  if (told_step.kind != MemoryKind::kUnknown || told_step.page_cache) {
    one->grown = saturating_add(one->grown, grown_bytes);
    one->cache =
        saturating_add(one->cache, told_step.page_cache || told_step.kind == MemoryKind::kFile ? grown_bytes : 0);
  }
  if (!std::exchange(one->reclaim_known, true)) {
    one->reclaim_first = told_step.reclaim_ns;
  }
  one->reclaim_last = std::max(one->reclaim_last, told_step.reclaim_ns);
  one->suppressed = saturating_add(one->suppressed, told_step.suppressed);
  const auto limit = sane_limit(told_step.limit_bytes);
  // A runtime makes the cgroup first and limits it then: from none to some is no change.
  one->limits_differ = one->limits_differ || (one->limit && one->limit != limit);
  one->limit_known = true;
  one->limit = limit;
  one->limit_ns = told_step.time_ns;
}

void SizingBook::add(const SampleEvent& sample) {
  if (const auto found = open_.find(sample.cgroup_id); found != open_.end()) {
    found->second.windows.add(SampleEvent{sample.time_ns, sample.cgroup_id, sane(sample.usage_bytes)});
  }
}

void SizingBook::add(const CgroupEvent& change) {
  if (change.created) {
    if (open_.contains(change.cgroup_id)) {  // ids are used again
      close(change.cgroup_id, change.time_ns, {});
    }
    if (Open* one = open(change.cgroup_id, change.serial); one != nullptr) {
      one->windows.begin(change.time_ns);
    }
  } else if (open_.contains(change.cgroup_id)) {
    const std::uint64_t mark = sane(change.watermark_bytes);
    close(change.cgroup_id, change.time_ns, mark > 0 ? std::optional(mark) : std::nullopt);
  }
}

void SizingBook::merge(SizedUsage& into, const Open& from, const UsageSeen& seen) {
  // Of two peaks the higher one counts, with what is known of it.
  if (seen.highest_bytes > into.peak_bytes || (seen.highest_bytes == into.peak_bytes && seen.mark_rose)) {
    into.peak_bytes = seen.highest_bytes;
    into.peak_exact = seen.mark_rose;
  }
  if (seen.mark_bytes > into.mark_bytes) {
    into.mark_bytes = seen.mark_bytes;
    into.slack_bytes = seen.slack_bytes;
  }
  into.peaks.add(seen.peaks);
  into.observed_ns = saturating_add(into.observed_ns, seen.observed_ns);
  into.grown_bytes = saturating_add(into.grown_bytes, from.grown);
  into.cache_bytes = saturating_add(into.cache_bytes, from.cache);
  into.reclaim_ns =
      saturating_add(into.reclaim_ns, from.reclaim_last - std::min(from.reclaim_first, from.reclaim_last));
  into.suppressed = saturating_add(into.suppressed, from.suppressed);
  if (from.limit_known) {
    into.limits_differ =
        into.limits_differ || from.limits_differ || (into.limit_known && into.limit_bytes != from.limit);
    if (!into.limit_known || from.limit_ns >= into.limit_ns) {
      into.limit_bytes = from.limit;
      into.limit_ns = from.limit_ns;
    }
    into.limit_known = true;
  }
}

SizingBook::Told* SizingBook::told(const ExportedCgroup& cgroup) {
  SizingGroup group = group_of(cgroup, settings_.by);
  auto found = told_.find(group.key);
  if (found == told_.end()) {
    if (told_.size() >= kMaxTold) {
      ++left_out_;
      return nullptr;
    }
    found = told_.try_emplace(std::move(group.key)).first;
  }
  Told& out = found->second;
  if (out.ids.size() < kMaxIds) {
    out.ids.insert(std::hash<std::string>()(cgroup.container.id.empty() ? cgroup.path : cgroup.container.id));
    out.usage.containers = out.ids.size();
  }
  // A later sight that knows less takes no name away.
  if (out.usage.container.name.empty() || !cgroup.container.name.empty()) {
    out.usage.container = cgroup.container;
    out.usage.cgroup = {cgroup.cgroup_id, cgroup.path};
    out.usage.label = std::move(group.label);
  }
  return &out;
}

void SizingBook::close(std::uint64_t cgroup_id, std::uint64_t end_ns, std::optional<std::uint64_t> last_mark) {
  const auto found = open_.find(cgroup_id);
  Open one = std::move(found->second);
  open_.erase(found);
  UsageSeen seen = one.windows.end(end_ns, last_mark);
  // One that was made and went without a step held less than a step.
  if (!one.limit_known && seen.mark_bytes == 0) {
    return;
  }
  const bool crowded = ended_.size() >= kMaxOpen;
  if (const auto cgroup = whose_(cgroup_id, one.serial, crowded)) {
    put(*cgroup, one, seen);
  } else {
    ended_.push_back({cgroup_id, std::move(one), std::move(seen)});
  }
}

void SizingBook::put(const ExportedCgroup& cgroup, const Open& open, const UsageSeen& seen) {
  if (is_of_interest(cgroup) && wanted_(cgroup)) {
    if (Told* to = told(cgroup); to != nullptr) {
      merge(to->usage, open, seen);
    }
  }
}

void SizingBook::settle(bool now_or_never) {
  std::erase_if(ended_, [&](const Ended& one) {
    const auto cgroup = whose_(one.cgroup_id, one.open.serial, now_or_never);
    if (cgroup) {
      put(*cgroup, one.open, one.seen);
    }
    return cgroup.has_value();
  });
}

void SizingBook::add(const Incident& incident) {
  const bool over = incident.stuck && !incident.stuck->ongoing;
  const bool tells = incident.kind == IncidentKind::kOom || first_cause(incident) == Cause::kLeak;
  if (!tells || !incident.update.empty() || over) {
    return;
  }
  ExportedCgroup cgroup{.cgroup_id = incident.cgroup.id,
                        .serial = 0,
                        .path = incident.cgroup.path,
                        .container = incident.container,
                        .label = {}};
  if (cgroup.container.id.empty() ? !is_of_interest(cgroup)
                                  : !settings_.all && cgroup.container.pod && cgroup.container.pod->sandbox) {
    return;
  }
  cgroup.label = label_of(cgroup);
  if (!wanted_(cgroup)) {
    return;
  }
  if (Told* to = told(cgroup); to != nullptr) {
    add_leak(to->usage, incident);
    if (incident.kind == IncidentKind::kOom) {
      add_oom(to->usage.ooms, incident);
    }
  }
}

void SizingBook::listed(const ExportedCgroup& cgroup) {
  if (!is_of_interest(cgroup) || !wanted_(cgroup) || told_.contains(group_of(cgroup, settings_.by).key)) {
    return;
  }
  if (Told* to = told(cgroup); to != nullptr) {
    to->usage.limit_bytes = sane_limit(cgroup.container.memory_limit_bytes);
    to->usage.limit_known = to->usage.limit_bytes.has_value();
  }
}

void SizingBook::close_all(std::uint64_t end_ns) {
  while (!open_.empty()) {
    close(open_.begin()->first, end_ns, {});
  }
  settle(true);
}

std::vector<SizedUsage> SizingBook::take() {
  std::vector<SizedUsage> out;
  out.reserve(told_.size());
  for (auto& [key, one] : told_) {
    out.push_back(std::move(one.usage));
  }
  told_.clear();
  return out;
}

}  // namespace memcrest
