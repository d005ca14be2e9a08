// SPDX-License-Identifier: Apache-2.0
// The command line of `memcrest export` as a struct.
#pragma once

#include <string>

#include "export/export_tables.h"
#include "identity/container_filter.h"

namespace CLI {
class App;
}

namespace memcrest {

enum class ExportFormat { kPerfetto, kJsonl, kCsv, kFolded, kPprof, kOtlpJson };

[[nodiscard]] constexpr bool is_binary(ExportFormat format) {
  return format == ExportFormat::kPerfetto || format == ExportFormat::kPprof;
}

struct ExportOptions {
  std::string path;
  std::vector<std::string> more;  // files that continue it
  ExportFormat format = ExportFormat::kJsonl;
  std::string output;  // empty and "-": standard output
  ExportTables tables;
  ContainerFilter filter;

  [[nodiscard]] bool to_stdout() const { return output.empty() || output == "-"; }
};

// Adds the verb. `options` must outlive the parsing.
CLI::App* add_export(CLI::App& app, ExportOptions& options);
// After parsing: throws CLI::ValidationError for what does not go together.
void check_export(const ExportOptions& options);

}  // namespace memcrest
