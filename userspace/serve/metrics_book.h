// SPDX-License-Identifier: Apache-2.0
// What is counted per container, for /metrics: fed by the collector's thread with events and incidents, by the agent's
// sampler with figures from cgroup files, and read by scrapes. Bounded: a container that is gone keeps its counts for a
// while, and of too many containers the later ones get no series. Any thread. The collector's thread only drops what it
// saw into an inbox, which whoever reads swaps for an empty one: it waits for neither a scrape nor a look-up.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "memcrest/container_memory.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"
#include "serve/metrics_text.h"

namespace memcrest {

struct MetricsSettings {
  std::size_t max_containers = 2048;
  std::chrono::nanoseconds keep{std::chrono::hours(1)};  // the counts of what is gone
};

// What the hooks of this kernel tell of: of what nobody measures there are no samples.
struct MeasuredStalls {
  bool reclaim = true;
  bool throttle = true;
};

class MetricsBook {
 public:
  explicit MetricsBook(const MetricsSettings& settings);

  void set(const MetricsSettings& settings);
  void set(const MeasuredStalls& measured);
  // Steps and removals; the others are left aside.
  void note(std::span<const Event> events);
  void note(const Incident& incident, std::uint64_t now_boot_ns);
  // All containers that run now. What is not among them is gone. `name` says whose a cgroup is that was gone before
  // anybody looked, or nothing.
  using Name = std::function<std::optional<Container>(std::uint64_t cgroup_id)>;
  void note(const std::vector<ContainerMemory>& running, std::uint64_t now_boot_ns, const Name& name);

  // The families of containers and bursts. `scraper`: whose "since the last scrape" it is; "" is one too.
  void write(MetricsText& out, const std::string& scraper);
  [[nodiscard]] std::array<std::uint64_t, 5> incidents();  // by kind
  // /api/v1/containers is made of these; as of the last sample.
  [[nodiscard]] std::vector<ContainerMemory> running() const;

 private:
  static constexpr std::size_t kScrapers = 8;
  static constexpr std::size_t kMaxCells = 16384;
  static constexpr std::size_t kMaxTold = 4096;
  static constexpr std::size_t kScopes = 5;

  // What steps told of one cgroup since the inbox was last taken out.
  struct Steps {
    std::uint64_t count = 0;
    std::uint64_t reclaim_ns = 0;
    std::uint64_t throttle_ns = 0;
    std::uint64_t watermark = 0;
    std::uint64_t highest = 0;
  };
  // What is counted of an incident.
  struct Told {
    IncidentKind kind = IncidentKind::kOom;
    Scope scope = Scope::kMemcg;
    Container container;
    CgroupRef cgroup;
    std::uint64_t kills = 0;
    std::uint64_t ooms = 0;
    std::uint64_t failures = 0;
    std::uint64_t peak = 0;
    std::uint64_t boot_ns = 0;
    std::optional<double> growth_bytes;
    std::optional<double> duration_s;
    Exemplar exemplar;
  };
  struct Removed {
    std::uint64_t cgroup_id = 0;
    std::uint64_t watermark = 0;
  };
  struct Inbox {
    std::unordered_map<std::uint64_t, Steps> steps;
    std::vector<Removed> removed;
    std::vector<Told> told;
    std::array<std::uint64_t, 5> incidents{};
    std::uint64_t incomplete = 0;
    std::uint64_t refused = 0;
    std::optional<MetricsSettings> settings;  // that are to be had from now on
  };

  // What steps tell of one cgroup.
  struct Cell {
    std::uint64_t steps = 0;
    std::uint64_t reclaim_ns = 0;
    std::uint64_t throttle_ns = 0;
    std::uint64_t watermark = 0;
    std::array<std::uint64_t, kScrapers> highest{};  // by steps, since the scraper's last look
    bool removed = false;
  };
  struct Row {
    std::string labels;
    std::string info;                               // those of memcrest_container_info
    std::unique_ptr<const ContainerMemory> memory;  // null: gone, or never looked at
    bool seen = false;                              // in the last sample
    std::uint64_t gone_boot_ns = 0;                 // 0: it runs
    std::uint64_t cgroup_id = 0;
    Cell cell;
    std::array<std::uint64_t, kScopes> kills{};
    std::array<std::uint64_t, kScopes> ooms{};
    std::array<std::optional<Exemplar>, kScopes> exemplars;
    std::uint64_t bursts = 0;
    std::uint64_t failures = 0;
    std::optional<Exemplar> burst_exemplar;
    std::int64_t last_oom_unix_ns = 0;
    std::uint64_t peak = 0;
    std::array<std::uint64_t, kScrapers> peak_before{};  // as of the scraper's last look
    std::array<std::uint64_t, kScrapers> usage_before{};
  };
  struct Totals {
    std::array<std::uint64_t, 5> incidents{};
    std::uint64_t incomplete = 0;
    std::uint64_t refused = 0;
    std::uint64_t running = 0;
    std::uint64_t unlimited = 0;
  };

  Row* row_of(const Container& container, const CgroupRef& cgroup, bool sampled);
  // Under mutex_, as all that follow.
  void take_inbox();
  void take(const Told& told);
  [[nodiscard]] std::vector<std::uint64_t> nameless(std::vector<std::uint64_t> cgroups) const;  // those of no row
  using Names = std::unordered_map<std::uint64_t, Container>;
  void join_removed(std::uint64_t now_boot_ns, const std::vector<std::uint64_t>& removed, const Names& names);
  void prune(std::uint64_t now_boot_ns);
  [[nodiscard]] std::size_t slot_of(const std::string& scraper);
  [[nodiscard]] Cell& cell_of(Row& row);
  [[nodiscard]] static std::uint64_t take_peak(Row& row, Cell& cell, std::size_t slot);
  // A row as one scrape shows it.
  struct Shown {
    const Row& row;
    const Cell& cell;
    std::uint64_t peak;  // since the last one
  };
  void write_counts(MetricsText& out, const std::vector<Shown>& rows) const;
  void write_figures(MetricsText& out, const std::vector<Shown>& rows) const;
  void write_totals(MetricsText& out) const;

  std::mutex inbox_mutex_;  // of inbox_; held to add to it or to swap it, after mutex_ where both are
  Inbox inbox_;
  mutable std::mutex mutex_;  // of what follows; the collector's thread never takes it
  MetricsSettings settings_;
  MeasuredStalls measured_;
  std::size_t written_bytes_ = 0;    // the last scrape
  std::map<std::string, Row> rows_;  // by container id, else by cgroup path
  std::unordered_map<std::uint64_t, Cell> cells_;
  std::vector<std::uint64_t> removed_;
  std::vector<std::pair<std::string, std::uint64_t>> scrapers_;  // name, when it was here last (a count)
  std::uint64_t scrapes_ = 0;
  Histogram growth_;
  Histogram duration_;
  Totals totals_;
};

}  // namespace memcrest
