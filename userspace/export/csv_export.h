// SPDX-License-Identifier: Apache-2.0
// One table of a recording as CSV (RFC 4180): the first line names the columns, lines end in CR LF. A text that a
// spreadsheet would take for a formula begins with an apostrophe.
#pragma once

#include <string>
#include <string_view>

#include "export/export_tables.h"
#include "export/jsonl_export.h"
#include "export/recording_exporter.h"

namespace memcrest {

// A field as it stands in the file.
[[nodiscard]] std::string csv_field(std::string_view raw);

class CsvExport final : public RecordingExporter {
 public:
  CsvExport(const ExportContext& context, EventText events, ExportTable table);

  void add(const ExportedStep& step) override;
  void add(const ExportedEvent& event) override;
  void add(const ExportedLoss& loss) override;
  void add(const ExportedIncident& incident) override;
  void finish(const ExportEnd& end) override;

 private:
  ExportContext context_;
  EventText events_;
  ExportTable table_;
};

}  // namespace memcrest
