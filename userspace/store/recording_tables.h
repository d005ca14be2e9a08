// SPDX-License-Identifier: Apache-2.0
// The inserts of a recording: items to rows, with the rows that they refer to. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/stack.h"
#include "store/database.h"
#include "store/recording_writer.h"
#include "util/result.h"

namespace memcrest {

class RecordingWriter::Tables {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Tables>> create(const std::string& path,
                                                              const std::map<std::string, std::string>& meta);

  [[nodiscard]] Result<void> begin() { return database_.run("BEGIN IMMEDIATE"); }
  [[nodiscard]] Result<void> commit() { return database_.run("COMMIT"); }
  void roll_back();
  [[nodiscard]] Result<void> insert(const Event& event);
  [[nodiscard]] Result<void> insert(const Answer& answer);
  [[nodiscard]] Result<void> insert(const Moment& moment);
  [[nodiscard]] Result<void> insert(const SampleEvent& sample);
  [[nodiscard]] Result<void> insert(const Incident& incident, const std::string& json);
  [[nodiscard]] Result<void> insert(const CgroupRef& cgroup, const Container& container);
  [[nodiscard]] Result<void> insert(const LossCount& loss, std::uint64_t unrecorded);
  [[nodiscard]] Result<void> insert(const std::vector<CodeName>& names);
  // Addresses of the kernel in stacks since the last call, each once.
  [[nodiscard]] std::vector<std::uint64_t> unnamed_kernel();
  [[nodiscard]] Result<void> set_meta(const std::string& key, const std::string& value);
  [[nodiscard]] Result<void> make_one_file();
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] const std::string& path() const { return database_.path(); }

 private:
  explicit Tables(Database database) : database_(std::move(database)) {}
  [[nodiscard]] Result<void> begin_file(const std::map<std::string, std::string>& meta);
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> insert_step(const StepEvent& step);
  [[nodiscard]] Result<std::int64_t> cgroup_row(std::uint64_t cgroup_id, std::uint64_t serial);
  [[nodiscard]] Result<std::int64_t> task_row(const TaskInfo& task);
  [[nodiscard]] Result<std::optional<std::int64_t>> stack_row(const std::vector<std::uint64_t>& addresses);
  [[nodiscard]] Result<std::int64_t> frame_row(const Frame& frame);
  [[nodiscard]] Result<void> follow_cgroup(const CgroupEvent& event);
  [[nodiscard]] Result<std::optional<std::int64_t>> container_row(const Container& container);

  struct CgroupName {
    std::string path;
    std::optional<std::int64_t> container;
  };
  struct ContainerRow {
    std::int64_t row;
    std::string json;
  };
  struct TaskLess {
    bool operator()(const TaskInfo& a, const TaskInfo& b) const;
  };

  Database database_;
  std::optional<Statement> step_, event_, answer_, clock_, sample_, incident_, loss_, meta_, cgroup_, cgroup_path_,
      cgroup_removed_, cgroup_name_, container_, container_update_, task_, stack_, frame_, code_;
  std::int64_t seq_ = 0;
  std::uint64_t boot_ns_ = 0;  // of the last moment
  std::int64_t next_row_ = 1;  // one count for cgroups, containers, tasks and stacks
  // Bounded: forgetting means that a row is written again under another number.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::int64_t> cgroups_;
  std::map<TaskInfo, std::int64_t, TaskLess> tasks_;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::int64_t> stacks_;  // caller and address
  std::unordered_map<std::uint64_t, CgroupName> names_;                    // by cgroup id
  std::unordered_map<std::string, ContainerRow> containers_;               // by container id
  std::map<Frame, std::int64_t> frames_;
  std::unordered_set<std::uint64_t> kernel_seen_;
  std::vector<std::uint64_t> kernel_unnamed_;
};

}  // namespace memcrest
