// SPDX-License-Identifier: Apache-2.0
// What a recording can be asked for apart, where a format allows it.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string_view>

namespace memcrest {

enum class ExportTable { kSteps, kIncidents, kEvents, kLoss, kCgroups };

inline constexpr std::array<const char*, 5> kExportTables{"steps", "incidents", "events", "loss", "cgroups"};

[[nodiscard]] inline std::optional<ExportTable> export_table_of(std::string_view name) {
  for (std::size_t i = 0; i < kExportTables.size(); ++i) {
    if (name == kExportTables[i]) {
      return static_cast<ExportTable>(i);
    }
  }
  return std::nullopt;
}

// Empty: all that the format has.
using ExportTables = std::set<ExportTable>;

[[nodiscard]] inline bool asked_for(const ExportTables& tables, ExportTable table) {
  return tables.empty() || tables.contains(table);
}

}  // namespace memcrest
