// SPDX-License-Identifier: Apache-2.0
// What a recording holds, one thing after the other, into one format. Exporters keep memory that does not grow with the
// length of the recording, and bound what grows with the number of different things in it. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "export/byte_sink.h"
#include "export/exported_cgroups.h"
#include "export/frame_names.h"
#include "incident/growth_meter.h"
#include "memcrest/event.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/surroundings.h"

namespace memcrest {

struct ExportedStep {
  const StepEvent& event;
  const ExportedCgroup& cgroup;
  MeteredGrowth growth;
  std::optional<std::int64_t> unix_ns;  // here and below: nullopt: the recording does not tell wall time
};

struct ExportedEvent {
  const Event& event;                      // anything but a step
  const ExportedCgroup* cgroup = nullptr;  // that it happened in; nullptr: in none, or unknown
  std::optional<std::int64_t> unix_ns;
};

struct ExportedLoss {
  LossCount so_far;
  std::uint64_t more = 0;     // than before, all kinds
  std::uint64_t boot_ns = 0;  // when it was noticed
  std::optional<std::int64_t> unix_ns;
};

struct ExportedIncident {
  const Incident& incident;
  const std::string& json;  // memcrest.incident.v1, one line
};

// What the reader of an export should know of the recording as a whole.
struct ExportEnd {
  LossCount lost;
  std::vector<std::string> gaps;   // why it is not whole, in words; empty: it is
  std::vector<std::string> notes;  // what it was meant to hold, where that is not everything, in words
};

class RecordingExporter {
 public:
  virtual ~RecordingExporter() = default;
  // Of the recorder's clocks; comes before what it dates.
  virtual void add(const Moment& /*moment*/) {}
  virtual void add(const ExportedStep& step) = 0;
  virtual void add(const ExportedEvent& event) = 0;
  virtual void add(const ExportedLoss& loss) = 0;
  virtual void add(const ExportedIncident& incident) = 0;
  // Once, at the end.
  virtual void finish(const ExportEnd& end) = 0;
  // What the format left out to stay within its bounds, in words; for after finish().
  [[nodiscard]] virtual std::vector<std::string> left_out() const { return {}; }
};

// What every exporter is given. All of it outlives the exporter.
struct ExportContext {
  ByteSink& sink;
  const std::map<std::string, std::string>& meta;  // of the recording (docs/recording.md); may hold anything
  ExportedCgroups& cgroups;
  const FrameNames& frames;

  [[nodiscard]] std::string about(const std::string& key) const {
    const auto found = meta.find(key);
    return found == meta.end() ? std::string() : found->second;
  }
};

}  // namespace memcrest
