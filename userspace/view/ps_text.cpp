// SPDX-License-Identifier: Apache-2.0
#include "view/ps_text.h"

#include <algorithm>
#include <cmath>

#include "identity/container_filter.h"
#include "util/text.h"
#include "view/table.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

using view::bytes;

constexpr const char* kUnknown = "?";
constexpr double kNearlyFull = 0.9;

TableCell size_or_unknown(const std::optional<std::uint64_t>& value) {
  return value ? TableCell{bytes(*value)} : TableCell{kUnknown, Tone::kDim};
}

// Narrower than view::percent: it stands in a column.
std::string short_percent(double share) {
  const double value = std::isfinite(share) ? std::clamp(share * 100, 0.0, 1e6) : 0;
  if (value > 0 && value < 0.5) {
    return "<1 %";
  }
  if (value >= 99.5 && value < 100) {
    return ">99 %";
  }
  return std::to_string(static_cast<std::uint64_t>(std::round(value))) + " %";
}

TableCell name_cell(const ContainerMemory& row) {
  const Container& container = row.container;
  // What lies inside a container bears that one's name, not its own.
  if (row.kind == CgroupKind::kOther) {
    const std::string within = container.name.empty() ? "" : " in " + container.name;
    return {escape_terminal(row.cgroup.path.substr(row.cgroup.path.rfind('/') + 1) + within)};
  }
  if (!container.name.empty()) {
    return {escape_terminal(container.name), Tone::kBold};
  }
  return {kUnknown + (" " + escape_terminal(container.id.substr(0, view::kShortId))), Tone::kNotice};
}

TableCell pod_cell(const Container& container) {
  const std::string name = pod_name(container);
  const std::string name_space = pod_namespace(container);
  if (!name.empty()) {
    return {escape_terminal(name_space.empty() ? name : name_space + "/" + name)};
  }
  const bool in_pod = container.pod && !container.pod->uid.empty();
  return in_pod ? TableCell{kUnknown + (" " + escape_terminal(container.pod->uid)), Tone::kDim} : TableCell{};
}

TableCell percent_cell(const MemoryFigures& figures) {
  const auto share = figures.share_of_limit();
  if (!share) {
    return {};
  }
  return {short_percent(*share), *share >= kNearlyFull ? Tone::kAlarm : Tone::kPlain};
}

TableCell limit_cell(const MemoryFigures& figures) {
  if (!figures.limit_known) {
    return {kUnknown, Tone::kDim};
  }
  return figures.limit_bytes ? TableCell{bytes(*figures.limit_bytes)} : TableCell{"none", Tone::kNotice};
}

TableCell effective_cell(const MemoryFigures& figures) {
  if (figures.effective) {
    return {(figures.effective_known ? "" : "<= ") + bytes(figures.effective->bytes)};
  }
  return figures.effective_known ? TableCell{"none", Tone::kNotice} : TableCell{kUnknown, Tone::kDim};
}

bool is_own(const ContainerMemory& row) {
  return row.figures.effective && row.figures.effective->cgroup_path == row.cgroup.path;
}

// Whose limit it is, and how full that one is: others may fill it.
TableCell set_by_cell(const ContainerMemory& row) {
  if (!row.figures.effective) {
    return {};
  }
  const EffectiveLimit& limit = *row.figures.effective;
  if (is_own(row)) {
    return {"itself", Tone::kDim};
  }
  std::string full;
  if (limit.usage_bytes && limit.bytes > 0) {
    full = " (" + short_percent(static_cast<double>(*limit.usage_bytes) / static_cast<double>(limit.bytes)) + " full)";
  }
  return {escape_terminal(limit.cgroup_path) + full};
}

TableCell swap_cell(const MemoryFigures& figures) {
  if (!figures.swap) {
    return {};
  }
  return {figures.swap->limit_bytes ? bytes(*figures.swap->limit_bytes) : "none"};
}

TableCell kills_cell(const MemoryFigures& figures) {
  if (!figures.oom_kills) {
    return {kUnknown, Tone::kDim};
  }
  return {std::to_string(*figures.oom_kills), *figures.oom_kills > 0 ? Tone::kAlarm : Tone::kPlain};
}

std::vector<TableCell> cells(const ContainerMemory& row) {
  const MemoryFigures& figures = row.figures;
  return {name_cell(row),
          {to_string(row.container.runtime)},
          pod_cell(row.container),
          percent_cell(figures),
          size_or_unknown(figures.working_set_bytes()),
          size_or_unknown(figures.usage_bytes),
          size_or_unknown(figures.peak_bytes),
          limit_cell(figures),
          effective_cell(figures),
          set_by_cell(row),
          swap_cell(figures),
          kills_cell(figures),
          {escape_terminal(row.cgroup.path)}};
}

}  // namespace

PsText to_text(const std::vector<ContainerMemory>& rows, const PsStyle& style) {
  constexpr std::size_t kEffective = 8;  // and whose it is
  constexpr std::size_t kNameLeast = 16;
  constexpr std::size_t kPathLeast = 14;
  if (rows.empty()) {
    return {};
  }
  std::vector<TableColumn> columns = {
      {.header = "NAME", .least = kNameLeast},
      {.header = "RUNTIME", .rank = 6},
      {.header = "POD", .rank = 2, .least = kNameLeast, .optional = true},
      {.header = "%", .right = true},
      {.header = "WORKSET", .right = true},
      {.header = "USAGE", .right = true, .rank = 4},
      {.header = "PEAK", .right = true},
      {.header = "LIMIT", .right = true, .rank = 3},
      {.header = "EFFECTIVE", .right = true},
      {.header = "SET BY", .rank = 5, .least = kPathLeast},
      {.header = style.cgroup_version == 1 ? "MEM+SWAP" : "SWAP MAX", .right = true, .rank = 7, .optional = true},
      {.header = "OOM", .right = true},
      {.header = "CGROUP", .rank = 8, .least = kPathLeast},
  };
  if (!style.columns) {  // the same columns for every reader of a pipe
    std::ranges::for_each(columns, [](TableColumn& column) { column.optional = false; });
  }
  std::vector<std::vector<TableCell>> table;
  table.reserve(rows.size());
  for (const ContainerMemory& row : rows) {
    table.push_back(cells(row));
  }
  // On a terminal, where room is dear: these two repeat the limit unless one from further up counts.
  const bool repeats = std::ranges::all_of(rows, [](const ContainerMemory& row) {
    return row.figures.effective_known && (is_own(row) || (!row.figures.effective && row.figures.limit_known));
  });
  if (style.columns && repeats) {
    for (std::size_t i = kEffective; i <= kEffective + 1; ++i) {
      columns[i].optional = true;
      std::ranges::for_each(table, [i](auto& row) { row[i] = {}; });
    }
    columns[kEffective - 1].rank = 0;
  }
  TableText fitted = format_table(std::move(columns), std::move(table), style.columns, style.color);
  return {std::move(fitted.text), std::move(fitted.omitted)};
}

}  // namespace memcrest
