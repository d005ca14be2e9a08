// SPDX-License-Identifier: Apache-2.0
#include "store/flight_recorder.h"

#include <algorithm>
#include <vector>

#include "store/event_subject.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kSweepNs = 1'000'000'000;  // and a moment is kept so often
constexpr std::uint64_t kTidyNs = 3'600'000'000'000;
constexpr std::uint64_t kMaxAfters = 10;  // incidents without end must not make a file without end
constexpr std::size_t kMaxNames = 65536;
constexpr std::uint64_t kLateNamesNs = 60'000'000'000;  // after a cgroup's end nobody tells its name for the first time
constexpr std::size_t kMaxRings = 65536;
constexpr std::size_t kMaxCodeNames = 2048;
constexpr std::size_t kMaxWaiting = 64;
constexpr std::uint64_t kOutcomeNs = 30'000'000'000;  // of what is done at a memory breakpoint

constexpr std::uint64_t kBlock = 16;          // of the allocator, for each block
constexpr std::uint64_t kEntry = 2 * kBlock;  // of the list

std::uint64_t heap_of(const StepEvent& step) {
  std::uint64_t out = step.task.comm.capacity() + step.task.thread_comm.capacity();
  for (const auto* stack : {&step.user_stack, &step.kernel_stack}) {
    out += stack->empty() ? 0 : stack->capacity() * sizeof(std::uint64_t) + kBlock;
  }
  return out;
}

// Of the others only kernel log records and victims are much larger than the variant; they are few.
std::uint64_t heap_of(const Event& event) {
  std::uint64_t out = sizeof(Event);
  if (const auto* log = std::get_if<LogOomEvent>(&event)) {
    out += log->tasks.capacity() * sizeof(LogTask) + log->stats.capacity() * sizeof(log->stats[0]);
  } else if (const auto* exec = std::get_if<ExecEvent>(&event)) {
    out += exec->cmdline.capacity() + exec->exe.capacity();
  } else if (const auto* victim = std::get_if<VictimEvent>(&event)) {
    out += victim->chain.entries.capacity() * sizeof(MemcgState) + victim->parents.capacity() * sizeof(RelativeInfo);
  }
  return out;
}

bool says_something(const Container& of) {
  return of.runtime != Runtime::kUnknown || !of.id.empty() || !of.unit.empty() || !of.machine.empty() ||
         !of.unknown_reason.empty() || of.pod || !of.outer.empty();
}

// Of what most have.
std::uint64_t heap_of(const Container& container) {
  std::uint64_t out = container.id.size() + container.name.size() + container.image.size() + container.unit.size() +
                      container.unknown_reason.size();
  for (const auto& [key, value] : container.labels) {
    out += key.size() + value.size() + 8 * kBlock;
  }
  return out;
}

// "/a" holds "/a" and "/a/b", not "/ab"; "/" holds all.
bool holds(const std::string& parent, const std::string& path) {
  return parent == "/" || path == parent ||
         (path.starts_with(parent) && path.size() > parent.size() && path[parent.size()] == '/');
}

// What was asked for needs no evidence, and what is told again has had its file.
bool is_worth_a_file(const Incident& incident, bool bursts) {
  if (!incident.update.empty()) {
    return false;
  }
  return incident.kind == IncidentKind::kBurst ? bursts : !is_no_alarm(incident);
}

}  // namespace

FlightRecorder::FlightRecorder(std::unique_ptr<RecordingDirectory> directory, const FlightSettings& settings,
                               std::map<std::string, std::string> meta)
    : directory_(std::move(directory)), settings_(settings), meta_(std::move(meta)) {
  // What is kept is handed over at once.
  settings_.file.max_queued += settings_.max_bytes / sizeof(Kept);
}

void FlightRecorder::keep(std::uint64_t cgroup_id, Kept kept) {
  if (rings_.size() >= kMaxRings && !rings_.contains(cgroup_id)) {
    unkept_ns_ = std::max(unkept_ns_, kept.boot_ns);
    return;
  }
  Ring& ring = rings_[cgroup_id];
  ring.bytes += kept.bytes;
  kept_bytes_ += kept.bytes;
  ring.kept.push_back(std::move(kept));
}

