// SPDX-License-Identifier: Apache-2.0
#include "collector/live_figures.h"

#include <algorithm>

namespace memcrest {

void LiveFigures::list() {
  MemoryReader limits(tree_, true);
  listed_ =
      list_cgroups(tree_.scan(), all_, [&](const std::string& path) { return limits.limit_of(path).has_value(); });
  const auto now = running();
  std::erase_if(read_, [&](std::uint64_t id) { return !now.contains(id); });
}

std::unordered_set<std::uint64_t> LiveFigures::running() const {
  std::unordered_set<std::uint64_t> out;
  for (const ListedCgroup& one : listed_) {
    out.insert(one.cgroup.id);
  }
  return out;
}

std::vector<LiveFigures::Figures> LiveFigures::read(const std::unordered_set<std::uint64_t>& wanted,
                                                    std::size_t others) {
  MemoryReader reader(tree_, tree_.whole_hierarchy());
  std::vector<Figures> out;
  const auto take = [&](const ListedCgroup& one) {
    read_.insert(one.cgroup.id);
    if (auto figures = reader.read(one.cgroup.path, one.inner)) {
      out.push_back({one.kind, {one.cgroup.id, one.cgroup.path}, std::move(*figures)});
    }
  };
  std::unordered_set<std::uint64_t> done;
  for (const ListedCgroup& one : listed_) {
    if (wanted.contains(one.cgroup.id) || !read_.contains(one.cgroup.id)) {
      take(one);
      done.insert(one.cgroup.id);
    }
  }
  for (std::size_t looked = 0; looked < listed_.size() && others > 0; ++looked) {
    const ListedCgroup& one = listed_[next_++ % listed_.size()];
    if (!done.contains(one.cgroup.id)) {
      take(one);
      --others;
    }
  }
  return out;
}

}  // namespace memcrest
