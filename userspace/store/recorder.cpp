// SPDX-License-Identifier: Apache-2.0
#include "store/recorder.h"

#include <algorithm>
#include <utility>

#include "store/event_subject.h"
#include "store/questions.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCgroups = 65536;  // remembered as named, and waiting for a name
constexpr std::uint64_t kAskAgainNs = 200'000'000;
constexpr std::uint64_t kGiveUpNs = 30'000'000'000;
constexpr std::size_t kMaxCode = 131'072;
constexpr std::size_t kMaxUnnamedStacks = 1024;  // more have to come again
constexpr std::uint64_t kNameCodeNs = 1'000'000'000;
constexpr std::chrono::milliseconds kLastNames{2000};

std::uint64_t hash_of(const ProcessKey& process, std::uint64_t address) {
  std::uint64_t hash = process.start_ns * 0x9e3779b97f4a7c15ULL ^ process.tgid;
  hash = (hash ^ (hash >> 29U)) * 0xbf58476d1ce4e5b9ULL ^ address;
  return (hash ^ (hash >> 32U)) * 0x94d049bb133111ebULL;
}

// Which address each name is that of: names of the kernel, which are not all of its functions, come first, then those
// of user space in the order of the stack. Where names end before the stack does, the next address is none of code.
std::vector<CodeName> code_names(const std::vector<StackGrowth>& stacks, const StackNames& names) {
  std::vector<CodeName> out;
  for (std::size_t i = 0; i < std::min(stacks.size(), names.stacks.size()); ++i) {
    const auto& addresses = stacks[i].user_stack;
    const auto& frames = names.stacks[i].frames;
    auto frame = std::ranges::find_if(frames, [](const Frame& one) { return one.module != "[kernel]"; });
    if (frame == frames.end()) {
      continue;  // its process was gone
    }
    std::size_t at = 0;
    for (; frame != frames.end() && at < addresses.size(); ++frame) {
      if (!frame->inlined) {
        out.push_back({stacks[i].process, addresses[at++], *frame});
      }
    }
    if (at < addresses.size()) {
      out.push_back({stacks[i].process, addresses[at], {.module = kNoCode}});
    }
  }
  return out;
}

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
  if (!sink_.add(Answer{question, std::move(text)})) {
    told_.erase(question);
  }
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
  name_code(kLastNames);  // those that are under way, and the rest
  name_code(kLastNames);
  sink_.add(Answer{question::kEnd, {}});
}

Moment RecordingSurroundings::now() {
  if (std::exchange(turn_over_, false) && sink_.begin_turn()) {
    told_.clear();
    unnamed_.clear();
    named_.clear();
    code_seen_.clear();
  }
  moment_ = inner_.now();
  sink_.add(moment_);
  return moment_;
}

void RecordingSurroundings::note(const Event& event) {
  inner_.note(event);
  if (const auto* step = std::get_if<StepEvent>(&event)) {
    follow_code(*step);
  }
  const auto cgroup = subject_of(event).cgroup_id;
  if (!cgroup || *cgroup == 0 || named_.contains(*cgroup) || unnamed_.size() >= kMaxCgroups) {
    return;
  }
  unnamed_.try_emplace(*cgroup, Unnamed{0, moment_.boot_ns + kGiveUpNs});
}

void RecordingSurroundings::tend() {
  inner_.tend();
  name_cgroups();
  name_code(std::chrono::milliseconds(0));
  turn_over_ = true;
}

void RecordingSurroundings::follow_code(const StepEvent& step) {
  if (step.user_stack.empty() || unnamed_code_.size() >= kMaxUnnamedStacks || !sink_.wants_code_names(step.cgroup_id)) {
    return;
  }
  if (code_seen_.size() >= kMaxCode) {
    code_seen_.clear();
  }
  bool some = false;
  for (const std::uint64_t address : step.user_stack) {
    some = code_seen_.insert(hash_of(step.task.process, address)).second || some;
  }
  if (some) {
    unnamed_code_.push_back({.process = step.task.process, .comm = step.task.comm, .user_stack = step.user_stack});
  }
}

// The threads that name things are asked now and then, and never waited for while watching.
void RecordingSurroundings::name_code(std::chrono::milliseconds patience) {
  if (asked_code_.empty()) {
    if (unnamed_code_.empty() || (patience.count() == 0 && moment_.boot_ns < code_ask_ns_)) {
      return;
    }
    asked_code_ = std::exchange(unnamed_code_, {});
    code_ask_ns_ = moment_.boot_ns + kNameCodeNs;
    ++code_asked_;
  }
  const StackNames names = inner_.name_stacks("recording " + std::to_string(code_asked_), asked_code_, patience);
  if (names.pending) {
    return;
  }
  if (auto told = code_names(asked_code_, names); !told.empty()) {
    sink_.add(std::move(told));
  }
  asked_code_.clear();
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
    const bool tell = identity.known && (last || !identity.pending);
    const bool told = !tell || sink_.add(identity.cgroup, identity.container);
    if (last || (told && identity.known && !identity.pending && !identity.more_coming)) {
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

ParentChain RecordingSurroundings::parents(const ProcessKey& process) {
  auto answer = inner_.parents(process);
  keep(question::parents(process), answer);
  return answer;
}

std::string RecordingSurroundings::environment(const ProcessKey& process) {
  auto answer = inner_.environment(process);
  keep(question::environment(process), answer);
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
  if (auto code = code_names(stacks, names); !code.empty()) {
    sink_.add(std::move(code));
  }
  told_.erase(question::name_stacks(incident_id));
  sink_.add(Answer{question::name_stacks(incident_id), FieldsWriter::json_of(names).dump()});
  return names;
}

}  // namespace memcrest
