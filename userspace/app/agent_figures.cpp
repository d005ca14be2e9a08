// SPDX-License-Identifier: Apache-2.0
#include "app/agent_figures.h"

#include <algorithm>
#include <string>
#include <utility>

#include "collector/memory_figures.h"

namespace memcrest {
namespace {

using std::chrono::steady_clock;

constexpr auto kRelistEvery = std::chrono::seconds(10);
constexpr auto kRelistLeast = std::chrono::seconds(1);  // although a cgroup came
constexpr std::size_t kLeastQuiet = 20;                 // quiet containers that a look at usage reads too
constexpr std::size_t kQuietRounds = 25;                // within which it has read all of them
constexpr std::size_t kMaxNameless = 64;

}  // namespace

std::vector<ContainerMemory> AgentFigures::read_all() const {
  std::vector<ContainerMemory> out;
  if (resolver_ == nullptr) {
    return out;
  }
  const auto entries = tree_.scan();
  MemoryReader reader(tree_, tree_.whole_hierarchy());
  for (const ListedCgroup& one : list_cgroups(entries, false, [](const std::string&) { return false; })) {
    if (one.kind != CgroupKind::kContainer) {
      continue;
    }
    auto figures = reader.read(one.cgroup.path, one.inner);
    if (!figures) {
      continue;
    }
    if (auto memory = named(one.kind, {one.cgroup.id, one.cgroup.path}, std::move(*figures))) {
      out.push_back(std::move(*memory));
    }
  }
  return out;
}

std::optional<Container> AgentFigures::container_of(std::uint64_t cgroup_id) const {
  Resolver* resolver = resolver_;
  if (resolver == nullptr) {
    return std::nullopt;
  }
  Identity identity = resolver->find(cgroup_id);
  return identity.known ? std::optional(std::move(identity.container)) : std::nullopt;
}

std::optional<ContainerMemory> AgentFigures::named(CgroupKind kind, const CgroupRef& cgroup,
                                                   MemoryFigures figures) const {
  Identity identity = resolver_.load()->find(cgroup.id);
  if (identity.container.id.empty() || (identity.container.pod && identity.container.pod->sandbox)) {
    return std::nullopt;
  }
  return ContainerMemory{
      .kind = kind, .cgroup = cgroup, .container = std::move(identity.container), .figures = std::move(figures)};
}

FeedRound AgentFigures::read_moved(const UsageBoard::News& news) {
  FeedRound out;
  if (resolver_ == nullptr) {
    return out;
  }
  if (!figures_) {
    figures_.emplace(tree_, false);
  }
  came_ = came_ || news.cgroups;
  if (steady_clock::now() - listed_ >= (came_ ? kRelistLeast : kRelistEvery)) {
    came_ = false;
    figures_->list();
    listed_ = steady_clock::now();
    out.running = figures_->running();
  }
  std::unordered_set<std::uint64_t> wanted = news.moved;
  wanted.insert(nameless_.begin(), nameless_.end());
  nameless_.clear();
  const std::size_t others = std::max(kLeastQuiet, figures_->running().size() / kQuietRounds);
  for (LiveFigures::Figures& one : figures_->read(wanted, others)) {
    if (auto memory = named(one.kind, one.cgroup, std::move(one.memory))) {
      if (memory->container.name.empty() && nameless_.size() < kMaxNameless) {
        nameless_.insert(one.cgroup.id);
      }
      out.figures.push_back(std::move(*memory));
    }
  }
  return out;
}

}  // namespace memcrest
