// SPDX-License-Identifier: Apache-2.0
#include "store/replay.h"

#include <utility>

#include "store/questions.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kMaxAnswerBytes = 128U << 20U;
constexpr std::size_t kMaxEventsPerTurn = 500'000;  // the rings hold fewer

}  // namespace

const RecordingReader::Item* Replay::peek() const {
  while (!next_ && !ended_) {
    auto item = reader_.next();
    if (!item) {
      error_ = item.error();
      ended_ = true;
    } else if (!*item) {
      ended_ = true;
    } else if (auto* incident = std::get_if<RecordedIncident>(&**item)) {
      recorded_.push_back(std::move(*incident));
    } else {
      next_ = std::move(*item);
    }
  }
  return next_ ? &*next_ : nullptr;
}

bool Replay::at_end() {
  const RecordingReader::Item* item = peek();
  const auto* answer = item == nullptr ? nullptr : std::get_if<Answer>(item);
  return item == nullptr || (answer != nullptr && answer->question == question::kEnd);
}

EventSource::Status Replay::poll(std::chrono::milliseconds /*timeout*/, std::vector<Event>& out) {
  for (const auto* item = peek(); item != nullptr && std::holds_alternative<Event>(*item); item = peek()) {
    if (out.size() >= kMaxEventsPerTurn) {
      error_ =
          Error{"replay", {}, EBADMSG, "the recording is damaged: more events without a moment between than can be"};
      next_.reset();
      ended_ = true;
      return Status::kEnd;
    }
    out.push_back(std::move(std::get<Event>(*next_)));
    take();
  }
  return peek() == nullptr ? Status::kEnd : Status::kMore;
}

LossCount Replay::loss() const {
  if (const auto* item = peek(); item != nullptr && std::holds_alternative<LossCount>(*item)) {
    loss_ = std::get<LossCount>(*item);
    take();
  }
  return loss_;
}

// What was recorded before the next moment and not asked for again belongs to a collector that asked for more.
Moment Replay::now() {
  for (const auto* item = peek(); item != nullptr; item = peek()) {
    if (const auto* moment = std::get_if<Moment>(item)) {
      moment_ = *moment;
      take();
      break;
    }
    if (const auto* answer = std::get_if<Answer>(item)) {
      learn(*answer);
    } else if (const auto* loss = std::get_if<LossCount>(item)) {
      loss_ = *loss;
    } else if (!std::holds_alternative<RecordingReader::Sampled>(*item)) {
      break;  // events that nobody has polled yet
    }
    take();
  }
  return moment_;
}

void Replay::learn(Answer answer) {
  answer_bytes_ += answer.question.size() + answer.text.size();
  if (answers_.size() >= kMaxQuestions || answer_bytes_ > kMaxAnswerBytes) {
    older_answers_ = std::exchange(answers_, {});
    answer_bytes_ = 0;
  }
  answers_.insert_or_assign(std::move(answer.question), std::move(answer.text));
}

template <typename T>
T Replay::answer(const std::string& question) {
  for (const auto* item = peek(); item != nullptr; item = peek()) {
    const auto* next = std::get_if<Answer>(item);
    const bool mine = next != nullptr && next->question == question;
    if (next == nullptr || next->question == question::kEnd || !(mine || filtered_)) {
      break;
    }
    learn(*next);
    take();
    if (mine) {
      break;
    }
  }
  T out{};
  const bool young = answers_.contains(question);
  const auto found = young ? answers_.find(question) : older_answers_.find(question);
  const FieldsJson json = !young && found == older_answers_.end() ? FieldsJson(FieldsJson::value_t::discarded)
                                                                  : FieldsJson::parse(found->second, nullptr, false);
  if (json.is_discarded() || !FieldsReader::read(json, out)) {
    ++unanswered_;
    return T{};
  }
  return out;
}

Identity Replay::find(std::uint64_t cgroup_id) { return answer<Identity>(question::find(cgroup_id)); }
Identity Replay::find_path(const std::string& path) { return answer<Identity>(question::find_path(path)); }
Identity Replay::wait(std::uint64_t cgroup_id, std::chrono::milliseconds /*limit*/) {
  return answer<Identity>(question::wait(cgroup_id));
}
std::optional<RuntimeState> Replay::runtime_state(std::uint64_t cgroup_id) {
  return answer<Maybe<RuntimeState>>(question::runtime_state(cgroup_id)).value;
}
std::string Replay::stream_gap(const Container& container, const std::string& cgroup_path) {
  return answer<std::string>(question::stream_gap(container, cgroup_path));
}
std::optional<std::uint64_t> Replay::number(const std::string& cgroup_path, const std::string& file) {
  return answer<Maybe<std::uint64_t>>(question::number(cgroup_path, file)).value;
}
std::vector<SampleEvent> Replay::sample(const std::vector<std::uint64_t>& /*cgroup_ids*/) {
  while (filtered_ && peek() != nullptr && std::holds_alternative<Answer>(*peek()) && !at_end()) {
    learn(std::get<Answer>(*peek()));
    take();
  }
  std::vector<SampleEvent> out;
  for (const auto* item = peek(); item != nullptr && std::holds_alternative<RecordingReader::Sampled>(*item);
       item = peek()) {
    out.push_back(std::get<RecordingReader::Sampled>(*item).sample);
    take();
  }
  return out;
}
HostRanking Replay::rank() { return answer<HostRanking>(question::rank()); }
void Replay::complete_names(HostRanking& ranking) { ranking = answer<HostRanking>(question::complete_names()); }
std::string Replay::cmdline(const ProcessKey& process) { return answer<std::string>(question::cmdline(process)); }
std::string Replay::exe(const ProcessKey& process) { return answer<std::string>(question::exe(process)); }

// Recordings of earlier versions have no such answers: that is no gap.
template <typename T>
T Replay::answer_if_any(const std::string& question) {
  const std::uint64_t before = unanswered_;
  T out = answer<T>(question);
  unanswered_ = before;
  return out;
}

ParentChain Replay::parents(const ProcessKey& process) {
  return answer_if_any<ParentChain>(question::parents(process));
}

std::string Replay::environment(const ProcessKey& process) {
  return answer_if_any<std::string>(question::environment(process));
}
StackNames Replay::name_stacks(const std::string& incident_id, const std::vector<StackGrowth>& /*stacks*/,
                               std::chrono::milliseconds /*patience*/) {
  const std::string question = question::name_stacks(incident_id);
  auto out = answer<StackNames>(question);
  if (!out.pending) {
    answers_.erase(question);  // given once
  }
  return out;
}

}  // namespace memcrest
