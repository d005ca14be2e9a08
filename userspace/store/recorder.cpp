// SPDX-License-Identifier: Apache-2.0
#include "store/recorder.h"

#include <utility>

#include "store/event_subject.h"
#include "store/questions.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCgroups = 65536;  // remembered as named, and waiting for a name
constexpr std::uint64_t kAskAgainNs = 200'000'000;
constexpr std::uint64_t kGiveUpNs = 30'000'000'000;

}  // namespace

EventSource::Status RecordingSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  const std::size_t first = out.size();
  const Status status = inner_.poll(timeout, out);
  sink_.add(std::span<const Event>(out).subspan(first));
  return status;
}

LossCount RecordingSource::loss() const {
  const LossCount now = inner_.loss();
  if (!(now == told_)) {
    told_ = now;
    sink_.add(now);
  }
  return now;
}

template <typename T>
bool RecordingSurroundings::keep(std::string question, const T& answer) {
  if (!sink_.wants_answers()) {
    return true;
  }
  std::string text = FieldsWriter::json_of(answer).dump();
  if (told_.size() >= kMaxQuestions) {
    told_.clear();
  }
  const auto [found, is_new] = told_.try_emplace(question);
  if (!is_new && found->second == text) {
    return false;
  }
  found->second = text;
  sink_.add(Answer{std::move(question), std::move(text)});
  return true;
}

Identity RecordingSurroundings::keep_name(std::string question, Identity answer) {
  if (keep(std::move(question), answer) && answer.known && !answer.pending) {
    sink_.add(answer.cgroup, answer.container);
  }
  return answer;
}

void RecordingSurroundings::end() {
  for (auto& [cgroup, unnamed] : unnamed_) {
    unnamed = {};  // now or never
  }
  name_cgroups();
  sink_.add(Answer{question::kEnd, {}});
}

Moment RecordingSurroundings::now() {
  if (std::exchange(turn_over_, false) && sink_.begin_turn()) {
    told_.clear();
    unnamed_.clear();
    named_.clear();
  }
  moment_ = inner_.now();
  sink_.add(moment_);
  return moment_;
}

void RecordingSurroundings::note(const Event& event) {
  inner_.note(event);
  const auto cgroup = subject_of(event).cgroup_id;
  if (!cgroup || *cgroup == 0 || named_.contains(*cgroup) || unnamed_.size() >= kMaxCgroups) {
    return;
  }
  unnamed_.try_emplace(*cgroup, Unnamed{0, moment_.boot_ns + kGiveUpNs});
}

void RecordingSurroundings::tend() {
  inner_.tend();
  name_cgroups();
  turn_over_ = true;
}

// The collector asks for names when it tells of something; a recording names all that it holds.
void RecordingSurroundings::name_cgroups() {
  const std::uint64_t now = moment_.boot_ns;
  for (auto one = unnamed_.begin(); one != unnamed_.end();) {
    if (one->second.ask_ns > now) {
      ++one;
      continue;
    }
    const Identity identity = inner_.find(one->first);
    const bool last = now >= one->second.give_up_ns;
    // A name that may still come decides what a filter keeps: half of it is not told.
    if (identity.known && (last || !identity.pending)) {
      sink_.add(identity.cgroup, identity.container);
    }
    if (last || (identity.known && !identity.pending && !identity.more_coming)) {
      if (named_.size() >= kMaxCgroups) {
        named_.clear();
      }
      named_.insert(one->first);
      one = unnamed_.erase(one);
    } else {
      one->second.ask_ns = now + kAskAgainNs;
      ++one;
    }
  }
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
  auto samples = inner_.sample(cgroup_ids);
  sink_.add(std::span<const SampleEvent>(samples));
  return samples;
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

// The answer itself is given once, and too large to be kept for comparison.
StackNames RecordingSurroundings::name_stacks(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                                              std::chrono::milliseconds patience) {
  StackNames names = inner_.name_stacks(incident_id, stacks, patience);
  if (names.pending) {
    keep(question::name_stacks(incident_id), names);
    return names;
  }
  told_.erase(question::name_stacks(incident_id));
  sink_.add(Answer{question::name_stacks(incident_id), FieldsWriter::json_of(names).dump()});
  return names;
}

}  // namespace memcrest
