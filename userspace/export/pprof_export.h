// SPDX-License-Identifier: Apache-2.0
// A profile for pprof (profile.proto, gzipped): growth in bytes and in steps by stack, with the labels container,
// process, pid and kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/recording_exporter.h"
#include "export/stack_totals.h"

namespace memcrest {

class PprofExport final : public RecordingExporter {
 public:
  explicit PprofExport(const ExportContext& context, const StackTotals::Bounds& bounds = {})
      : context_(context), totals_(bounds) {}

  void add(const Moment& moment) override;
  void add(const ExportedStep& step) override { totals_.add(step); }
  void add(const ExportedEvent& /*event*/) override {}
  void add(const ExportedLoss& /*loss*/) override {}
  void add(const ExportedIncident& /*incident*/) override {}
  void finish(const ExportEnd& end) override;
  [[nodiscard]] std::vector<std::string> left_out() const override { return totals_.left_out(); }

 private:
  class Profile;

  ExportContext context_;
  StackTotals totals_;
  std::optional<Moment> first_;
  Moment last_;
};

}  // namespace memcrest
