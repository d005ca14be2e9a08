// SPDX-License-Identifier: Apache-2.0
#include "collector/cgroup_roster.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>
#include <utility>

#include "collector/cgroup_files.h"

namespace memcrest {
namespace {

constexpr std::uint32_t kCame = IN_CREATE | IN_MOVED_TO;
constexpr std::uint32_t kWent = IN_DELETE | IN_MOVED_FROM;

std::uint64_t inode_of(const std::string& folder) {
  struct stat info{};
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) ? info.st_ino : 0;
}

std::string child_path(const std::string& parent, const std::string& name) {
  return (parent == "/" ? "" : parent) + "/" + name;
}

}  // namespace

CgroupRoster::CgroupRoster(const CgroupTree& tree, RosterSettings settings, CpuClock cpu)
    : tree_(tree), settings_(settings), cpu_(std::move(cpu)), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

const Cgroup* CgroupRoster::find(std::uint64_t id) const {
  const auto found = all_.find(id);
  return found == all_.end() ? nullptr : &found->second;
}

const Cgroup* CgroupRoster::find_path(const std::string& path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : find(found->second);
}

std::vector<std::uint64_t> CgroupRoster::take_touched() {
  std::ranges::sort(touched_);
  const auto rest = std::ranges::unique(touched_);
  touched_.erase(rest.begin(), rest.end());
  return std::exchange(touched_, {});
}

void CgroupRoster::refresh(std::uint64_t now_ns, std::vector<CgroupChange>& out) {
  read_events(out);
  if (now_ns >= next_scan_ns_ || overflowed_) {
    rescan(now_ns, out);
  }
}

void CgroupRoster::rescan(std::uint64_t now_ns, std::vector<CgroupChange>& out) {
  const std::uint64_t begin = cpu_();
  scan_once(!started_, out);
  if (!std::exchange(started_, true)) {
    scan_once(false, out);  // what was made before its parent's directory was watched
  }
  const auto usual = all_watched() ? settings_.rescan : settings_.rescan_unwatched;
  const auto affordable = static_cast<double>(cpu_() - begin) / std::max(settings_.rescan_share, 1e-6);
  next_scan_ns_ =
      now_ns + std::max(static_cast<std::uint64_t>(usual.count()) * 1'000'000, static_cast<std::uint64_t>(affordable));
  overflowed_ = false;
}

void CgroupRoster::scan_once(bool at_start, std::vector<CgroupChange>& out) {
  const auto found = tree_.scan(settings_.max_cgroups + 1);
  std::unordered_set<std::uint64_t> existing;
  for (const CgroupTree::Entry& entry : found) {
    existing.insert(entry.id);
  }
  std::vector<std::uint64_t> gone;
  for (const auto& [id, cgroup] : all_) {
    if (!existing.contains(id)) {
      gone.push_back(id);
    }
  }
  for (const std::uint64_t id : gone) {
    remove(id, out);
  }
  for (const CgroupTree::Entry& entry : found) {
    add(entry.id, entry.path, at_start, out);
  }
}

bool CgroupRoster::add(std::uint64_t id, const std::string& path, bool at_start, std::vector<CgroupChange>& out) {
  if (const Cgroup* known = find(id)) {
    if (known->path == path) {
      return false;
    }
    remove(id, out);  // moved, which v1 allows
  }
  if (const auto before = by_path_.find(path); before != by_path_.end()) {
    remove(before->second, out);
  }
  if (all_.size() >= settings_.max_cgroups) {
    ++untracked_;
    return false;
  }
  const auto parent = by_path_.find(parent_of(path));
  const Cgroup& cgroup =
      all_.emplace(id, Cgroup{id, parent == by_path_.end() ? 0 : parent->second, path}).first->second;
  by_path_[path] = id;
  const auto folder = tree_.dir_of(path);
  const int folder_watch = folder ? watch(*folder, kCame | kWent | IN_ONLYDIR, id) : -1;
  watches_[id].folder = folder_watch;
  unwatched_ += folder_watch < 0 ? 1 : 0;
  out.push_back({cgroup, true, at_start});
  return true;
}

