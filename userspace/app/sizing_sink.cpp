// SPDX-License-Identifier: Apache-2.0
#include "app/sizing_sink.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxNames = 65536;

}  // namespace

LiveSizing::LiveSizing(const SizingSettings& settings, const ContainerFilter& filter)
    : book(
          settings,
          [this](std::uint64_t id, std::uint64_t /*serial*/, bool now_or_never) { return whose(id, now_or_never); },
          [&filter](const ExportedCgroup& one) { return matches(filter, one.container, one.path); }) {}

std::optional<ExportedCgroup> LiveSizing::whose(std::uint64_t cgroup_id, bool now_or_never) const {
  const auto found = names.find(cgroup_id);
  if (found == names.end() && !now_or_never) {
    return std::nullopt;
  }
  ExportedCgroup out{.cgroup_id = cgroup_id, .serial = 0, .path = {}, .container = {}, .label = {}};
  if (found != names.end()) {
    out.path = found->second.cgroup.path;
    out.container = found->second.container;
  }
  out.label = label_of(out);
  return out;
}

void SizingSink::add(std::span<const Event> events) {
  for (const Event& event : events) {
    if (const auto* step = std::get_if<StepEvent>(&event)) {
      to_.book.add(*step, growth_.add(*step).bytes);
    } else if (const auto* sample = std::get_if<SampleEvent>(&event)) {
      growth_.add(*sample);
      to_.book.add(*sample);
    } else if (const auto* change = std::get_if<CgroupEvent>(&event)) {
      growth_.add(*change);
      if (change->created && to_.names.contains(change->cgroup_id)) {  // ids are used again
        to_.book.settle();
        to_.names.erase(change->cgroup_id);
      }
      to_.book.add(*change);
    }
  }
}

void SizingSink::add(Moment moment) {
  to_.first = to_.first.value_or(moment);
  to_.last = moment;
  to_.book.settle();
}

void SizingSink::add(std::span<const SampleEvent> samples) {
  for (const SampleEvent& sample : samples) {
    growth_.add(sample);
    to_.book.add(sample);
  }
}

void SizingSink::add(const Incident& incident, std::string /*json*/) { to_.book.add(incident); }

bool SizingSink::add(const CgroupRef& cgroup, const Container& container) {
  if (to_.names.size() >= kMaxNames) {
    std::erase_if(to_.names, [](const auto& one) { return one.second.container.id.empty(); });
  }
  if (to_.names.size() < kMaxNames || to_.names.contains(cgroup.id)) {
    to_.names.insert_or_assign(cgroup.id, LiveSizing::Name{cgroup, container});
  }
  return true;
}

Result<void> SizingSink::finish() {
  to_.book.close_all(to_.last ? to_.last->boot_ns : 0);
  return {};
}

}  // namespace memcrest
