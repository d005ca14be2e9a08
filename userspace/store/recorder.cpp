// SPDX-License-Identifier: Apache-2.0
#include "store/recorder.h"

#include <utility>

#include "store/questions.h"

namespace memcrest {

EventSource::Status RecordingSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  const std::size_t first = out.size();
  const Status status = inner_.poll(timeout, out);
  writer_.add(std::span<const Event>(out).subspan(first));
  return status;
}

LossCount RecordingSource::loss() const {
  const LossCount now = inner_.loss();
  if (!(now == told_)) {
    told_ = now;
    writer_.add(now);
  }
  return now;
}

template <typename T>
T RecordingSurroundings::keep(std::string question, T answer) {
  std::string text = FieldsWriter::json_of(answer).dump();
  if (told_.size() >= kMaxQuestions) {
    told_.clear();
  }
  const auto [found, is_new] = told_.try_emplace(question);
  if (is_new || found->second != text) {
    found->second = text;
    writer_.add(Answer{std::move(question), std::move(text)});
  }
  return answer;
}

void RecordingSurroundings::end() { writer_.add(Answer{question::kEnd, {}}); }

Moment RecordingSurroundings::now() {
  const Moment moment = inner_.now();
  writer_.add(moment);
  return moment;
}

Identity RecordingSurroundings::find(std::uint64_t cgroup_id) {
  return keep(question::find(cgroup_id), inner_.find(cgroup_id));
}

Identity RecordingSurroundings::find_path(const std::string& path) {
  return keep(question::find_path(path), inner_.find_path(path));
}

Identity RecordingSurroundings::wait(std::uint64_t cgroup_id, std::chrono::milliseconds limit) {
  return keep(question::wait(cgroup_id), inner_.wait(cgroup_id, limit));
}

std::optional<RuntimeState> RecordingSurroundings::runtime_state(std::uint64_t cgroup_id) {
  return keep(question::runtime_state(cgroup_id), Maybe<RuntimeState>{inner_.runtime_state(cgroup_id)}).value;
}

std::string RecordingSurroundings::stream_gap(const Container& container, const std::string& cgroup_path) {
  return keep(question::stream_gap(container, cgroup_path), inner_.stream_gap(container, cgroup_path));
}

std::optional<std::uint64_t> RecordingSurroundings::number(const std::string& cgroup_path, const std::string& file) {
  return keep(question::number(cgroup_path, file), Maybe<std::uint64_t>{inner_.number(cgroup_path, file)}).value;
}

std::vector<SampleEvent> RecordingSurroundings::sample(const std::vector<std::uint64_t>& cgroup_ids) {
  return keep(question::sample(), inner_.sample(cgroup_ids));
}

HostRanking RecordingSurroundings::rank() { return keep(question::rank(), inner_.rank()); }

void RecordingSurroundings::complete_names(HostRanking& ranking) {
  inner_.complete_names(ranking);
  keep(question::complete_names(), ranking);
}

std::string RecordingSurroundings::cmdline(const ProcessKey& process) {
  return keep(question::cmdline(process), inner_.cmdline(process));
}

std::string RecordingSurroundings::exe(const ProcessKey& process) {
  return keep(question::exe(process), inner_.exe(process));
}

// The answer itself is given once, and too large to be kept for comparison.
StackNames RecordingSurroundings::name_stacks(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                                              std::chrono::milliseconds patience) {
  StackNames names = inner_.name_stacks(incident_id, stacks, patience);
  if (names.pending) {
    return keep(question::name_stacks(incident_id), std::move(names));
  }
  told_.erase(question::name_stacks(incident_id));
  writer_.add(Answer{question::name_stacks(incident_id), FieldsWriter::json_of(names).dump()});
  return names;
}

}  // namespace memcrest
