// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_tree.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "identity/cgroup_folder.h"
#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::size_t kMountinfoLimit = 8U << 20U;  // a busy container host has thousands of mounts

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end != 0) {
      parts.push_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool has_part(std::string_view text, char separator, std::string_view wanted) {
  const auto parts = split(text, separator);
  return std::ranges::find(parts, wanted) != parts.end();
}

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape_octal(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && std::all_of(&text[i + 1], &text[i + 1] + 3, is_octal)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Mount {
  std::string root;
  std::string point;
  int version = 0;
};

// A mount of the v1 memory hierarchy or of v2, from one line of mountinfo.
std::optional<Mount> parse_mount(std::string_view line) {
  const std::size_t dash = line.find(" - ");
  if (dash == std::string_view::npos) {
    return std::nullopt;
  }
  const auto left = split(line.substr(0, dash), ' ');
  const auto right = split(line.substr(dash + 3), ' ');
  if (left.size() < 6 || right.size() < 3) {
    return std::nullopt;
  }
  Mount mount{.root = unescape_octal(left[3]), .point = unescape_octal(left[4])};
  if (right[0] == "cgroup" && has_part(right[2], ',', "memory")) {
    mount.version = 1;
  } else if (right[0] == "cgroup2") {
    mount.version = 2;
  } else {
    return std::nullopt;
  }
  return mount;
}

bool is_below(std::string_view path, std::string_view top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/' || top == "/");
}

// The mount's root lies above this process's cgroup namespace: the kernel shows it as "/..", "/../..", without names.
bool is_above_namespace(std::string_view root) { return is_below(root, "/.."); }

// A directory of the mount table as `root` reaches it. The table is this process's own, so it already has the paths
// of a host tree bound elsewhere (/host/sys/...); only a table that speaks of plain /sys is carried over.
std::string reach(const SystemRoot& root, const std::string& point) {
  if (!is_below(point, root.sys) && is_below(point, "/sys")) {
    return root.sys + point.substr(4);
  }
  return point;
}

// Which of several mounts of the same hierarchy shows the most: the given tree before others; then one from above our
// cgroup namespace, then our whole view, then a part of it.
int rank(const SystemRoot& root, const Mount& mount) {
  const int preferred_tree = is_below(mount.point, root.sys) ? 4 : 0;
  return preferred_tree + (is_above_namespace(mount.root) ? 2 : mount.root == "/" ? 1 : 0);
}

bool has_memory(const std::string& directory) {
  const auto controllers = read_file(directory + "/cgroup.controllers");
  return controllers && has_part(controllers->substr(0, controllers->find('\n')), ' ', "memory");
}

bool has_parent_component(std::string_view path) { return has_part(path, '/', ".."); }

struct Node {
  std::uint64_t inode = 0;
  bool leaf = false;
};

std::optional<Node> node_of(const std::string& directory) {
  struct stat info{};
  if (::lstat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return std::nullopt;
  }
  // A directory has a link for each one in it, beside its own two: kernfs counts them so, and a file system that does
  // not count says 1. Most cgroups hold none, and need not be opened.
  return Node{.inode = info.st_ino, .leaf = info.st_nlink == 2};
}

std::optional<std::uint64_t> inode_of(const std::string& directory) {
  const auto node = node_of(directory);
  return node ? std::optional(node->inode) : std::nullopt;
}

// Names of the directories in `directory`; none when it has gone.
std::vector<std::string> child_names(const std::string& directory) {
  std::vector<std::string> names;
  const Directory dir(::opendir(directory.c_str()));
  if (!dir) {
    return names;
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    const bool may_be_directory = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
    if (may_be_directory && name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  return names;
}

std::string join(const std::string& parent, std::string_view name) {
  return parent == "/" ? "/" + std::string(name) : parent + "/" + std::string(name);
}

}  // namespace

Result<CgroupTree> CgroupTree::open(const SystemRoot& root) {
  const std::string table = root.proc + "/self/mountinfo";
  const auto text = read_file(table, kMountinfoLimit);
  if (!text) {
    return std::unexpected(text.error().within("find the memory cgroups"));
  }
  std::optional<Mount> best;
  std::vector<Mount> mounts;
  for (const std::string_view line : split(*text, '\n')) {
    const auto mount = parse_mount(line);
    if (!mount || (mount->version == 2 && !has_memory(reach(root, mount->point)))) {
      continue;
    }
    mounts.push_back(*mount);
    // The controller lives in one hierarchy at a time, so a v1 mount that names it and a v2 one cannot both be right.
    if (!best || mount->version < best->version ||
        (mount->version == best->version && rank(root, *mount) > rank(root, *best))) {
      best = *mount;
    }
  }
  if (!best) {
    return fail("find the memory cgroups", table, 0, "no mounted cgroup hierarchy carries the memory controller");
  }
  CgroupTree tree;
  tree.root_ = root;
  tree.version_ = best->version;
  tree.mount_point_ = reach(root, best->point);
  tree.mount_root_ = is_above_namespace(best->root) ? "/" : best->root;
  if (is_above_namespace(best->root)) {
    const auto own = std::ranges::find_if(
        mounts, [&](const Mount& mount) { return mount.version == best->version && mount.root == "/"; });
    tree.namespace_mount_ = own == mounts.end() ? std::string() : reach(root, own->point);
    tree.above_namespace_ = true;
  }
  return tree;
}

const char* CgroupTree::limit_file() const { return version_ == 1 ? "memory.limit_in_bytes" : "memory.max"; }
const char* CgroupTree::usage_file() const { return version_ == 1 ? "memory.usage_in_bytes" : "memory.current"; }
const char* CgroupTree::peak_file() const { return version_ == 1 ? "memory.max_usage_in_bytes" : "memory.peak"; }
const char* CgroupTree::swap_limit_file() const {
  return version_ == 1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max";
}

bool CgroupTree::whole_hierarchy() const {
  constexpr std::uint64_t kRootInode = 1;  // kernfs numbers from its root
  return mount_root_ == "/" && inode_of(mount_point_) == kRootInode;
}

std::optional<std::string> CgroupTree::dir_of(const std::string& path) const {
  if (!path.starts_with('/') || path.contains('\0') || has_parent_component(path) || !is_below(path, mount_root_)) {
    return std::nullopt;
  }
  std::string rest = mount_root_ == "/" ? path : path.substr(mount_root_.size());
  while (rest.ends_with('/')) {
    rest.pop_back();
  }
  return mount_point_ + rest;
}

std::vector<CgroupTree::Entry> CgroupTree::scan(std::size_t limit) const {
  std::vector<Entry> found;
  std::vector<bool> leaves;
  const auto add = [&](std::string path) {
    const auto directory = dir_of(path);
    const auto node = directory ? node_of(*directory) : std::nullopt;
    if (node && found.size() < limit) {
      found.push_back({node->inode, std::move(path)});
      leaves.push_back(node->leaf);
    }
  };
  add(mount_root_);
  for (std::size_t next = 0; next < found.size() && found.size() < limit; ++next) {
    if (leaves[next]) {
      continue;
    }
    const std::string parent = found[next].path;
    for (const std::string& name : child_names(dir_of(parent).value_or(""))) {
      add(join(parent, name));
    }
  }
  return found;
}

Result<std::string> CgroupTree::own_path() const {
  const std::string file = root_.proc + "/self/cgroup";
  const auto text = read_file(file);
  if (!text) {
    return std::unexpected(text.error());
  }
  for (const std::string_view line : split(*text, '\n')) {
    const std::size_t controllers = line.find(':');
    const std::size_t path = line.find(':', std::min(controllers, line.size() - 1) + 1);
    if (path == std::string_view::npos) {
      continue;
    }
    const std::string_view names = line.substr(controllers + 1, path - controllers - 1);
    const bool ours = version_ == 1 ? has_part(names, ',', "memory") : names.empty() && line.starts_with("0:");
    if (!ours) {
      continue;
    }
    const std::string own(line.substr(path + 1));
    return above_namespace_ ? path_outside_namespace(own) : Result<std::string>(own);
  }
  return fail("find the own cgroup", file, 0, "no line for the memory controller");
}

Result<std::string> CgroupTree::path_outside_namespace(const std::string& path) const {
  const auto id = namespace_mount_.empty() ? std::nullopt : inode_of(namespace_mount_ + path);
  if (id) {
    const auto all = scan();
    const auto entry = std::ranges::find(all, *id, &Entry::id);
    if (entry != all.end()) {
      return entry->path;
    }
  }
  return fail("find the own cgroup", path, 0, "a cgroup namespace hides its place in the hierarchy");
}

Result<std::optional<std::uint64_t>> CgroupTree::read_number(const std::string& path, const std::string& file) const {
  const auto directory = dir_of(path);
  if (!directory || file.empty() || file.contains('/')) {
    return fail("read", path + " " + file, ENOENT, "not in the part of the hierarchy that is mounted here");
  }
  const std::string name = *directory + "/" + file;
  const auto text = read_file(name);
  return text ? control_number(*text, name) : std::unexpected(text.error());
}

}  // namespace memcrest