void FlightRecorder::add(std::span<const Event> events) {
  for (const Event& event : events) {
    const std::uint64_t cgroup = subject_of(event).cgroup_id.value_or(0);
    if (passes(cgroup)) {
      writer_->add(std::span(&event, 1));
      written_[cgroup].order = order_ + 1;
    }
    if (const auto* gone = std::get_if<CgroupEvent>(&event); gone != nullptr && gone->created) {
      gone_.erase(cgroup);
    } else if (gone != nullptr) {
      if (const auto name = names_.find(cgroup); name != names_.end()) {
        name->second.removed_ns = gone->time_ns;
      }
      if (gone_.size() < kMaxNames) {
        gone_.insert_or_assign(cgroup, gone->time_ns);
      }
    }
    if (const auto* step = std::get_if<StepEvent>(&event)) {
      keep(cgroup, {order_++, step->time_ns, sizeof(Kept) + kEntry + heap_of(*step), *step});
    } else {
      keep(cgroup,
           {order_++, time_of(event), sizeof(Kept) + kEntry + kBlock + heap_of(event), std::make_unique<Event>(event)});
    }
  }
  make_room();
}

void FlightRecorder::add(std::span<const SampleEvent> samples) {
  for (const SampleEvent& sample : samples) {
    if (passes(sample.cgroup_id)) {
      writer_->add(std::span(&sample, 1));
      written_[sample.cgroup_id].order = order_ + 1;
    }
    keep(sample.cgroup_id, {order_++, sample.time_ns, sizeof(Kept) + kEntry, sample});
  }
  make_room();
}

void FlightRecorder::drop_oldest(Ring& ring) {
  kept_bytes_ -= ring.kept.front().bytes;
  ring.bytes -= ring.kept.front().bytes;
  ring.kept.pop_front();
}

void FlightRecorder::forget_name(std::uint64_t cgroup_id) {
  if (const auto found = names_.find(cgroup_id); found != names_.end()) {
    names_bytes_ -= found->second.bytes;
    names_.erase(found);
  }
}

std::uint64_t FlightRecorder::room_for_all() const {
  return settings_.room ? std::min(settings_.max_bytes, settings_.room->load(std::memory_order_relaxed))
                        : settings_.max_bytes;
}

// What is left for events beside the names of their cgroups: half of it at least, since the names of what is there are
// needed however many they are.
std::uint64_t FlightRecorder::room() const {
  const std::uint64_t most = room_for_all();
  return most - std::min(names_bytes_, most / 2);
}

// The cgroup with the most loses a quarter of it, again and again, until there is room for a while: looking at a
// thousand cgroups is not to be paid for each event.
void FlightRecorder::make_room() {
  const std::uint64_t most = room();
  if (kept_bytes_ <= most) {
    return;
  }
  const std::uint64_t enough = most - most / 16;
  const auto smaller = [](const Ring* a, const Ring* b) { return a->bytes < b->bytes; };
  std::vector<Ring*> by_size;
  by_size.reserve(rings_.size());
  for (auto& [id, ring] : rings_) {
    by_size.push_back(&ring);
  }
  std::ranges::make_heap(by_size, smaller);
  while (kept_bytes_ > enough && !by_size.empty()) {
    std::ranges::pop_heap(by_size, smaller);
    Ring& largest = *by_size.back();
    const std::uint64_t target = largest.bytes - largest.bytes / 4;
    while (!largest.kept.empty() && largest.bytes >= target) {
      largest.cut_until_ns = std::max(largest.cut_until_ns, largest.kept.front().boot_ns);
      drop_oldest(largest);
    }
    if (largest.kept.empty()) {
      by_size.pop_back();
    } else {
      std::ranges::push_heap(by_size, smaller);
    }
  }
}

