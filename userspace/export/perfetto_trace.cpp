// SPDX-License-Identifier: Apache-2.0
#include "export/perfetto_trace.h"

#include <algorithm>
#include <limits>
#include <protozero/pbf_writer.hpp>

#include "export/perfetto_fields.h"
#include "util/text.h"

namespace memcrest {
namespace {

using namespace perfetto;  // NOLINT(google-build-using-namespace): field numbers
using protozero::pbf_writer;

constexpr std::uint32_t kSequence = 0x6d63;
constexpr std::size_t kMaxTold = 65536;
constexpr std::uint64_t kIdBits = (1ULL << 56U) - 1;

constexpr std::uint64_t kMaxSigned = std::numeric_limits<std::int64_t>::max();

std::int64_t clamped(std::uint64_t value) { return static_cast<std::int64_t>(std::min(value, kMaxSigned)); }

std::int32_t pid_of(std::uint32_t pid) { return static_cast<std::int32_t>(pid & 0x7fffffffU); }

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value;
  hash *= 0xff51afd7ed558ccdULL;
  return hash ^ (hash >> 32U);
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

void add_note(pbf_writer& event, const TraceNote& note) {
  pbf_writer inner(event, event::kDebugAnnotation);
  inner.add_string(annotation::kName, note.name);
  switch (note.kind) {
    case TraceNote::Kind::kNumber:
      inner.add_uint64(annotation::kUint, note.number);
      break;
    case TraceNote::Kind::kFlag:
      inner.add_bool(annotation::kBool, note.number != 0);
      break;
    case TraceNote::Kind::kText:
      inner.add_string(annotation::kString, to_valid_utf8(note.text));
      break;
  }
}

void add_clock(pbf_writer& snapshot, std::uint32_t id, std::uint64_t time) {
  pbf_writer clock(snapshot, clock_snapshot::kClocks);
  clock.add_uint32(clock_snapshot::kClockId, id);
  clock.add_uint64(clock_snapshot::kTimestamp, time);
}

}  // namespace

TraceIds::TraceIds(std::string_view seed) : seed_(hash_of(seed)) {}

std::uint64_t TraceIds::of(const char* what, std::uint64_t a, std::uint64_t b, std::uint64_t c) const {
  const std::uint64_t hash = mix(mix(mix(mix(seed_, hash_of(what)), a), b), c) & kIdBits;
  return hash == 0 ? 1 : hash;  // 0 is the trace's own track
}

template <typename Fill>
void PerfettoTrace::packet(std::optional<std::uint64_t> time_ns, Fill fill, bool cleared) {
  buffer_.clear();
  {
    pbf_writer trace(buffer_);
    pbf_writer out(trace, kPacket);
    if (time_ns) {
      out.add_uint64(packet::kTimestamp, std::min(*time_ns, kMaxSigned));
    }
    out.add_uint32(packet::kSequenceId, kSequence);
    out.add_uint32(packet::kSequenceFlags, cleared ? packet::kIncrementalStateCleared : packet::kNeedsIncrementalState);
    fill(out);
  }
  sink_.write(buffer_);
}

void PerfettoTrace::begin(std::string_view kernel_release) {
  clear_state();
  packet(std::nullopt, [&](pbf_writer& out) {
    pbf_writer info(out, packet::kSystemInfo);
    pbf_writer name(info, system_info::kUtsname);
    name.add_string(system_info::kSysname, "Linux");
    name.add_string(system_info::kRelease, to_valid_utf8(kernel_release));
  });
}

void PerfettoTrace::clear_state() {
  packet(std::nullopt, [](pbf_writer&) {}, true);
}

void PerfettoTrace::clocks(std::uint64_t boot_ns, std::int64_t unix_ns) {
  packet(boot_ns, [&](pbf_writer& out) {
    pbf_writer snapshot(out, packet::kClockSnapshot);
    snapshot.add_uint32(clock_snapshot::kPrimaryTraceClock, clock_snapshot::kBoottime);
    add_clock(snapshot, clock_snapshot::kBoottime, boot_ns);
    add_clock(snapshot, clock_snapshot::kRealtime, static_cast<std::uint64_t>(unix_ns));
  });
}

bool PerfettoTrace::is_new(std::uint64_t id) {
  if (told_.size() >= kMaxTold) {
    told_.clear();
  }
  return told_.insert(id).second;
}

void PerfettoTrace::group(std::uint64_t id, std::uint64_t parent, std::string_view name) {
  if (!is_new(id)) {
    return;
  }
  packet(std::nullopt, [&](pbf_writer& out) {
    pbf_writer track(out, packet::kTrackDescriptor);
    track.add_uint64(track::kUuid, id);
    track.add_string(track::kName, to_valid_utf8(name));
    if (parent != 0) {
      track.add_uint64(track::kParentUuid, parent);
    }
  });
}

void PerfettoTrace::counter(std::uint64_t id, std::uint64_t parent, const char* name) {
  if (!is_new(id)) {
    return;
  }
  packet(std::nullopt, [&](pbf_writer& out) {
    pbf_writer track(out, packet::kTrackDescriptor);
    track.add_uint64(track::kUuid, id);
    track.add_string(track::kName, name);
    track.add_uint64(track::kParentUuid, parent);
    pbf_writer counter(track, track::kCounter);
    counter.add_enum(counter::kUnit, counter::kSizeBytes);
  });
}

// Dated, since the name of a process that is told without a time is lost.
void PerfettoTrace::process(std::uint64_t id, const TaskInfo& task, std::uint64_t time_ns) {
  if (!is_new(id)) {
    return;
  }
  packet(time_ns, [&](pbf_writer& out) {
    pbf_writer track(out, packet::kTrackDescriptor);
    track.add_uint64(track::kUuid, id);
    pbf_writer process(track, track::kProcess);
    process.add_int32(process::kPid, pid_of(task.process.tgid));
    process.add_string(process::kName, to_valid_utf8(task.comm));
    process.add_int64(process::kStartNs, clamped(task.process.start_ns));
  });
}

void PerfettoTrace::thread(std::uint64_t id, std::uint64_t parent, const TaskInfo& task, std::uint64_t time_ns) {
  if (!is_new(id)) {
    return;
  }
  packet(time_ns, [&](pbf_writer& out) {
    pbf_writer track(out, packet::kTrackDescriptor);
    track.add_uint64(track::kUuid, id);
    track.add_uint64(track::kParentUuid, parent);
    pbf_writer thread(track, track::kThread);
    thread.add_int32(thread::kPid, pid_of(task.process.tgid));
    thread.add_int32(thread::kTid, pid_of(task.tid));
    thread.add_string(thread::kName, to_valid_utf8(task.thread_comm));
  });
}

void PerfettoTrace::event(const TraceEvent& event, std::int32_t type) {
  packet(event.time_ns, [&](pbf_writer& out) {
    if (!event.interned.empty()) {
      out.add_message(packet::kInternedData, event.interned);
    }
    pbf_writer inner(out, packet::kTrackEvent);
    inner.add_enum(event::kType, type);
    inner.add_uint64(event::kTrackUuid, event.track);
    if (type == event::kSliceEnd) {
      return;
    }
    inner.add_string(event::kCategory, event.category);
    inner.add_string(event::kName, to_valid_utf8(event.name));
    for (const auto& [track, value] : event.counters) {
      inner.add_uint64(event::kExtraCounterTrack, track);
      inner.add_int64(event::kExtraCounterValue, clamped(value));
    }
    if (event.callstack != 0) {
      inner.add_uint64(event::kCallstackIid, event.callstack);
    }
    for (const TraceNote& note : event.notes) {
      add_note(inner, note);
    }
  });
}

void PerfettoTrace::instant(const TraceEvent& event) { this->event(event, event::kInstant); }

void PerfettoTrace::slice(const TraceEvent& begin, std::uint64_t end_ns) {
  event(begin, event::kSliceBegin);
  TraceEvent end;
  end.time_ns = std::max(begin.time_ns, end_ns);
  end.track = begin.track;
  event(end, event::kSliceEnd);
}

void PerfettoTrace::value(std::uint64_t track, std::uint64_t time_ns, std::uint64_t value) {
  packet(time_ns, [&](pbf_writer& out) {
    pbf_writer inner(out, packet::kTrackEvent);
    inner.add_enum(event::kType, event::kCounter);
    inner.add_uint64(event::kTrackUuid, track);
    inner.add_int64(event::kCounterValue, clamped(value));
  });
}

void PerfettoTrace::loss(std::uint64_t records) {
  packet(std::nullopt, [&](pbf_writer& out) {
    pbf_writer stats(out, packet::kTraceStats);
    pbf_writer buffer(stats, stats::kBufferStats);
    buffer.add_uint64(stats::kTraceWriterPacketLoss, records);
  });
}

}  // namespace memcrest
