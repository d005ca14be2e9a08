// SPDX-License-Identifier: Apache-2.0
// The machine itself, asked by the collector's thread: the resolver's names, cgroup files, /proc.
#pragma once

#include <string>
#include <vector>

#include "collector/host_ranking.h"
#include "collector/process_table.h"
#include "collector/usage_sampler.h"
#include "identity/cgroup_tree.h"
#include "identity/resolver.h"
#include "memcrest/clock.h"
#include "memcrest/surroundings.h"
#include "symbol/symbolizer.h"
#include "util/system_root.h"

namespace memcrest {

// What the machine calls the files that the collector asks for.
[[nodiscard]] MemcgFiles files_of(const CgroupTree& tree);

class LiveSurroundings final : public Surroundings {
 public:
  // Begins to read the processes that run already.
  LiveSurroundings(Resolver& resolver, const CgroupTree& tree, const Clock& clock, const SystemRoot& root,
                   CmdlineDetail cmdlines, SymbolizerSettings symbols = {});

  [[nodiscard]] Moment now() override { return {clock_.boot_ns(), clock_.unix_ns()}; }
  void note(const Event& event) override;
  void tend() override { processes_.take_running(); }
  [[nodiscard]] Identity find(std::uint64_t cgroup_id) override { return resolver_.find(cgroup_id); }
  [[nodiscard]] Identity find_path(const std::string& path) override { return resolver_.find_path(path); }
  [[nodiscard]] Identity wait(std::uint64_t cgroup_id, std::chrono::milliseconds limit) override {
    return resolver_.wait(cgroup_id, limit);
  }
  [[nodiscard]] std::optional<RuntimeState> runtime_state(std::uint64_t cgroup_id) override {
    return resolver_.runtime_state(cgroup_id);
  }
  [[nodiscard]] std::string stream_gap(const Container& container, const std::string& cgroup_path) override;
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& cgroup_path, const std::string& file) override;
  [[nodiscard]] std::vector<SampleEvent> sample(const std::vector<std::uint64_t>& cgroup_ids) override;
  [[nodiscard]] HostRanking rank() override { return ranking_.rank(); }
  void complete_names(HostRanking& ranking) override { ranking_.complete_names(ranking); }
  [[nodiscard]] std::string cmdline(const ProcessKey& process) override { return processes_.cmdline(process); }
  [[nodiscard]] ParentChain parents(const ProcessKey& process) override { return {processes_.parents(process)}; }
  [[nodiscard]] std::string environment(const ProcessKey& process) override { return processes_.environment(process); }
  [[nodiscard]] std::string exe(const ProcessKey& process) override { return processes_.exe(process); }
  [[nodiscard]] StackNames name_stacks(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                                       std::chrono::milliseconds patience) override {
    return symbolizer_.name(incident_id, stacks, patience);
  }

 private:
  void note(const StepEvent& event);
  void note(const ExecEvent& event);
  void note(const VictimEvent& event);
  void note(const KillEvent& event);
  void note(const CgroupEvent& event);
  void note(const BreakpointEvent& event);
  template <typename T>
  void note(const T& /*event*/) {}

  Resolver& resolver_;
  const CgroupTree& tree_;
  const Clock& clock_;
  ProcessTable processes_;
  UsageSampler sampler_;
  UsageRanking ranking_;
  Symbolizer symbolizer_;
};

}  // namespace memcrest
