// SPDX-License-Identifier: Apache-2.0
// A recording in the place of the machine: it gives the collector the events and the answers that it once got, in their
// order, so that the same incidents come out. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "memcrest/event_source.h"
#include "memcrest/surroundings.h"
#include "store/recording_reader.h"

namespace memcrest {

class Replay final : public EventSource, public Surroundings {
 public:
  // The reader must outlive it.
  explicit Replay(RecordingReader& reader) : reader_(reader), filtered_(reader.meta().contains("filter")) {}

  // What was read between two moments. kEnd when the recording has no further turn.
  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] LossCount loss() const override;

  [[nodiscard]] Moment now() override;
  void note(const Event& /*event*/) override {}
  void tend() override {}
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

  // No turn is left: finish the collector.
  [[nodiscard]] bool at_end();
  // Why reading stopped before the end; what came before it has been replayed.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  // Questions that the recording has no answer to: made by another version of memcrest, or with a gap.
  [[nodiscard]] std::uint64_t unanswered() const { return unanswered_; }
  // The incidents that the recording itself holds, by what was passed so far.
  [[nodiscard]] const std::vector<RecordedIncident>& recorded() const { return recorded_; }
  void forget_recorded() { recorded_.clear(); }

 private:
  // The next item, without what only tells what came of it; nullptr: the end.
  [[nodiscard]] const RecordingReader::Item* peek() const;
  void take() const { next_.reset(); }
  void learn(Answer answer);
  template <typename T>
  [[nodiscard]] T answer(const std::string& question);
  template <typename T>
  [[nodiscard]] T answer_if_any(const std::string& question);

  RecordingReader& reader_;
  // Answers about cgroups whose steps were left out stand between those that will be asked for.
  bool filtered_;
  // Filled by peek, also from loss(), which asks and changes nothing that anybody sees.
  mutable std::optional<RecordingReader::Item> next_;
  mutable std::optional<Error> error_;
  mutable bool ended_ = false;
  mutable LossCount loss_;
  mutable std::vector<RecordedIncident> recorded_;
  // Bounded as the recorder's own memory is: it tells again what it has forgotten.
  using Answers = std::unordered_map<std::string, std::string>;
  Answers answers_;
  Answers older_answers_;
  std::uint64_t answer_bytes_ = 0;  // of answers_
  Moment moment_;
  std::uint64_t unanswered_ = 0;
};

}  // namespace memcrest
