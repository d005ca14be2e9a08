// SPDX-License-Identifier: Apache-2.0
#include "collector/memory_figures.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "collector/cgroup_files.h"
#include "identity/cgroup_folder.h"

namespace memcrest {
namespace {

constexpr int kLevelsUp = 64;  // no real hierarchy is deeper

std::string failed(const char* file, const Error& error) {
  return std::string(file) + ": " + (error.code != 0 ? errno_text(error.code) : error.detail);
}

}  // namespace

std::optional<MemoryFigures> MemoryReader::read(const std::string& path, const std::vector<std::string>& inner) {
  const auto directory = tree_.dir_of(path);
  const auto gone = [&] { return !directory || ::access(directory->c_str(), F_OK) != 0; };
  MemoryFigures out;
  const auto folder = CgroupFolder::open(tree_, path);
  if (!folder) {
    out.gaps.push_back(failed(tree_.usage_file(), folder.error()));
    return gone() ? std::nullopt : std::optional(std::move(out));
  }
  const auto usage = folder->read_number(tree_.usage_file());
  if (!usage && gone()) {
    return std::nullopt;
  }
  if (!usage && usage.error().code == ENOENT) {
    out.gaps.emplace_back(
        "the memory controller is not active in this cgroup: its memory counts for the one around it");
    read_limits(path, *folder, out);
    return out;
  }
  if (usage) {
    out.usage_bytes = *usage;
  } else {
    out.gaps.push_back(failed(tree_.usage_file(), usage.error()));
  }
  read_usage(*folder, out);
  read_limits(path, *folder, out);
  read_swap(*folder, out);
  read_kills(*folder, inner, out);
  // A cgroup that went meanwhile is no cgroup with unreadable files.
  return !out.gaps.empty() && gone() ? std::nullopt : std::optional(std::move(out));
}

void MemoryReader::read_usage(const CgroupFolder& folder, MemoryFigures& out) const {
  const auto stat = folder.read("memory.stat");
  const char* const key = tree_.version() == 1 ? "total_inactive_file" : "inactive_file";
  out.inactive_file_bytes = stat ? value_of(*stat, key) : std::nullopt;
  if (!out.inactive_file_bytes) {
    out.gaps.push_back("memory.stat: no " + std::string(key));
  }
  if (stat) {
    const bool v1 = tree_.version() == 1;
    out.anon_bytes = value_of(*stat, v1 ? "total_rss" : "anon");
    out.shmem_bytes = value_of(*stat, v1 ? "total_shmem" : "shmem");
    out.file_bytes = value_of(*stat, v1 ? "total_cache" : "file");
    if (out.file_bytes && out.shmem_bytes) {
      *out.file_bytes -= std::min(*out.file_bytes, *out.shmem_bytes);  // both count tmpfs
    }
  }
  // Last: a peak that was read before the usage could lie below it.
  const auto peak = folder.read_number(tree_.peak_file());
  if (peak) {
    out.peak_bytes = *peak;
  } else if (peak.error().code == ENOENT && tree_.version() == 2) {
    out.gaps.emplace_back("the kernel keeps no peak (memory.peak came with Linux 5.19)");
  } else {
    out.gaps.push_back(failed(tree_.peak_file(), peak.error()));
  }
}

const MemoryReader::Level& MemoryReader::level(const std::string& path, const CgroupFolder* folder) {
  const auto [slot, fresh] = levels_.try_emplace(path);
  Level& out = slot->second;
  if (!fresh) {
    return out;
  }
  const auto number = [&](const char* file) {
    return folder != nullptr ? folder->read_number(file) : tree_.read_number(path, file);
  };
  const auto limit = number(tree_.limit_file());
  // v2: the root has no such file, nor has a cgroup in which the controller is not active.
  const bool unlimited = !limit && limit.error().code == ENOENT && tree_.version() == 2 && tree_.dir_of(path);
  out.known = limit || unlimited;
  out.error = limit ? 0 : limit.error().code;
  out.limit_bytes = limit ? *limit : std::nullopt;
  if (out.limit_bytes) {
    const auto usage = number(tree_.usage_file());
    out.usage_bytes = usage ? *usage : std::nullopt;
  }
  if (tree_.version() == 1) {
    const auto hierarchy = number("memory.use_hierarchy");
    out.holds_below = !hierarchy || *hierarchy != 0;
  }
  return out;
}

void MemoryReader::read_limits(const std::string& path, const CgroupFolder& folder, MemoryFigures& out) {
  const Level& own = level(path, &folder);
  out.limit_known = out.effective_known = own.known;
  out.limit_bytes = own.limit_bytes;
  if (own.limit_bytes) {
    out.effective = EffectiveLimit{.bytes = *own.limit_bytes, .cgroup_path = path, .usage_bytes = out.usage_bytes};
  } else if (!own.known) {
    out.gaps.push_back(std::string(tree_.limit_file()) + ": " + errno_text(own.error));
  }
  std::string up = parent_of(path);
  for (int levels = 0; !up.empty(); ++levels, up = parent_of(up)) {
    if (up == "/" && whole_view_) {
      return;  // the root has no limit
    }
    const Level& above = level(up);
    if (above.known && !above.holds_below) {
      return;  // and nothing that lies above it holds either
    }
    if (!above.known || levels >= kLevelsUp) {
      break;
    }
    if (above.limit_bytes && (!out.effective || *above.limit_bytes < out.effective->bytes)) {
      out.effective = EffectiveLimit{.bytes = *above.limit_bytes, .cgroup_path = up, .usage_bytes = above.usage_bytes};
    }
  }
  if (!up.empty() || !whole_view_) {
    out.effective_known = false;
    out.gaps.emplace_back("limits further up are out of sight");
  }
}

void MemoryReader::read_swap(const CgroupFolder& folder, MemoryFigures& out) const {
  const auto limit = folder.read_number(tree_.swap_limit_file());
  if (!limit) {
    return;  // no such file: the kernel does not account swap
  }
  const char* const usage_file = tree_.version() == 1 ? "memory.memsw.usage_in_bytes" : "memory.swap.current";
  const auto usage = folder.read_number(usage_file);
  out.swap = Swap{.usage_bytes = usage ? *usage : std::nullopt, .limit_bytes = *limit, .kind = tree_.swap_limit_file()};
}

void MemoryReader::read_kills(const CgroupFolder& folder, const std::vector<std::string>& inner,
                              MemoryFigures& out) const {
  const char* const file = tree_.version() == 1 ? "memory.oom_control" : "memory.events";
  const auto kills_in = [](const auto& text) { return text ? value_of(*text, "oom_kill") : std::nullopt; };
  out.oom_kills = kills_in(folder.read(file));
  if (!out.oom_kills) {
    out.gaps.push_back(std::string(file) + ": no oom_kill");
    return;
  }
  if (tree_.version() == 1) {
    for (const std::string& cgroup : inner) {
      *out.oom_kills += kills_in(read_control(tree_, cgroup, file)).value_or(0);
    }
  }
}

}  // namespace memcrest