void FlightRecorder::drop_what_is_old() {
  const auto before = static_cast<std::uint64_t>(settings_.before.count());
  // What a file that is being begun is to hold stays.
  const std::uint64_t now = waiting_.empty() ? now_.boot_ns : waiting_.front().boot_ns;
  const std::uint64_t from = now - std::min(now, before);
  for (auto ring = rings_.begin(); ring != rings_.end();) {
    while (!ring->second.kept.empty() && ring->second.kept.front().boot_ns < from) {
      drop_oldest(ring->second);
    }
    ring = ring->second.kept.empty() && ring->second.cut_until_ns < from ? rings_.erase(ring) : std::next(ring);
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gone;  // when, whose
  for (const auto& [id, name] : names_) {
    if (name.removed_ns != 0) {
      gone.emplace_back(name.removed_ns, id);
    }
  }
  std::ranges::sort(gone);
  const std::uint64_t enough = room_for_all() / 2;
  for (const auto& [removed_ns, id] : gone) {
    if (removed_ns >= from && names_bytes_ <= enough) {
      break;
    }
    forget_name(id);
  }
  std::erase_if(gone_, [&](const auto& one) { return one.second + kLateNamesNs < from; });
  while (moments_.size() > 1 && moments_[1].boot_ns < from) {
    moments_.pop_front();
  }
}

void FlightRecorder::add(Moment moment) {
  now_ = moment;
  take_file(std::chrono::milliseconds(0));
  if (writer_ != nullptr && now_.boot_ns > until_ns_) {
    end_file();
  } else if (writer_ != nullptr) {
    writer_->add(moment);
  }
  if (now_.boot_ns - swept_ns_ >= kSweepNs) {
    swept_ns_ = now_.boot_ns;
    drop_what_is_old();
    make_room();  // it may have become less
    moments_.push_back(moment);
  }
  if (tidied_ns_ == 0 || now_.boot_ns - tidied_ns_ >= kTidyNs) {
    tidied_ns_ = now_.boot_ns;
    directory_->tidy(now_.unix_ns);
  }
}

void FlightRecorder::add(const LossCount& loss) {
  loss_ = loss;
  if (writer_ != nullptr) {
    writer_->add(loss);
  }
}

bool FlightRecorder::add(const CgroupRef& cgroup, const Container& container) {
  if (names_.size() >= kMaxNames) {
    names_.clear();
    names_bytes_ = 0;
  }
  const auto gone = gone_.find(cgroup.id);
  Name name{.cgroup = cgroup, .removed_ns = gone == gone_.end() ? 0 : gone->second};
  name.bytes = sizeof(Name) + 2 * kBlock + cgroup.path.size();
  if (says_something(container)) {
    name.container = std::make_unique<const Container>(container);
    name.bytes += sizeof(Container) + kBlock + heap_of(container);
  }
  forget_name(cgroup.id);
  names_bytes_ += name.bytes;
  names_.emplace(cgroup.id, std::move(name));
  return writer_ == nullptr || !written_.contains(cgroup.id) || writer_->add(cgroup, container);
}

void FlightRecorder::add(std::vector<CodeName> names) {
  code_names_.insert(code_names_.end(), names.begin(), names.end());
  while (code_names_.size() > kMaxCodeNames) {
    code_names_.pop_front();
  }
  if (writer_ != nullptr) {
    writer_->add(std::move(names));
  }
}

bool FlightRecorder::passes(std::uint64_t cgroup_id) const {
  if (writer_ == nullptr) {
    return false;
  }
  const auto found = written_.find(cgroup_id);
  return cgroup_id == 0 || (found != written_.end() && found->second.until_ns >= now_.boot_ns);
}

// The cgroup itself, those above it, those that share the limit that was hit, and of the host's OOM the heaviest.
std::unordered_set<std::uint64_t> FlightRecorder::related(const Incident& incident) const {
  std::unordered_set<std::uint64_t> out{incident.cgroup.id};
  const std::string& limit = incident.limit.cgroup_path;
  for (const auto& [id, name] : names_) {
    const std::string& path = name.cgroup.path;
    if (path.empty()) {
      continue;
    }
    if (holds(path, incident.cgroup.path) ||
        (incident.scope == Scope::kAncestor && !limit.empty() && holds(limit, path))) {
      out.insert(id);
    }
  }
  if (incident.ranking) {
    for (const auto* ranked : {&incident.ranking->by_usage, &incident.ranking->by_growth}) {
      for (const RankedCgroup& one : *ranked) {
        out.insert(one.cgroup.id);
      }
    }
  }
  return out;
}

bool FlightRecorder::is_cut(std::uint64_t cgroup_id) const {
  const auto ring = rings_.find(cgroup_id);
  const std::uint64_t until_ns = std::max(unkept_ns_, ring == rings_.end() ? 0 : ring->second.cut_until_ns);
  return until_ns != 0 && until_ns + static_cast<std::uint64_t>(settings_.before.count()) > now_.boot_ns;
}

void FlightRecorder::tell_cut(std::uint64_t until_ns) {
  const auto before = static_cast<std::uint64_t>(settings_.before.count());
  if (until_ns > told_cut_until_ns_ && until_ns + before > now_.boot_ns) {
    told_cut_until_ns_ = until_ns;
    writer_->add_meta("excerpt_cut_until_boot_ns", std::to_string(until_ns));
  }
}

void FlightRecorder::write_kept(const std::unordered_set<std::uint64_t>& cgroups, std::uint64_t until_ns) {
  tell_cut(unkept_ns_);
  std::vector<const Kept*> wanted;
  for (const std::uint64_t id : cgroups) {
    if (const auto ring = rings_.find(id); ring != rings_.end()) {
      tell_cut(ring->second.cut_until_ns);
      const auto written = written_.find(id);
      for (const Kept& one : ring->second.kept) {
        if (one.boot_ns <= until_ns && (written == written_.end() || one.order >= written->second.order)) {
          wanted.push_back(&one);
        }
      }
    }
    if (const auto name = names_.find(id); name != names_.end()) {
      writer_->add(name->second.cgroup, name->second.container ? *name->second.container : Container());
    }
  }
  std::ranges::sort(wanted, {}, &Kept::order);
  for (const Kept* one : wanted) {
    if (const auto* step = std::get_if<StepEvent>(&one->what)) {
      const Event event = *step;
      writer_->add(std::span(&event, 1));
    } else if (const auto* event = std::get_if<std::unique_ptr<Event>>(&one->what)) {
      writer_->add(std::span<const Event>(event->get(), 1));
    } else {
      writer_->add(std::span(&std::get<SampleEvent>(one->what), 1));
    }
  }
}

void FlightRecorder::begin_file() {
  auto meta = meta_;
  meta["excerpt_before_ns"] = std::to_string(settings_.before.count());
  meta["excerpt_after_ns"] = std::to_string(settings_.after.count());
  next_.start(*directory_, now_.unix_ns, settings_.file, std::move(meta));
}

// When it is there: what waited for it.
void FlightRecorder::take_file(std::chrono::milliseconds patience) {
  auto begun = next_.take(patience);
  if (!begun) {
    return;
  }
  const auto waiting = std::exchange(waiting_, {});
  if (!*begun) {
    const std::lock_guard lock(mutex_);
    status_.stopped = begun->error().message();
    status_.unrecorded += waiting.size();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    writer_ = std::move(**begun);
    begun_ns_ = waiting.front().boot_ns;
    told_cut_until_ns_ = 0;
    ++status_.files;
    status_.path = writer_->status().path;
    status_.stopped.clear();
  }
  for (const Moment& moment : moments_) {
    writer_->add(moment);
  }
  writer_->add(loss_);
  writer_->add(now_);
  if (!code_names_.empty()) {
    writer_->add(std::vector<CodeName>(code_names_.begin(), code_names_.end()));
  }
  for (const Waiting& told : waiting) {
    record(told);
  }
}

void FlightRecorder::end_file() {
  const std::lock_guard lock(mutex_);
  if (writer_) {
    directory_->end(std::move(writer_), now_.unix_ns);
  }
  written_.clear();
  until_ns_ = 0;
}

void FlightRecorder::add(const Incident& incident, std::string json) {
  const bool begins = is_worth_a_file(incident, settings_.bursts);
  if (begins && writer_ != nullptr &&
      now_.boot_ns - begun_ns_ > kMaxAfters * static_cast<std::uint64_t>(settings_.after.count())) {
    end_file();
  }
  if (writer_ != nullptr) {
    record({incident, std::move(json), now_.boot_ns});
    return;
  }
  if (!begins && waiting_.empty()) {
    return;
  }
  if (waiting_.size() >= kMaxWaiting) {
    const std::lock_guard lock(mutex_);
    ++status_.unrecorded;
    return;
  }
  waiting_.push_back({incident, std::move(json), now_.boot_ns});
  if (!next_.under_way()) {
    begin_file();
    take_file(settings_.patience);
  }
}

void FlightRecorder::record(const Waiting& told) {
  const bool begins = is_worth_a_file(told.incident, settings_.bursts);
  if (!begins && !written_.contains(told.incident.cgroup.id)) {
    return;
  }
  if (begins) {
    const bool goes_on = told.incident.breakpoint && told.incident.breakpoint->outcome.empty();
    until_ns_ = std::max(
        until_ns_, told.boot_ns + static_cast<std::uint64_t>(settings_.after.count()) + (goes_on ? kOutcomeNs : 0));
  }
  auto cgroups = related(told.incident);
  if (written_.empty()) {
    cgroups.insert(0);
  }
  write_kept(cgroups, until_ns_);
  for (const std::uint64_t id : cgroups) {
    written_[id] = {until_ns_, order_};
  }
  writer_->add(told.incident, told.json);
}

Result<void> FlightRecorder::finish() {
  take_file(std::chrono::hours(24));
  end_file();
  return directory_->wait();
}

RecordingSink::Status FlightRecorder::status() const {
  const std::lock_guard lock(mutex_);
  Status out = status_;
  const auto ended = directory_->ended();
  out.unrecorded += ended.unrecorded;
  out.written = ended.written;
  out.bytes = ended.bytes;
  if (writer_) {
    const Status current = writer_->status();
    out.unrecorded += current.unrecorded;
    out.written += current.written;
    out.bytes += current.bytes;
  }
  if (out.stopped.empty()) {
    out.stopped = ended.stopped;
  }
  return out;
}

}  // namespace memcrest
