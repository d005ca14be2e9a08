// SPDX-License-Identifier: Apache-2.0
#include "identity/oci_bundle.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace memcrest {
namespace {

constexpr std::size_t kMaxLearned = 16;
constexpr std::chrono::milliseconds kPatience{1000};
constexpr std::size_t kMostStuck = 32;

// containerd's rule for identifiers; full ids of the others obey it too. It makes a name that is one directory's.
bool is_identifier(std::string_view text) {
  constexpr std::size_t kLongest = 76;
  const auto alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && text.size() <= kLongest && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

}  // namespace

OciBundle::OciBundle(SystemRoot root, CgroupTree tree)
    : root_(std::move(root)), tree_(std::move(tree)), patience_(kPatience, kMostStuck) {}

bool OciBundle::may_add(const CgroupPath& path, const Container& /*known*/) const {
  const bool has_bundle =
      path.runtime != Runtime::kLxc && path.runtime != Runtime::kSystemd && path.runtime != Runtime::kNone;
  return has_bundle && is_identifier(path.container_id);
}

std::vector<LearnedPlace> OciBundle::learned() const {
  const std::lock_guard lock(mutex_);
  return learned_;
}

void OciBundle::learn(const std::optional<LearnedPlace>& place) const {
  const std::lock_guard lock(mutex_);
  if (place && std::ranges::find(learned_, *place) == learned_.end()) {
    if (learned_.size() == kMaxLearned) {
      learned_.erase(learned_.begin());
    }
    learned_.push_back(*place);
  }
}

Result<std::optional<Container>> OciBundle::look_up(const CgroupPath& path, const std::stop_token& stop) {
  if (!is_identifier(path.container_id)) {
    return fail("look for the OCI bundle of", path.container_id, EINVAL, "not a container id");
  }
  return search(path, stop);
}

Result<std::optional<Container>> OciBundle::search(const CgroupPath& path, const std::stop_token& stop) const {
  auto found = patience_.run(whose(path), [root = root_, tree = tree_, path, stop, known = learned()] {
    BundleSearch search(root, tree, path, stop);
    auto container = search.run(known);
    return std::pair(std::move(container), search.learned());
  });
  if (!found) {
    return fail("look for the OCI bundle of", path.container_id, EAGAIN, "a process or a file system does not answer");
  }
  learn(found->second);
  return std::move(found->first);
}

// Who could make a search hang: whoever the cgroup was given to, or the container around it.
std::string OciBundle::whose(const CgroupPath& path) const {
  auto user = user_of_cgroup(path.container_path);
  if (const auto directory = tree_.dir_of(path.container_path); directory && !user) {
    struct stat info{};
    user = ::lstat(directory->c_str(), &info) == 0 ? std::optional(info.st_uid) : std::nullopt;
  }
  // Ids in a user's path are the user's own choice, and many.
  if (user.value_or(0) == 0 && !path.outer_ids.empty()) {
    return path.outer_ids.front().id;
  }
  return user ? std::to_string(*user) : std::string();
}

Result<std::optional<Container>> OciBundle::inspect(const CgroupPath& path, const std::stop_token& stop) {
  auto found = look_up(path, stop);
  if (found && *found && !(*found)->init_pid) {
    return std::nullopt;
  }
  return found;
}

std::optional<CgroupPath> OciBundle::confirm(const std::string& path, const std::string& id,
                                             const std::stop_token& stop) const {
  CgroupPath guess = parse_cgroup_path(path);
  if (guess.runtime != Runtime::kNone || !is_identifier(id) || !path.ends_with("/" + id)) {
    return std::nullopt;
  }
  guess.runtime = Runtime::kContainerd;
  guess.container_id = id;
  guess.container_path = path;
  guess.reason.clear();
  const auto found = search(guess, stop);
  return found && *found ? std::optional(std::move(guess)) : std::nullopt;
}

}  // namespace memcrest
