// SPDX-License-Identifier: Apache-2.0
// The last seconds of every cgroup in bounded memory, and a recording of those around an incident: what led to it, what
// followed. Such a recording is an excerpt: it can be reported and exported, not replayed. One thread, but status().
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "store/recording_directory.h"
#include "store/recording_sink.h"

namespace memcrest {

struct FlightSettings {
  std::chrono::nanoseconds before{30'000'000'000};
  std::chrono::nanoseconds after{10'000'000'000};
  std::uint64_t max_bytes = 4U << 20U;                     // of memory; the cgroup with the most gives way first
  std::shared_ptr<const std::atomic<std::uint64_t>> room;  // what it may keep now, if less; null: max_bytes
  bool bursts = false;  // a burst begins a recording too; otherwise it only joins one
  // With the disk, so that a file begins at once where it is well.
  std::chrono::milliseconds patience{100};
  RecordingSettings file;
};

class FlightRecorder final : public RecordingSink {
 public:
  FlightRecorder(std::unique_ptr<RecordingDirectory> directory, const FlightSettings& settings,
                 std::map<std::string, std::string> meta);

  void add(std::span<const Event> events) override;
  bool add(Answer /*answer*/) override { return true; }  // nobody replays an excerpt
  void add(Moment moment) override;
  void add(std::span<const SampleEvent> samples) override;
  void add(const Incident& incident, std::string json) override;
  void add(const LossCount& loss) override;
  bool add(const CgroupRef& cgroup, const Container& container) override;
  void add(std::vector<CodeName> names) override;
  [[nodiscard]] bool is_cut(std::uint64_t cgroup_id) const override;
  [[nodiscard]] bool wants_answers() const override { return false; }
  [[nodiscard]] bool wants_code_names(std::uint64_t /*cgroup_id*/) const override { return false; }
  Result<void> finish() override;
  [[nodiscard]] Status status() const override;

  // Of memory, as it is counted for max_bytes.
  [[nodiscard]] std::uint64_t kept_bytes() const { return kept_bytes_; }
  [[nodiscard]] std::size_t kept_names() const { return names_.size(); }

 private:
  struct Kept {
    std::uint64_t order;
    std::uint64_t boot_ns;
    std::uint64_t bytes;
    // Most are steps; the others are larger.
    std::variant<StepEvent, std::unique_ptr<Event>, SampleEvent> what;  // the last: as the collector asked
  };
  struct Ring {
    std::list<Kept> kept;  // no deque: most have few, and that takes half a KiB also for none
    std::uint64_t bytes = 0;
    std::uint64_t cut_until_ns = 0;  // up to here something was dropped for want of memory
  };
  struct Name {
    CgroupRef cgroup;
    std::unique_ptr<const Container> container;  // null: in none
    std::uint64_t removed_ns = 0;                // 0: it is there
    std::uint64_t bytes = 0;
  };

  void keep(std::uint64_t cgroup_id, Kept kept);
  void drop_oldest(Ring& ring);
  void drop_what_is_old();
  void forget_name(std::uint64_t cgroup_id);
  [[nodiscard]] std::uint64_t room_for_all() const;
  [[nodiscard]] std::uint64_t room() const;
  void make_room();
  [[nodiscard]] bool passes(std::uint64_t cgroup_id) const;
  // A recording's incident that waits for the file to be begun.
  struct Waiting {
    Incident incident;
    std::string json;
    std::uint64_t boot_ns;
  };
  // How much of a cgroup is in the file.
  struct Written {
    std::uint64_t until_ns = 0;  // what comes later is not wanted
    std::uint64_t order = 0;     // of what is kept, from here on it is not in it
  };
  void begin_file();
  void take_file(std::chrono::milliseconds patience);
  void record(const Waiting& told);
  void end_file();
  [[nodiscard]] std::unordered_set<std::uint64_t> related(const Incident& incident) const;
  void tell_cut(std::uint64_t until_ns);
  void write_kept(const std::unordered_set<std::uint64_t>& cgroups, std::uint64_t until_ns);

  std::unique_ptr<RecordingDirectory> directory_;
  FlightSettings settings_;
  std::map<std::string, std::string> meta_;
  std::unordered_map<std::uint64_t, Ring> rings_;  // by cgroup id; 0: of no cgroup
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t unkept_ns_ = 0;  // when a cgroup found no room at all
  std::unordered_map<std::uint64_t, Name> names_;
  std::uint64_t names_bytes_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> gone_;  // cgroup, when: names may be told after its end
  std::deque<Moment> moments_;
  std::deque<CodeName> code_names_;  // of the last incidents, which come after them; bounded
  Moment now_;
  std::uint64_t swept_ns_ = 0;
  std::uint64_t tidied_ns_ = 0;
  LossCount loss_;

  std::unique_ptr<RecordingWriter> writer_;             // while a recording is open
  std::unordered_map<std::uint64_t, Written> written_;  // cgroups that it is about
  std::deque<Waiting> waiting_;                         // while it is being begun; bounded
  std::uint64_t until_ns_ = 0;
  std::uint64_t begun_ns_ = 0;           // the recording
  std::uint64_t told_cut_until_ns_ = 0;  // in it

  BeginningRecording next_;
  mutable std::mutex mutex_;  // of what status() reads: writer_ and this
  Status status_;
};

}  // namespace memcrest
