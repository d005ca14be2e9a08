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
bool RecordingSurroundings::keep(std::string question, const T& answer) {
  std::string text = FieldsWriter::json_of(answer).dump();
  if (told_.size() >= kMaxQuestions) {
    told_.clear();
  }
  const auto [found, is_new] = told_.try_emplace(question);
  if (!is_new && found->second == text) {
    return false;
  }
  found->second = text;
  writer_.add(Answer{std::move(question), std::move(text)});
  return true;
}

Identity RecordingSurroundings::keep_name(std::string question, Identity answer) {
  if (keep(std::move(question), answer) && answer.known) {
    writer_.add(answer.cgroup, answer.container);
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
  return keep_name(question::find(cgroup_id), inner_.find(cgroup_id));
}

Identity RecordingSurroundings::find_path(const std::string& path) {
  return keep_name(question::find_path(path), inner_.find_path(path));
}

Identity RecordingSurroundings::wait(std::uint64_t cgroup_id, std::chrono::milliseconds limit) {
  return keep_name(question::wait(cgroup_id), inner_.wait(cgroup_id, limit));
}

std::optional<RuntimeState> RecordingSurroundings::runtime_state(std::uint64_t cgroup_id) {
  const Maybe<RuntimeState> answer{inner_.runtime_state(cgroup_id)};
  keep(question::runtime_state(cgroup_id), answer);
  return answer.value;
}

std::string RecordingSurroundings::stream_gap(const Container& container, const std::string& cgroup_path) {
  auto answer = inner_.stream_gap(container, cgroup_path);
  keep(question::stream_gap(container, cgroup_path), answer);
  return answer;
}

std::optional<std::uint64_t> RecordingSurroundings::number(const std::string& cgroup_path, const std::string& file) {
  const Maybe<std::uint64_t> answer{inner_.number(cgroup_path, file)};
  keep(question::number(cgroup_path, file), answer);
  return answer.value;
}

std::vector<SampleEvent> RecordingSurroundings::sample(const std::vector<std::uint64_t>& cgroup_ids) {
  auto answer = inner_.sample(cgroup_ids);
  keep(question::sample(), answer);
  return answer;
}

HostRanking RecordingSurroundings::rank() {
  auto answer = inner_.rank();
  keep(question::rank(), answer);
  return answer;
}

void RecordingSurroundings::complete_names(HostRanking& ranking) {
  inner_.complete_names(ranking);
  keep(question::complete_names(), ranking);
}

std::string RecordingSurroundings::cmdline(const ProcessKey& process) {
  auto answer = inner_.cmdline(process);
  keep(question::cmdline(process), answer);
  return answer;
}

std::string RecordingSurroundings::exe(const ProcessKey& process) {
  auto answer = inner_.exe(process);
  keep(question::exe(process), answer);
  return answer;
}

}  // namespace memcrest
