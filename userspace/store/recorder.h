// SPDX-License-Identifier: Apache-2.0
// Between the collector and the machine: what passes is recorded. One thread, the collector's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "memcrest/event_source.h"
#include "memcrest/surroundings.h"
#include "store/recording_sink.h"

namespace memcrest {

class RecordingSource final : public EventSource {
 public:
  RecordingSource(EventSource& inner, RecordingSink& sink) : inner_(inner), sink_(sink) {}

  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] int wait_fd() const override { return inner_.wait_fd(); }
  [[nodiscard]] LossCount loss() const override;

 private:
  EventSource& inner_;
  RecordingSink& sink_;
  mutable LossCount told_;
};

class RecordingSurroundings final : public Surroundings {
 public:
  RecordingSurroundings(Surroundings& inner, RecordingSink& sink) : inner_(inner), sink_(sink) {}

  // The collector is about to finish.
  void end();
  [[nodiscard]] Moment now() override;
  void note(const Event& event) override;
  void tend() override;
  [[nodiscard]] Identity find(std::uint64_t cgroup_id) override;
  [[nodiscard]] Identity find_path(const std::string& path) override;
  [[nodiscard]] Identity wait(std::uint64_t cgroup_id, std::chrono::milliseconds limit) override;
  [[nodiscard]] std::optional<RuntimeState> runtime_state(std::uint64_t cgroup_id) override;
  [[nodiscard]] std::string stream_gap(const Container& container, const std::string& cgroup_path) override;
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& cgroup_path, const std::string& file) override;
  [[nodiscard]] std::vector<SampleEvent> sample(const std::vector<std::uint64_t>& cgroup_ids) override;
  [[nodiscard]] HostRanking rank() override;
  void complete_names(HostRanking& ranking) override;
  [[nodiscard]] std::string cmdline(const ProcessKey& process) override;
  [[nodiscard]] std::string exe(const ProcessKey& process) override;
  [[nodiscard]] ParentChain parents(const ProcessKey& process) override;
  [[nodiscard]] std::string environment(const ProcessKey& process) override;
  [[nodiscard]] StackNames name_stacks(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                                       std::chrono::milliseconds patience) override;

 private:
  // Whether the answer was another than before.
  template <typename T>
  bool keep(std::string question, const T& answer);
  Identity keep_name(std::string question, Identity answer);
  void name_cgroups();
  void follow_code(const StepEvent& step);
  void name_code(std::chrono::milliseconds patience);

  Surroundings& inner_;
  RecordingSink& sink_;
  // Who asks for its name: a cgroup that is heard of, until no source has more to say.
  struct Unnamed {
    std::uint64_t ask_ns = 0;  // not before
    std::uint64_t give_up_ns = 0;
  };
  std::unordered_map<std::uint64_t, Unnamed> unnamed_;
  std::unordered_set<std::uint64_t> named_;
  Moment moment_;
  bool turn_over_ = true;
  // Stacks whose addresses have no names in the recording yet, and those that are being named.
  std::unordered_set<std::uint64_t> code_seen_;  // hashes of process and address
  std::vector<StackGrowth> unnamed_code_;
  std::vector<StackGrowth> asked_code_;
  std::uint64_t code_ask_ns_ = 0;                      // not before
  std::uint64_t code_asked_ = 0;                       // times
  std::unordered_map<std::string, std::string> told_;  // an answer is recorded when it is another than before
};

}  // namespace memcrest
