// SPDX-License-Identifier: Apache-2.0
// Every metric that the agent offers: the one place where its name, type and meaning stand. docs/metrics.md is made of
// this table (`memcrest agent --list-metrics`), and a test holds the two together.
#pragma once

#include <span>
#include <string>

namespace memcrest {

enum class MetricType { kGauge, kCounter, kHistogram, kInfo };

struct MetricInfo {
  const char* name;  // without the suffixes that formats add: _total, _bucket, _info
  MetricType type;
  const char* unit;    // as OpenMetrics spells it, and the name's end; empty: none
  const char* labels;  // beside those of the container, for people; "container": those
  const char* help;
};

namespace metric {
// clang-format off
inline constexpr MetricInfo kOomKills{"memcrest_oom_kills", MetricType::kCounter, "", "container, scope", "Processes that the OOM killer took; scope is whose limit was hit: memcg, ancestor, host, cpuset, mempolicy."};
inline constexpr MetricInfo kOoms{"memcrest_ooms", MetricType::kCounter, "", "container, scope", "OOM incidents: one however many processes it took."};
inline constexpr MetricInfo kLastOom{"memcrest_last_oom_timestamp_seconds", MetricType::kGauge, "seconds", "container", "When the last OOM was, since 1970."};
inline constexpr MetricInfo kBursts{"memcrest_bursts", MetricType::kCounter, "", "container", "Bursts of memory that were told as incidents."};
inline constexpr MetricInfo kChargeFailures{"memcrest_charge_failures", MetricType::kCounter, "", "container", "Requests for memory that the kernel refused without a kill."};
inline constexpr MetricInfo kSteps{"memcrest_steps", MetricType::kCounter, "", "container", "Levels of usage that were crossed: how much moved."};
inline constexpr MetricInfo kStall{"memcrest_reclaim_stall_seconds", MetricType::kCounter, "seconds", "container, kind", "Time for which tasks were held up, summed over tasks: kind direct (reclaim at a limit) or throttle (memory.high), where this kernel's hooks tell of it (memcrest check)."};
inline constexpr MetricInfo kUsage{"memcrest_container_memory_usage_bytes", MetricType::kGauge, "bytes", "container", "All that is charged, page cache included: what a limit is compared with."};
inline constexpr MetricInfo kWorkingSet{"memcrest_container_memory_working_set_bytes", MetricType::kGauge, "bytes", "container", "Usage without files that were not read lately: what docker stats and kubectl top show."};
inline constexpr MetricInfo kLimit{"memcrest_container_memory_limit_bytes", MetricType::kGauge, "bytes", "container", "The container's own limit; missing where it has none."};
inline constexpr MetricInfo kEffectiveLimit{"memcrest_container_memory_effective_limit_bytes", MetricType::kGauge, "bytes", "container", "The lowest limit of the container and of the cgroups around it."};
inline constexpr MetricInfo kHeadroom{"memcrest_container_memory_headroom_bytes", MetricType::kGauge, "bytes", "container", "What the cgroup with the lowest limit has left until that is full."};
inline constexpr MetricInfo kPeak{"memcrest_container_memory_peak_bytes", MetricType::kGauge, "bytes", "container", "Highest usage since the container's start, by the kernel's own mark: exact, however rarely it is read."};
inline constexpr MetricInfo kPeakSinceScrape{"memcrest_container_memory_peak_since_scrape_bytes", MetricType::kGauge, "bytes", "container", "Highest usage since the same scraper last asked. Exact where the kernel's mark rose since; otherwise what records of usage tell, a lower bound: without lost records at most two levels (each 1 MiB, or 1/128 of a larger limit) too low."};
inline constexpr MetricInfo kContainerInfo{"memcrest_container", MetricType::kInfo, "", "container, runtime, image, cgroup, compose_project, compose_service", "Who a container is."};
inline constexpr MetricInfo kContainers{"memcrest_containers", MetricType::kGauge, "", "", "Containers that run."};
inline constexpr MetricInfo kUnlimited{"memcrest_containers_without_limit", MetricType::kGauge, "", "", "Containers that run without any limit, their own or one around them, below the machine's memory."};
inline constexpr MetricInfo kSeriesRefused{"memcrest_metrics_containers_refused", MetricType::kCounter, "", "", "Containers that got no series of their own since there are too many (--max-containers)."};
inline constexpr MetricInfo kBurstGrowth{"memcrest_burst_growth_bytes", MetricType::kHistogram, "bytes", "", "How much memory bursts took, all containers together."};
inline constexpr MetricInfo kBurstDuration{"memcrest_burst_duration_seconds", MetricType::kHistogram, "seconds", "", "How long bursts rose, all containers together."};
inline constexpr MetricInfo kLost{"memcrest_lost_records", MetricType::kCounter, "", "ring, reason", "Records that never arrived. Zero for ring critical means that no OOM was missed."};
inline constexpr MetricInfo kProbe{"memcrest_probe", MetricType::kInfo, "", "charge_tier, oom_tier, kernel", "The hooks that this kernel allows."};
inline constexpr MetricInfo kReady{"memcrest_ready", MetricType::kGauge, "", "", "1 once the hooks are attached."};
inline constexpr MetricInfo kEvents{"memcrest_events", MetricType::kCounter, "", "", "Records that were handled."};
inline constexpr MetricInfo kIncidents{"memcrest_incidents", MetricType::kCounter, "", "kind", "Incidents that were told."};
inline constexpr MetricInfo kIncomplete{"memcrest_incidents_incomplete", MetricType::kCounter, "", "", "Of these, incidents whose evidence has a gap."};
inline constexpr MetricInfo kLookupFailures{"memcrest_lookup_failures", MetricType::kCounter, "", "source", "Questions to a source of names that it did not answer, and attempts to follow its events that failed."};
inline constexpr MetricInfo kLookupUp{"memcrest_lookup_up", MetricType::kGauge, "", "source", "Whether the event stream of a source of names is connected."};
inline constexpr MetricInfo kSpoolIncidents{"memcrest_spool_incidents", MetricType::kGauge, "", "", "Incidents in the spool."};
inline constexpr MetricInfo kSpoolBytes{"memcrest_spool_size_bytes", MetricType::kGauge, "bytes", "", "Size of the spool on disk."};
inline constexpr MetricInfo kSpoolWaiting{"memcrest_spool_waiting", MetricType::kGauge, "", "", "Incidents that wait for the disk."};
inline constexpr MetricInfo kSpoolFailures{"memcrest_spool_write_failures", MetricType::kCounter, "", "", "Attempts to write the spool that failed."};
inline constexpr MetricInfo kSpoolLost{"memcrest_spool_lost", MetricType::kCounter, "", "", "Incidents that could not be kept: the disk took none for too long."};
inline constexpr MetricInfo kExportSent{"memcrest_export_sent", MetricType::kCounter, "", "target", "Incidents that a receiver took. There are samples where a receiver is configured, as for the next three."};
inline constexpr MetricInfo kExportFailures{"memcrest_export_failures", MetricType::kCounter, "", "target", "Attempts to deliver that failed; they are repeated."};
inline constexpr MetricInfo kBreakActions{"memcrest_breakpoint_actions", MetricType::kCounter, "", "action, result", "What was done to containers at their lines (--break-at); result is done or failed. Each is an incident, too."};
inline constexpr MetricInfo kExportDropped{"memcrest_export_dropped", MetricType::kCounter, "", "target", "Incidents that were not delivered: refused for good, or gone from the spool before."};
inline constexpr MetricInfo kExportQueue{"memcrest_export_queue", MetricType::kGauge, "", "target", "Incidents that wait to be delivered."};
inline constexpr MetricInfo kHttpRequests{"memcrest_http_requests", MetricType::kCounter, "", "code", "Requests that were answered, by status."};
inline constexpr MetricInfo kBuild{"memcrest_build", MetricType::kInfo, "", "version", "This program."};
inline constexpr MetricInfo kCpu{"process_cpu_seconds", MetricType::kCounter, "seconds", "", "CPU time of the agent."};
inline constexpr MetricInfo kResident{"process_resident_memory_bytes", MetricType::kGauge, "bytes", "", "Memory of the agent."};
inline constexpr MetricInfo kOwnMemory{"memcrest_own_memory_bytes", MetricType::kGauge, "bytes", "", "Anonymous memory of the agent, which --memory-budget is about: resident memory without its program's file and the rings."};
inline constexpr MetricInfo kMemoryBudget{"memcrest_memory_budget_bytes", MetricType::kGauge, "bytes", "", "What it may be (--memory-budget). Above it the flight recorder keeps less."};
inline constexpr MetricInfo kFlightMemory{"memcrest_flight_memory_bytes", MetricType::kGauge, "bytes", "", "What the flight recorder may keep now: --flight-memory, or less because of the budget. Without one there is no sample."};
inline constexpr MetricInfo kFds{"process_open_fds", MetricType::kGauge, "", "", "Open descriptors of the agent."};
inline constexpr MetricInfo kThreads{"process_threads", MetricType::kGauge, "", "", "Threads of the agent."};
inline constexpr MetricInfo kStart{"process_start_time_seconds", MetricType::kGauge, "seconds", "", "When the agent started, since 1970."};
// clang-format on
}  // namespace metric

// In the order in which they are written.
[[nodiscard]] std::span<const MetricInfo* const> all_metrics();
// The name as it stands in the Prometheus text format: with _total, _info.
[[nodiscard]] std::string exposed_name(const MetricInfo& info);
// The table of docs/metrics.md.
[[nodiscard]] std::string metrics_as_markdown();

}  // namespace memcrest
