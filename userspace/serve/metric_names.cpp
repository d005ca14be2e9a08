// SPDX-License-Identifier: Apache-2.0
#include "serve/metric_names.h"

namespace memcrest {
namespace {

constexpr const MetricInfo* kAll[] = {
    &metric::kOomKills,
    &metric::kOoms,
    &metric::kLastOom,
    &metric::kBursts,
    &metric::kChargeFailures,
    &metric::kSteps,
    &metric::kStall,
    &metric::kUsage,
    &metric::kWorkingSet,
    &metric::kLimit,
    &metric::kEffectiveLimit,
    &metric::kHeadroom,
    &metric::kPeak,
    &metric::kPeakSinceScrape,
    &metric::kContainerInfo,
    &metric::kContainers,
    &metric::kUnlimited,
    &metric::kSeriesRefused,
    &metric::kBurstGrowth,
    &metric::kBurstDuration,
    &metric::kLost,
    &metric::kProbe,
    &metric::kReady,
    &metric::kEvents,
    &metric::kIncidents,
    &metric::kIncomplete,
    &metric::kLookupFailures,
    &metric::kLookupUp,
    &metric::kSpoolIncidents,
    &metric::kSpoolBytes,
    &metric::kSpoolWaiting,
    &metric::kSpoolFailures,
    &metric::kSpoolLost,
    &metric::kExportSent,
    &metric::kExportFailures,
    &metric::kExportDropped,
    &metric::kExportQueue,
    &metric::kBreakActions,
    &metric::kHttpRequests,
    &metric::kBuild,
    &metric::kCpu,
    &metric::kResident,
    &metric::kOwnMemory,
    &metric::kMemoryBudget,
    &metric::kFlightMemory,
    &metric::kFds,
    &metric::kThreads,
    &metric::kStart,
};

const char* type_word(MetricType type) {
  switch (type) {
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kInfo:
      return "info";
  }
  return "";
}

}  // namespace

std::span<const MetricInfo* const> all_metrics() { return kAll; }

std::string exposed_name(const MetricInfo& info) {
  return std::string(info.name) + (info.type == MetricType::kCounter ? "_total"
                                   : info.type == MetricType::kInfo  ? "_info"
                                                                     : "");
}

std::string metrics_as_markdown() {
  std::string out = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricInfo* info : kAll) {
    out += "| `" + exposed_name(*info) + "` | " + type_word(info->type) + " | " + info->labels + " | " + info->help +
           " |\n";
  }
  return out;
}

}  // namespace memcrest
