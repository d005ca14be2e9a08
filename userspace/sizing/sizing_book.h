// SPDX-License-Identifier: Apache-2.0
// Collects what containers needed, event by event, from a recording or from the running machine. Memory is bounded by
// the number of cgroups that are observed at once and of those that are told in the end; what found no room is counted.
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/exported_cgroups.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"
#include "sizing/sizing.h"
#include "sizing/usage_windows.h"

namespace memcrest {

class SizingBook {
 public:
  // Whose a cgroup is, asked when it is over; nullopt: a runtime is still being asked. With `now_or_never` what is
  // known counts.
  using WhoseIs =
      std::function<std::optional<ExportedCgroup>(std::uint64_t cgroup_id, std::uint64_t serial, bool now_or_never)>;
  // Whether what was closed is to be kept: the filter of the verb.
  using Wanted = std::function<bool(const ExportedCgroup&)>;

  SizingBook(const SizingSettings& settings, WhoseIs whose, Wanted wanted);

  // `grown_bytes` as GrowthMeter counts it.
  void add(const StepEvent& step, std::uint64_t grown_bytes);
  void add(const SampleEvent& sample);
  void add(const CgroupEvent& change);
  // An OOM counts once, however often it is told. Of other incidents only the verdict leak is of use.
  void add(const Incident& incident);
  // It was there: told as unknown where nothing else was seen of it.
  void listed(const ExportedCgroup& cgroup);
  // Names have come: what is over and waited for one is put where it belongs.
  void settle() { settle(false); }
  // No more events of these cgroups: the recording is over.
  void close_all(std::uint64_t end_ns);

  [[nodiscard]] std::vector<SizedUsage> take();
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

  static constexpr std::size_t kMaxOpen = 4096;
  static constexpr std::size_t kMaxTold = 4096;

 private:
  struct Open {
    std::uint64_t serial = 0;
    UsageWindows windows;
    std::uint64_t grown = 0, cache = 0;
    bool reclaim_known = false;
    std::uint64_t reclaim_first = 0, reclaim_last = 0;
    std::uint64_t suppressed = 0;
    bool limit_known = false, limits_differ = false;
    std::optional<std::uint64_t> limit;
    std::uint64_t limit_ns = 0;
  };
  struct Ended {
    std::uint64_t cgroup_id = 0;
    Open open;
    UsageSeen seen;
  };
  struct Told {
    SizedUsage usage;
    std::set<std::size_t> ids;  // hashes of the containers' ids: restarts are the same one
  };

  Open* open(std::uint64_t cgroup_id, std::uint64_t serial);
  void close(std::uint64_t cgroup_id, std::uint64_t end_ns, std::optional<std::uint64_t> last_mark);
  void settle(bool now_or_never);
  void put(const ExportedCgroup& cgroup, const Open& open, const UsageSeen& seen);
  Told* told(const ExportedCgroup& cgroup);
  [[nodiscard]] bool is_of_interest(const ExportedCgroup& cgroup) const;
  static void merge(SizedUsage& into, const Open& from, const UsageSeen& seen);

  SizingSettings settings_;
  WhoseIs whose_;
  Wanted wanted_;
  std::unordered_map<std::uint64_t, Open> open_;  // by cgroup id
  std::vector<Ended> ended_;                      // that nobody could name yet
  std::map<std::string, Told> told_;              // by what it is put together under
  std::uint64_t left_out_ = 0;
};

// What a cgroup is put together under, and how that is called.
struct SizingGroup {
  std::string key;
  std::string label;
};
[[nodiscard]] SizingGroup group_of(const ExportedCgroup& cgroup, SizingBy by);

}  // namespace memcrest
