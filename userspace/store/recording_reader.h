// SPDX-License-Identifier: Apache-2.0
// Reads a recording that anybody may have made: nothing in it is trusted. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/stack.h"
#include "store/database.h"
#include "store/recording_writer.h"
#include "util/result.h"

namespace memcrest {

struct RecordedIncident {
  std::string id;
  std::string update;
  std::string json;
};

// What a recording holds, without reading it all.
struct RecordingSummary {
  std::optional<Moment> first, last;  // of its clock; nullopt: it has none
  std::uint64_t steps = 0;
  std::uint64_t events = 0;  // other than steps
  std::uint64_t incidents = 0;
  LossCount lost;                // by its end; of one that begins in the midst of another: without what was lost before
  std::uint64_t unrecorded = 0;  // items that were seen and not written
};

struct RecordedCgroup {
  std::int64_t row = 0;  // what steps refer to: one cgroup may have several rows
  std::uint64_t cgroup_id = 0;
  std::uint64_t serial = 0;
  std::string path;                         // empty: unknown
  std::optional<std::uint64_t> created_ns;  // since boot; nullopt: before the recording began, or after it ended
  std::optional<std::uint64_t> removed_ns;
  std::optional<std::int64_t> container;  // row of its container
};

struct RecordedContainer {
  std::int64_t row = 0;
  std::string runtime;
  std::string id;
  std::string name;  // this and what follows: empty: unknown
  std::string image;
  std::string pod;
  std::string name_space;
  std::string json;  // all that was known of it last
};

class RecordingReader {
 public:
  // Errors: no such file, no recording, made by a newer memcrest, damaged.
  [[nodiscard]] static Result<RecordingReader> open(const std::string& path);
  // Recordings of which each continues the one before, in any order, read as one. Of a single path that is a directory:
  // those in it. Errors: they are not one chain, too many.
  [[nodiscard]] static Result<RecordingReader> open(std::string first, std::vector<std::string> more);

  [[nodiscard]] const std::map<std::string, std::string>& meta() const { return meta_; }
  // False: its writer was killed, or still writes; what is there is whole up to the last flush.
  [[nodiscard]] bool ended() const { return meta_.contains("ended"); }

  // At most kMaxListed rows each; an error where there are more.
  static constexpr std::size_t kMaxListed = 1'000'000;
  [[nodiscard]] Result<std::vector<RecordedCgroup>> cgroups() const;
  [[nodiscard]] Result<std::vector<RecordedContainer>> containers() const;

  // Usage that the collector asked for, apart from events of the source.
  struct Sampled {
    SampleEvent sample;
  };
  // "id update" of each incident that it holds, at most kMaxListed.
  [[nodiscard]] Result<std::vector<std::string>> incident_keys() const;

  // The file that it is in; of several that follow each other the first.
  [[nodiscard]] const std::string& path() const { return database_.path(); }

  using Item = std::variant<Event, Moment, Answer, Sampled, LossCount, RecordedIncident>;
  // The next item in the order in which it all came about; nullopt: that was the last. An error names the table.
  [[nodiscard]] Result<std::optional<Item>> next();

  // What lies at an address of a process, or of the kernel (nullptr); nullopt: it does not say. Apart from next().
  [[nodiscard]] std::optional<Frame> frame_at(const ProcessKey* process, std::uint64_t address) const;
  // It has names at all: recordings of early versions have none.
  [[nodiscard]] bool has_code_names() const { return code_.has_value(); }

  // Apart from next(), in any order with it. All incidents, one at a time, as they were told; one whose JSON is longer
  // than `most_bytes` comes without it.
  [[nodiscard]] Result<void> each_incident(std::size_t most_bytes,
                                           const std::function<void(RecordedIncident)>& take) const;
  [[nodiscard]] Result<RecordingSummary> summary() const;

 private:
  [[nodiscard]] static Result<RecordingReader> chain(std::vector<RecordingReader> parts);
  void join_meta();
  [[nodiscard]] Result<std::optional<std::variant<Event, Moment, Answer, Sampled, LossCount, RecordedIncident>>>
  next_of_following();
  void give_up_memory();
  template <typename Row, typename List>
  [[nodiscard]] Result<std::vector<Row>> list_all(List list) const;
  [[nodiscard]] const RecordingReader& part(std::size_t index) const {
    return index == 0 ? *this : following_[index - 1];
  }
  // Of this file alone.
  [[nodiscard]] Result<std::vector<RecordedCgroup>> own_cgroups() const;
  [[nodiscard]] Result<std::vector<RecordedContainer>> own_containers() const;
  [[nodiscard]] Result<std::vector<std::string>> own_incident_keys() const;
  [[nodiscard]] std::optional<Frame> own_frame_at(const ProcessKey* process, std::uint64_t address) const;
  [[nodiscard]] Result<void> each_own_incident(std::size_t most_bytes,
                                               const std::function<void(RecordedIncident)>& take) const;
  [[nodiscard]] Result<RecordingSummary> own_summary() const;

  struct Cursor {
    Statement statement;
    std::optional<std::int64_t> seq;  // of the row that it stands on; nullopt: none left
  };
  explicit RecordingReader(Database database) : database_(std::move(database)) {}
  [[nodiscard]] Result<void> check() const;
  [[nodiscard]] Result<void> check_schema() const;
  [[nodiscard]] Result<void> read_meta();
  template <typename Row, typename Take>
  [[nodiscard]] Result<std::vector<Row>> list(const char* sql, Take take) const;
  [[nodiscard]] Result<void> open_cursors();
  [[nodiscard]] Result<void> advance(Cursor& cursor);
  [[nodiscard]] Result<Item> take(std::size_t table);
  [[nodiscard]] Result<Event> step_of(const Statement& row);
  [[nodiscard]] Result<TaskInfo> task_of(std::int64_t row);
  [[nodiscard]] Result<std::pair<std::uint64_t, std::uint64_t>> cgroup_of(std::int64_t row);
  [[nodiscard]] Result<std::vector<std::uint64_t>> stack_of(std::int64_t row);

  Database database_;
  std::map<std::string, std::string> meta_;
  std::vector<Cursor> cursors_;
  std::optional<Statement> task_, cgroup_, stack_;
  mutable std::optional<Statement> code_;
  // Bounded; filled as rows are referred to.
  std::unordered_map<std::int64_t, TaskInfo> tasks_;
  std::unordered_map<std::int64_t, std::pair<std::uint64_t, std::uint64_t>> cgroups_;
  std::unordered_map<std::int64_t, std::vector<std::uint64_t>> stacks_;
  std::vector<RecordingReader> following_;  // files that continue this one, in their order
  std::size_t at_ = 0;                      // the part that next() reads
};

}  // namespace memcrest
