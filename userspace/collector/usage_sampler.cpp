// SPDX-License-Identifier: Apache-2.0
#include "collector/usage_sampler.h"

#include <fcntl.h>

#include <charconv>

namespace memcrest {

UsageSampler::UsageSampler(const CgroupTree& tree, Resolver& resolver, const Clock& clock, std::size_t max_open)
    : tree_(tree), resolver_(resolver), clock_(clock), max_open_(max_open) {}

void UsageSampler::sample(const std::vector<std::uint64_t>& cgroup_ids, std::vector<SampleEvent>& out) {
  for (const std::uint64_t id : cgroup_ids) {
    auto found = files_.find(id);
    if (found == files_.end()) {
      const Identity identity = resolver_.find(id);
      const auto folder = identity.known ? tree_.dir_of(identity.cgroup.path) : std::nullopt;
      if (!folder) {
        continue;
      }
      auto file = open_file(*folder + "/" + tree_.usage_file(), O_RDONLY);
      if (!file) {
        continue;
      }
      if (files_.size() >= max_open_) {
        files_.erase(files_.begin());  // the oldest cgroup, by its number
      }
      found = files_.emplace(id, std::move(*file)).first;
    }
    char text[32];
    const ssize_t got = ::pread(found->second.get(), text, sizeof(text), 0);
    std::uint64_t usage = 0;
    if (got <= 0 || std::from_chars(text, text + got, usage).ec != std::errc{}) {
      files_.erase(found);
      continue;
    }
    out.push_back({clock_.boot_ns(), id, usage});
  }
}

}  // namespace memcrest
