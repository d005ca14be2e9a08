// SPDX-License-Identifier: Apache-2.0
// A recording into a SizingBook: what a RecordingFeed lets through.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "export/recording_exporter.h"
#include "sizing/sizing_book.h"

namespace memcrest {

class SizingExport final : public RecordingExporter {
 public:
  explicit SizingExport(SizingBook& book) : book_(book) {}

  void add(const Moment& moment) override;
  void add(const ExportedStep& step) override;
  void add(const ExportedEvent& event) override;
  void add(const ExportedLoss& /*loss*/) override {}
  void add(const ExportedIncident& incident) override { book_.add(incident.incident); }
  // Closes what is open.
  void finish(const ExportEnd& end) override;

  [[nodiscard]] std::optional<std::int64_t> begin_unix_ns() const { return begin_; }
  [[nodiscard]] std::optional<std::int64_t> end_unix_ns() const { return end_; }

 private:
  SizingBook& book_;
  std::optional<std::int64_t> begin_, end_;
  std::uint64_t last_ns_ = 0;  // of the clock, or of the last event where there is none
};

}  // namespace memcrest
