// SPDX-License-Identifier: Apache-2.0
#include "top/top_order.h"

#include <algorithm>
#include <cctype>

#include "identity/container_filter.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

std::optional<double> share(std::uint64_t bytes, const MemoryFigures& figures) {
  if (!figures.effective) {
    return std::nullopt;
  }
  const auto limit = figures.effective->bytes;
  return limit == 0 ? 1.0 : static_cast<double>(bytes) / static_cast<double>(limit);
}

// nullopt is less than any value.
std::optional<double> rank(const LiveRow& row, TopOrder order) {
  const MemoryFigures& figures = row.memory.figures;
  const auto number = [](const std::optional<std::uint64_t>& value) {
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  };
  switch (order) {
    case TopOrder::kPercent:
      return peak_share(row);
    case TopOrder::kUse:
      return number(figures.usage_bytes);
    case TopOrder::kPeak:
      return static_cast<double>(row.peak_interval_bytes);
    case TopOrder::kMost:
      return number(figures.peak_bytes);
    case TopOrder::kLimit:
      return figures.effective ? std::optional(static_cast<double>(figures.effective->bytes)) : std::nullopt;
    case TopOrder::kGrowth:
      return row.growth_bytes_per_s;
    case TopOrder::kOoms:
      return number(figures.oom_kills);
    case TopOrder::kStall:
      return row.stall_ms;
    case TopOrder::kName:
      return std::nullopt;
  }
  return std::nullopt;
}

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

bool has(std::string_view whole, std::string_view part) {
  return !std::ranges::search(whole, part, [](char a, char b) { return lower(a) == lower(b); }).empty();
}

}  // namespace

const char* to_string(TopOrder order) {
  switch (order) {
    case TopOrder::kPercent:
      return "percent";
    case TopOrder::kUse:
      return "use";
    case TopOrder::kPeak:
      return "peak";
    case TopOrder::kMost:
      return "max";
    case TopOrder::kLimit:
      return "limit";
    case TopOrder::kGrowth:
      return "growth";
    case TopOrder::kOoms:
      return "oom";
    case TopOrder::kStall:
      return "stall";
    case TopOrder::kName:
      return "name";
  }
  return "";
}

std::optional<TopOrder> parse_top_order(std::string_view text) {
  const auto found = std::ranges::find_if(kTopOrders, [&](TopOrder one) { return text == to_string(one); });
  return found == std::end(kTopOrders) ? std::nullopt : std::optional(*found);
}

std::optional<double> use_share(const LiveRow& row) {
  return share(row.memory.figures.usage_bytes.value_or(0), row.memory.figures);
}
std::optional<double> peak_share(const LiveRow& row) {
  return share(std::max(row.peak_interval_bytes, row.memory.figures.usage_bytes.value_or(0)), row.memory.figures);
}

void sort_rows(std::vector<LiveRow>& rows, TopOrder order, bool reversed) {
  struct Key {
    std::optional<double> rank;
    std::string name;
    std::size_t index;
  };
  std::vector<Key> keys;
  keys.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    keys.push_back({rank(rows[i], order), name_of(rows[i]), i});
  }
  std::ranges::sort(keys, [&](const Key& a, const Key& b) {
    if (a.rank != b.rank) {
      if (!a.rank || !b.rank) {
        return a.rank.has_value();  // in either direction
      }
      return reversed ? *a.rank < *b.rank : *a.rank > *b.rank;
    }
    if (a.name != b.name) {
      return reversed && order == TopOrder::kName ? a.name > b.name : a.name < b.name;
    }
    return rows[a.index].memory.cgroup.path < rows[b.index].memory.cgroup.path;
  });
  std::vector<LiveRow> sorted;
  sorted.reserve(rows.size());
  for (const Key& key : keys) {
    sorted.push_back(std::move(rows[key.index]));
  }
  rows = std::move(sorted);
}

std::string name_of(const LiveRow& row) {
  const Container& container = row.memory.container;
  if (!container.name.empty() && row.memory.kind != CgroupKind::kOther) {
    return container.name;
  }
  if (!container.id.empty() && row.memory.kind == CgroupKind::kContainer) {
    return "? " + container.id.substr(0, view::kShortId);
  }
  if (row.memory.cgroup.path.empty()) {
    return "cgroup " + std::to_string(row.memory.cgroup.id);
  }
  return row.memory.cgroup.path.substr(row.memory.cgroup.path.rfind('/') + 1);
}

std::string group_of(const LiveRow& row) {
  const Container& container = row.memory.container;
  if (const std::string pod = pod_name(container); !pod.empty()) {
    const std::string name_space = pod_namespace(container);
    return name_space.empty() ? "pod " + pod : "pod " + name_space + "/" + pod;
  }
  if (const auto project = container.labels.find("com.docker.compose.project"); project != container.labels.end()) {
    return "compose " + project->second;
  }
  const std::string& path = row.memory.cgroup.path;
  for (std::size_t end = path.rfind('/'); end != std::string::npos && end > 0; end = path.rfind('/', end - 1)) {
    const std::size_t begin = path.rfind('/', end - 1) + 1;
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.ends_with(".slice")) {
      return std::string(part);
    }
  }
  const std::size_t last = path.rfind('/');
  return last == std::string::npos || last == 0 ? std::string() : path.substr(0, last);
}

bool holds(const LiveRow& row, std::string_view text) {
  const Container& container = row.memory.container;
  return has(name_of(row), text) || has(group_of(row), text) || has(container.image, text) || has(container.id, text) ||
         has(row.memory.cgroup.path, text);
}

}  // namespace memcrest