// A new cgroup and what was made inside it before it was watched.
void CgroupRoster::add_tree(const std::string& path, std::vector<CgroupChange>& out) {
  const auto folder = tree_.dir_of(path);
  const std::uint64_t id = folder ? inode_of(*folder) : 0;
  if (id == 0 || !add(id, path, false, out)) {
    return;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator entry(*folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (entry->is_directory(gone) && !entry->is_symlink(gone)) {
      add_tree(child_path(path, entry->path().filename().string()), out);
    }
  }
}

void CgroupRoster::remove(std::uint64_t id, std::vector<CgroupChange>& out) {
  const auto found = all_.find(id);
  if (found == all_.end()) {
    return;
  }
  // Not left to the kernel: a watch keeps the inode of a removed cgroup alive.
  const Watches watches = std::exchange(watches_[id], {});
  watches_.erase(id);
  unwatched_ -= watches.folder < 0 ? 1 : 0;
  unwatch(watches.folder);
  unwatch(watches.file);
  by_path_.erase(found->second.path);
  out.push_back({std::move(found->second), false, false});
  all_.erase(found);
}

void CgroupRoster::remove_tree(const std::string& path, std::vector<CgroupChange>& out) {
  std::vector<std::uint64_t> gone;
  const std::string below = path + "/";
  for (auto at = by_path_.lower_bound(below); at != by_path_.end() && at->first.starts_with(below); ++at) {
    gone.push_back(at->second);
  }
  std::ranges::reverse(gone);  // children before parents
  if (const auto self = by_path_.find(path); self != by_path_.end()) {
    gone.push_back(self->second);
  }
  for (const std::uint64_t id : gone) {
    remove(id, out);
  }
}

int CgroupRoster::watch(const std::string& path, std::uint32_t mask, std::uint64_t id) {
  if (!inotify_ || watched_.size() >= settings_.max_watches) {
    return -1;
  }
  const int added = ::inotify_add_watch(inotify_.get(), path.c_str(), mask);
  if (added >= 0) {
    watched_[added] = id;
  }
  return added;
}

void CgroupRoster::unwatch(int watch) {
  if (watch >= 0) {
    ::inotify_rm_watch(inotify_.get(), watch);
    watched_.erase(watch);
  }
}

bool CgroupRoster::watch_file(std::uint64_t id, const char* file) {
  const Cgroup* cgroup = find(id);
  const auto folder = cgroup != nullptr ? tree_.dir_of(cgroup->path) : std::nullopt;
  if (!folder) {
    return false;
  }
  const int added = watch(*folder + "/" + file, IN_MODIFY, id);
  watches_[id].file = added;
  return added >= 0;
}

void CgroupRoster::read_events(std::vector<CgroupChange>& out) {
  alignas(inotify_event) char buffer[16384];
  while (inotify_) {
    const ssize_t got = ::read(inotify_.get(), buffer, sizeof(buffer));
    if (got <= 0) {
      return;
    }
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += sizeof(inotify_event) + event->len;
      overflowed_ = overflowed_ || (event->mask & IN_Q_OVERFLOW) != 0;
      const auto found = watched_.find(event->wd);
      const Cgroup* cgroup = found == watched_.end() ? nullptr : find(found->second);
      if (cgroup == nullptr) {
        continue;  // of a watch that was just taken back
      }
      if ((event->mask & IN_MODIFY) != 0) {
        touched_.push_back(cgroup->id);
      } else if ((event->mask & IN_ISDIR) != 0 && event->len > 0) {
        on_folder_event(*cgroup, event->mask, event->name, out);
      }
    }
  }
}

void CgroupRoster::on_folder_event(const Cgroup& parent, std::uint32_t mask, const std::string& name,
                                   std::vector<CgroupChange>& out) {
  const std::string path = child_path(parent.path, name);
  if ((mask & kWent) != 0) {
    remove_tree(path, out);
  } else if ((mask & kCame) != 0) {
    add_tree(path, out);
  }
}

}  // namespace memcrest
