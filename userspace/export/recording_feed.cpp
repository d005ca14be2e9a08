// SPDX-License-Identifier: Apache-2.0
#include "export/recording_feed.h"

#include <algorithm>

#include "export/incident_reader.h"
#include "export/json.h"
#include "export/json_reader.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxWaiting = 16384;

// The cgroup that an event happened in; 0: none.
std::uint64_t cgroup_of(const Event& event) {
  return std::visit(
      [](const auto& one) -> std::uint64_t {
        if constexpr (requires { one.cgroup_id; }) {
          return one.cgroup_id;
        } else if constexpr (requires { one.memcg_id; }) {
          return one.memcg_id;
        } else if constexpr (requires { one.chain; }) {
          return one.chain.entries.empty() ? one.task.cgroup_id : one.chain.entries.front().cgroup_id;
        } else if constexpr (requires { one.task; }) {
          return one.task.cgroup_id;
        } else if constexpr (requires { one.target; }) {
          return one.target.cgroup_id;
        } else {
          return 0;
        }
      },
      event);
}

std::uint64_t sum(const LossCount& loss) {
  return loss.critical + loss.bulk + loss.throttled + loss.invalid + loss.untracked;
}

bool any(const ContainerFilter& filter) {
  return filter.containers_only || !filter.containers.empty() || !filter.pods.empty() || !filter.namespaces.empty() ||
         !filter.labels.empty() || !filter.images.empty() || !filter.cgroups.empty() || !filter.runtimes.empty();
}

// An earlier version's line lacks members that this one writes; nothing of it is lost by that.
bool holds_all(const Json& whole, const Json& part) {
  if (part.is_object() && whole.is_object()) {
    for (const auto& [key, value] : part.items()) {
      const auto found = whole.find(key);
      if (found == whole.end() || !holds_all(*found, value)) {
        return false;
      }
    }
    return true;
  }
  if (part.is_array() && whole.is_array()) {
    return std::ranges::equal(whole, part, holds_all);
  }
  return whole == part;
}

bool holds_all_of(const std::string& whole, const std::string& part) {
  const auto both = std::pair(parse_untrusted(whole), parse_untrusted(part));
  return both.first && both.second && holds_all(*both.first, *both.second);
}

}  // namespace

RecordingFeed::RecordingFeed(RecordingExporter& exporter, ExportedCgroups& cgroups, const ContainerFilter& filter,
                             const FrameNames& frames)
    : exporter_(exporter), cgroups_(cgroups), filter_(filter), frames_(frames), filters_(any(filter)) {}

// Unsigned, so that no clock of a damaged recording overflows.
std::optional<std::int64_t> RecordingFeed::unix_of(std::uint64_t boot_ns) const {
  if (!moment_) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(moment_->unix_ns) - (moment_->boot_ns - boot_ns));
}

bool RecordingFeed::wanted(const ExportedCgroup& cgroup) {
  return !filters_ || matches(filter_, cgroup.container, cgroup.path);
}

// A turn's events are recorded before its clocks are read.
template <typename T>
void RecordingFeed::pass_or_wait(T item) {
  if (!flows_ && waiting_.size() >= kMaxWaiting) {
    pass_waiting();
  }
  if (flows_) {
    pass(item);
  } else {
    waiting_.emplace_back(std::move(item));
  }
}

void RecordingFeed::pass_waiting() {
  flows_ = true;
  for (Waiting& item : std::exchange(waiting_, {})) {
    std::visit([this](auto& one) { pass(one); }, item);
  }
}

void RecordingFeed::add(Event event) { pass_or_wait(std::move(event)); }
void RecordingFeed::add(LossCount so_far) { pass_or_wait(so_far); }
void RecordingFeed::add_incident(std::string json) { pass_or_wait(IncidentText{std::move(json)}); }

void RecordingFeed::add(const Moment& moment) {
  moment_ = moment;
  exporter_.add(moment);
  if (!flows_) {
    pass_waiting();
  }
  last_ns_ = moment.boot_ns;
}

void RecordingFeed::pass(Event& event) {
  last_ns_ = time_of(event);
  if (auto* step = std::get_if<StepEvent>(&event)) {
    const MeteredGrowth growth = growth_.add(*step);
    const ExportedCgroup& cgroup = cgroups_.find(step->cgroup_id, step->serial);
    if (wanted(cgroup)) {
      frames_.trim(*step);
      exporter_.add(ExportedStep{*step, cgroup, growth, unix_of(step->time_ns)});
    }
    return;
  }
  if (const auto* sample = std::get_if<SampleEvent>(&event)) {
    growth_.add(*sample);
  } else if (const auto* change = std::get_if<CgroupEvent>(&event)) {
    growth_.add(*change);
  }
  const std::uint64_t cgroup_id = cgroup_of(event);
  const auto* made = std::get_if<CgroupEvent>(&event);
  const ExportedCgroup* cgroup = made != nullptr  ? &cgroups_.find(made->cgroup_id, made->serial)
                                 : cgroup_id != 0 ? &cgroups_.find(cgroup_id)
                                                  : nullptr;
  if (cgroup == nullptr || wanted(*cgroup)) {
    exporter_.add(ExportedEvent{event, cgroup, unix_of(last_ns_)});
  }
}

void RecordingFeed::pass(const LossCount& so_far) {
  if (std::exchange(loss_is_older_, false)) {
    older_ = so_far;
    return;
  }
  const std::uint64_t before = sum(lost_);
  lost_ = so_far.since(older_);
  const std::uint64_t now = sum(lost_);
  exporter_.add(ExportedLoss{lost_, now > before ? now - before : 0, last_ns_, unix_of(last_ns_)});
}

void RecordingFeed::pass(const IncidentText& text) {
  const auto incident = incident_from_json(text.json);
  if (!incident) {
    ++damaged_;
    return;
  }
  if (!filters_ || matches(filter_, incident->container, incident->cgroup.path)) {
    const std::string line = to_json(*incident);
    rewritten_ += line == text.json || holds_all_of(line, text.json) ? 0 : 1;
    exporter_.add(ExportedIncident{*incident, line});
  }
}

void RecordingFeed::finish(ExportEnd& end) {
  if (!flows_) {
    pass_waiting();
  }
  end.lost = lost_;
  if (damaged_ > 0) {
    end.gaps.push_back(std::to_string(damaged_) + " incidents of the recording could not be read");
  }
  if (rewritten_ > 0) {
    end.gaps.push_back(std::to_string(rewritten_) +
                       " incidents were written by another version: fields that this one does not know are left out");
  }
  if (auto left_out = growth_.left_out(); !left_out.empty()) {
    end.gaps.push_back(std::move(left_out));
  }
  exporter_.finish(end);
}

}  // namespace memcrest
