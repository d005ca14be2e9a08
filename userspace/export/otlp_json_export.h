// SPDX-License-Identifier: Apache-2.0
// OTLP as JSON, one request a line, as the OpenTelemetry Collector's otlpjsonfile receiver reads it: incidents as logs
// (ExportLogsServiceRequest), usage, limit and peak at each step as gauges (ExportMetricsServiceRequest). Resources
// carry the semantic conventions' attributes of container, Kubernetes and host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "export/export_tables.h"
#include "export/recording_exporter.h"

namespace memcrest {

class OtlpJsonExport final : public RecordingExporter {
 public:
  OtlpJsonExport(const ExportContext& context, ExportTables tables, std::size_t batch = 1000)
      : context_(context), tables_(std::move(tables)), batch_(batch) {}

  void add(const ExportedStep& step) override;
  void add(const ExportedEvent& /*event*/) override {}
  void add(const ExportedLoss& loss) override;
  void add(const ExportedIncident& incident) override;
  void finish(const ExportEnd& end) override;
  [[nodiscard]] std::vector<std::string> left_out() const override;

 private:
  // Data points of one cgroup, as the members of a JSON array.
  struct Points {
    std::string resource;
    std::string usage;
    std::string limit;
    std::string peak;
  };
  void flush_metrics();
  // One log record of this host, about this resource.
  void log(const std::string& resource, std::int64_t unix_ns, int severity, const char* name, const std::string& body,
           const std::string& attributes);
  [[nodiscard]] std::string host_attributes() const;

  ExportContext context_;
  ExportTables tables_;
  std::size_t batch_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Points> points_;  // by cgroup; at most batch_ steps, and kMaxBytes
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;  // of points_, about
  std::uint64_t undated_ = 0;
  std::int64_t last_unix_ns_ = 0;
};

}  // namespace memcrest
