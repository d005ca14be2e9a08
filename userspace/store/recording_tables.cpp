// SPDX-License-Identifier: Apache-2.0
#include "store/recording_tables.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>
#include <tuple>

#include "store/container_fields.h"
#include "store/event_json.h"
#include "store/event_subject.h"
#include "store/schema.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxCgroups = 65536;
constexpr std::size_t kMaxTasks = 65536;
constexpr std::size_t kMaxStackNodes = 262'144;
constexpr std::size_t kMaxContainers = 16384;
constexpr std::size_t kMaxFrameRows = 16384;
constexpr std::size_t kMaxKernelAddresses = 16384;
constexpr std::chrono::seconds kWaitForReaders{5};

std::uint64_t size_of(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::optional<std::string_view> known(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

}  // namespace

bool RecordingWriter::Tables::TaskLess::operator()(const TaskInfo& a, const TaskInfo& b) const {
  const auto key = [](const TaskInfo& t) {
    return std::tie(t.process, t.tid, t.ns_tgid, t.uid, t.cgroup_id, t.comm, t.thread_comm);
  };
  return key(a) < key(b);
}

Result<std::unique_ptr<RecordingWriter::Tables>> RecordingWriter::Tables::create(
    const std::string& path, const std::map<std::string, std::string>& meta) {
  auto database = Database::create(path);
  if (!database) {
    return std::unexpected(database.error());
  }
  std::unique_ptr<Tables> out(new Tables(std::move(*database)));
  if (auto begun = out->begin_file(meta); !begun) {
    out.reset();
    for (const char* part : {"", "-wal", "-shm", "-journal"}) {
      ::unlink((path + part).c_str());
    }
    return std::unexpected(begun.error());
  }
  return out;
}

Result<void> RecordingWriter::Tables::begin_file(const std::map<std::string, std::string>& meta) {
  const std::string head =
      "PRAGMA page_size = 8192; PRAGMA application_id = " + std::to_string(kRecordingApplicationId) +
      "; PRAGMA user_version = " + std::to_string(kRecordingVersion) +
      "; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 8388608; "
      "PRAGMA cache_size = -512; BEGIN;";
  for (const char* sql : {head.c_str(), kRecordingSchema}) {
    if (auto done = database_.run(sql); !done) {
      return done;
    }
  }
  if (auto ready = prepare(); !ready) {
    return ready;
  }
  for (const auto& [key, value] : meta) {
    if (auto done = set_meta(key, value); !done) {
      return done;
    }
  }
  if (auto done = database_.run("COMMIT"); !done) {
    return done;
  }
  // So that the file alone is a recording, be it an empty one, whatever becomes of its log.
  return database_.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> RecordingWriter::Tables::prepare() {
  const std::array<std::pair<std::optional<Statement>*, const char*>, 18> wanted{{
      {&step_, "INSERT INTO steps VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"},
      {&event_, "INSERT INTO events VALUES (?,?,?,?,?,?)"},
      {&answer_, "INSERT INTO answers VALUES (?,?,?)"},
      {&clock_, "INSERT INTO clock VALUES (?,?,?)"},
      {&sample_, "INSERT INTO samples VALUES (?,?,?,?)"},
      {&incident_, "INSERT INTO incidents VALUES (?,?,?,?,?,?,?,?,?,?,?)"},
      {&loss_, "INSERT INTO loss VALUES (?,?,?,?,?,?,?,?)"},
      {&meta_, "INSERT OR REPLACE INTO meta VALUES (?,?)"},
      {&cgroup_, "INSERT INTO cgroups (id, cgroup_id, serial, path, container) VALUES (?,?,?,?,?)"},
      {&cgroup_path_, "UPDATE cgroups SET path = ?, created_ns = ? WHERE id = ?"},
      {&cgroup_removed_, "UPDATE cgroups SET removed_ns = ? WHERE id = ?"},
      {&cgroup_name_, "UPDATE cgroups SET path = ?, container = ? WHERE id = ?"},
      {&container_, "INSERT INTO containers VALUES (?,?,?,?,?,?,?,?)"},
      {&container_update_, "UPDATE containers SET name = ?, image = ?, pod = ?, namespace = ?, json = ? WHERE id = ?"},
      {&task_, "INSERT INTO tasks VALUES (?,?,?,?,?,?,?,?,?)"},
      {&stack_, "INSERT INTO stacks VALUES (?,?,?)"},
      {&frame_, "INSERT INTO frames VALUES (?,?,?,?,?,?,?)"},
      // What is told later knows no more.
      {&code_, "INSERT OR IGNORE INTO code VALUES (?,?,?,?)"},
  }};
  for (const auto& [statement, sql] : wanted) {
    auto prepared = database_.prepare(sql);
    if (!prepared) {
      return std::unexpected(prepared.error());
    }
    *statement = std::move(*prepared);
  }
  return {};
}

// The rows written since begin() are gone, and with them what refers to them.
void RecordingWriter::Tables::roll_back() {
  ignore_result(database_.run("ROLLBACK"));
  cgroups_.clear();
  tasks_.clear();
  stacks_.clear();
  names_.clear();
  containers_.clear();
  frames_.clear();
}

Result<void> RecordingWriter::Tables::set_meta(const std::string& key, const std::string& value) {
  return meta_->bind(key).bind(value).run();
}

Result<std::int64_t> RecordingWriter::Tables::cgroup_row(std::uint64_t cgroup_id, std::uint64_t serial) {
  if (cgroups_.size() >= kMaxCgroups) {
    cgroups_.clear();
  }
  const auto [found, is_new] = cgroups_.try_emplace({cgroup_id, serial}, next_row_);
  if (is_new) {
    cgroup_->bind(next_row_++).bind(cgroup_id).bind(serial);
    const auto name = names_.find(cgroup_id);
    const bool named = name != names_.end();
    cgroup_->bind(named ? known(name->second.path) : std::nullopt);
    cgroup_->bind(named ? name->second.container : std::nullopt);
    if (auto done = cgroup_->run(); !done) {
      return std::unexpected(done.error());
    }
  }
  return found->second;
}

Result<std::int64_t> RecordingWriter::Tables::task_row(const TaskInfo& task) {
  if (tasks_.size() >= kMaxTasks) {
    tasks_.clear();
  }
  const auto [found, is_new] = tasks_.try_emplace(task, next_row_);
  if (is_new) {
    auto done = task_->bind(next_row_++)
                    .bind(task.process.tgid)
                    .bind(task.process.start_ns)
                    .bind(task.tid)
                    .bind(task.ns_tgid)
                    .bind(task.uid)
                    .bind(task.cgroup_id)
                    .bind(task.comm)
                    .bind(task.thread_comm)
                    .run();
    if (!done) {
      return std::unexpected(done.error());
    }
  }
  return found->second;
}

// Stacks share their outer frames: each row is a frame and the number of its caller's row.
Result<std::optional<std::int64_t>> RecordingWriter::Tables::stack_row(const std::vector<std::uint64_t>& addresses) {
  if (stacks_.size() >= kMaxStackNodes) {
    stacks_.clear();
  }
  std::optional<std::int64_t> caller;
  for (auto address = addresses.rbegin(); address != addresses.rend(); ++address) {
    const auto [found, is_new] = stacks_.try_emplace({caller.value_or(0), *address}, next_row_);
    if (is_new) {
      if (auto done = stack_->bind(next_row_++).bind(caller).bind(*address).run(); !done) {
        return std::unexpected(done.error());
      }
    }
    caller = found->second;
  }
  return caller;
}

Result<void> RecordingWriter::Tables::insert_step(const StepEvent& step) {
  const auto cgroup = cgroup_row(step.cgroup_id, step.serial);
  if (!cgroup) {
    return std::unexpected(cgroup.error());
  }
  const auto task = task_row(step.task);
  if (!task) {
    return std::unexpected(task.error());
  }
  const auto user = stack_row(step.user_stack);
  if (!user) {
    return std::unexpected(user.error());
  }
  const auto kernel = stack_row(step.kernel_stack);
  if (!kernel) {
    return std::unexpected(kernel.error());
  }
  for (const std::uint64_t address : step.kernel_stack) {
    if (kernel_seen_.size() < kMaxKernelAddresses && kernel_seen_.insert(address).second) {
      kernel_unnamed_.push_back(address);
    }
  }
  return step_->bind(seq_++)
      .bind(step.time_ns)
      .bind(*cgroup)
      .bind(step.usage_bytes)
      .bind(static_cast<std::int32_t>(step.up) - static_cast<std::int32_t>(step.down))
      .bind(*task)
      .bind(*user)
      .bind(*kernel)
      .bind(step.watermark_bytes)
      .bind(step.limit_bytes)
      .bind(step.quantum_bytes)
      .bind(static_cast<std::int32_t>(step.ancestor))
      .bind(static_cast<std::int32_t>(step.foreign))
      .bind(static_cast<std::int32_t>(step.page_cache))
      .bind(step.suppressed)
      .bind(step.oom_events)
      .bind(step.reclaim_ns)
      .bind(step.throttle_ns)
      .bind(std::string(EnumNames<MemoryKind>::kNames[static_cast<std::size_t>(step.kind)]))
      .run();
}

std::vector<std::uint64_t> RecordingWriter::Tables::unnamed_kernel() { return std::exchange(kernel_unnamed_, {}); }

Result<std::int64_t> RecordingWriter::Tables::frame_row(const Frame& frame) {
  if (frames_.size() >= kMaxFrameRows) {
    frames_.clear();
  }
  const auto [found, is_new] = frames_.try_emplace(frame, next_row_);
  if (is_new) {
    auto done = frame_->bind(next_row_++)
                    .bind(known(frame.name))
                    .bind(known(frame.module))
                    .bind(known(frame.build_id))
                    .bind(frame.offset)
                    .bind(known(frame.file))
                    .bind(frame.line)
                    .run();
    if (!done) {
      return std::unexpected(done.error());
    }
  }
  return found->second;
}

Result<void> RecordingWriter::Tables::insert(const std::vector<CodeName>& names) {
  for (const CodeName& name : names) {
    const auto frame = frame_row(name.frame);
    if (!frame) {
      return std::unexpected(frame.error());
    }
    if (auto done = code_->bind(name.process.tgid).bind(name.process.start_ns).bind(name.address).bind(*frame).run();
        !done) {
      return done;
    }
  }
  return {};
}

Result<void> RecordingWriter::Tables::follow_cgroup(const CgroupEvent& event) {
  const auto row = cgroup_row(event.cgroup_id, event.serial);
  if (!row) {
    return std::unexpected(row.error());
  }
  if (event.created && !event.path_cut) {
    return cgroup_path_->bind(event.path).bind(event.time_ns).bind(*row).run();
  }
  if (event.created) {
    return {};
  }
  // Its row stays known: whose it was may be told only after its end.
  return cgroup_removed_->bind(event.time_ns).bind(*row).run();
}

Result<void> RecordingWriter::Tables::insert(const Event& event) {
  if (const auto* step = std::get_if<StepEvent>(&event)) {
    return insert_step(*step);
  }
  if (const auto* cgroup = std::get_if<CgroupEvent>(&event)) {
    if (auto done = follow_cgroup(*cgroup); !done) {
      return done;
    }
  }
  const EventSubject whom = subject_of(event);
  return event_->bind(seq_++)
      .bind(time_of(event))
      .bind(kind_of(event))
      .bind(whom.cgroup_id)
      .bind(whom.pid)
      .bind(event_to_json(event))
      .run();
}

Result<void> RecordingWriter::Tables::insert(const Answer& answer) {
  return answer_->bind(seq_++).bind(answer.question).bind(answer.text).run();
}

Result<void> RecordingWriter::Tables::insert(const Moment& moment) {
  boot_ns_ = moment.boot_ns;
  return clock_->bind(seq_++).bind(moment.boot_ns).bind(moment.unix_ns).run();
}

Result<void> RecordingWriter::Tables::insert(const SampleEvent& sample) {
  return sample_->bind(seq_++).bind(sample.time_ns).bind(sample.cgroup_id).bind(sample.usage_bytes).run();
}

// nullopt: a cgroup of no container, or of one that nobody knows.
Result<std::optional<std::int64_t>> RecordingWriter::Tables::container_row(const Container& container) {
  if (container.id.empty()) {
    return std::nullopt;
  }
  std::string json = FieldsWriter::json_of(container).dump();
  if (containers_.size() >= kMaxContainers) {
    containers_.clear();
  }
  const auto [found, is_new] = containers_.try_emplace(container.id, next_row_, std::string());
  if (found->second.json == json) {
    return found->second.row;
  }
  Statement& change = is_new ? *container_ : *container_update_;
  if (is_new) {
    change.bind(next_row_++).bind(to_string(container.runtime)).bind(container.id);
  }
  change.bind(known(container.name)).bind(known(container.image));
  change.bind(container.pod ? known(container.pod->name) : std::nullopt);
  change.bind(container.pod ? known(container.pod->name_space) : std::nullopt).bind(json);
  if (!is_new) {
    change.bind(found->second.row);
  }
  if (auto done = change.run(); !done) {
    return std::unexpected(done.error());
  }
  found->second.json = std::move(json);
  return found->second.row;
}

Result<void> RecordingWriter::Tables::insert(const CgroupRef& cgroup, const Container& container) {
  const auto row = container_row(container);
  if (!row) {
    return std::unexpected(row.error());
  }
  if (names_.size() >= kMaxCgroups) {
    names_.clear();
  }
  names_[cgroup.id] = {cgroup.path, *row};
  for (auto at = cgroups_.lower_bound({cgroup.id, 0}); at != cgroups_.end() && at->first.first == cgroup.id; ++at) {
    if (auto done = cgroup_name_->bind(known(cgroup.path)).bind(*row).bind(at->second).run(); !done) {
      return done;
    }
  }
  return {};
}

Result<void> RecordingWriter::Tables::insert(const Incident& incident, const std::string& json) {
  if (auto done = insert(incident.cgroup, incident.container); !done) {
    return done;
  }
  return incident_->bind(seq_++)
      .bind(incident.id)
      .bind(known(incident.update))
      .bind(incident.boot_ns)
      .bind(incident.unix_ns)
      .bind(to_string(incident.kind))
      .bind(known(incident.container.id))
      .bind(known(incident.container.name))
      .bind(known(incident.container.image))
      .bind(known(incident.cgroup.path))
      .bind(json)
      .run();
}

Result<void> RecordingWriter::Tables::insert(const LossCount& loss, std::uint64_t unrecorded) {
  return loss_->bind(seq_++)
      .bind(boot_ns_)
      .bind(loss.critical)
      .bind(loss.bulk)
      .bind(loss.throttled)
      .bind(loss.invalid)
      .bind(loss.untracked)
      .bind(unrecorded)
      .run();
}

// The log goes into the file, which can then be copied, and read where nothing may be written.
Result<void> RecordingWriter::Tables::make_one_file() {
  for (auto* statement :
       {&step_, &event_, &answer_, &clock_, &sample_, &incident_, &loss_, &meta_, &cgroup_, &cgroup_path_,
        &cgroup_removed_, &cgroup_name_, &container_, &container_update_, &task_, &stack_, &frame_, &code_}) {
    statement->reset();
  }
  // SQLite waits for readers while it moves the log, not for those who come before the mode changes.
  const auto until = std::chrono::steady_clock::now() + kWaitForReaders;
  Result<void> moved;
  while (!(moved = database_.run("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")) &&
         moved.error().code == EBUSY && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (!moved) {
    Error error = moved.error();
    error.detail += "; somebody reads it: it is whole only together with " + path() + "-wal";
    return std::unexpected(std::move(error));
  }
  return {};
}

std::uint64_t RecordingWriter::Tables::bytes() const { return size_of(path()) + size_of(path() + "-wal"); }

}  // namespace memcrest
