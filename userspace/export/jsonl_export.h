// SPDX-License-Identifier: Apache-2.0
// JSON Lines: incidents as memcrest.incident.v1 (docs/incident.schema.json), all else as docs/export.schema.json has
// it.
#pragma once

#include <string>
#include <unordered_map>

#include "export/export_tables.h"
#include "export/recording_exporter.h"

namespace memcrest {

// How a recording writes events (docs/recording.md): the kind's name, and the object with its fields.
struct EventText {
  const char* (*kind)(const Event& event);
  std::string (*json)(const Event& event);
};

class JsonlExport final : public RecordingExporter {
 public:
  JsonlExport(const ExportContext& context, EventText events, ExportTables tables)
      : context_(context), events_(events), tables_(std::move(tables)) {}

  void add(const ExportedStep& step) override;
  void add(const ExportedEvent& event) override;
  void add(const ExportedLoss& loss) override;
  void add(const ExportedIncident& incident) override;
  void finish(const ExportEnd& end) override;

 private:
  void line(std::string text);
  // "cgroup" and "container" as members.
  [[nodiscard]] const std::string& whose(const ExportedCgroup& cgroup);
  [[nodiscard]] std::string user_frames(const StepEvent& step) const;
  [[nodiscard]] std::string kernel_frames(const StepEvent& step) const;

  ExportContext context_;
  EventText events_;
  ExportTables tables_;
  std::unordered_map<const ExportedCgroup*, std::string> whose_;  // bounded
  std::string unlisted_;
};

}  // namespace memcrest
