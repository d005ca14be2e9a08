// SPDX-License-Identifier: Apache-2.0
// Folded stacks, "container;process;frame;frame bytes", as flame graph tools take them: outermost first, the kernel's
// frames end in _[k]. A stack may stand on several lines: tools add them up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "export/recording_exporter.h"
#include "export/stack_totals.h"

namespace memcrest {

// A frame as it may stand in a line: no ';', no line end, nothing that moves a terminal, valid UTF-8, never empty.
[[nodiscard]] std::string folded_frame(std::string_view raw);

class FoldedExport final : public RecordingExporter {
 public:
  explicit FoldedExport(const ExportContext& context, const StackTotals::Bounds& bounds = {})
      : context_(context), totals_(bounds) {}

  void add(const ExportedStep& step) override { totals_.add(step); }
  void add(const ExportedEvent& /*event*/) override {}
  void add(const ExportedLoss& /*loss*/) override {}
  void add(const ExportedIncident& /*incident*/) override {}
  void finish(const ExportEnd& end) override;
  [[nodiscard]] std::vector<std::string> left_out() const override { return totals_.left_out(); }

 private:
  [[nodiscard]] std::string stack_of(const StackTotal& total) const;

  ExportContext context_;
  StackTotals totals_;
};

}  // namespace memcrest
