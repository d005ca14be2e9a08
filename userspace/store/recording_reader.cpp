// SPDX-License-Identifier: Apache-2.0
#include "store/recording_reader.h"

#include <algorithm>
#include <limits>

#include "store/event_fields.h"
#include "store/event_json.h"
#include "store/schema.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxKept = 65536;  // rows of one table in memory
constexpr std::size_t kMaxFrames = 256;  // of a stack; more than the kernel gives
constexpr std::size_t kMaxMeta = 256;

// In the order of the cursors.
enum Table : std::size_t { kSteps, kEvents, kClock, kAnswers, kLoss, kIncidents, kSamples };
constexpr std::array<const char*, 7> kQueries{
    "SELECT seq, boot_ns, cgroup, usage_bytes, direction, task, user_stack, kernel_stack, watermark_bytes, "
    "limit_bytes, "
    "quantum_bytes, ancestor, \"foreign\", page_cache, suppressed, oom_events, reclaim_ns, throttle_ns, kind FROM "
    "steps "
    "ORDER BY seq",
    "SELECT seq, kind, json FROM events ORDER BY seq",
    "SELECT seq, boot_ns, unix_ns FROM clock ORDER BY seq",
    "SELECT seq, question, answer FROM answers ORDER BY seq",
    "SELECT seq, critical, bulk, throttled, invalid, untracked FROM loss ORDER BY seq",
    "SELECT seq, id, coalesce(\"update\", ''), json FROM incidents ORDER BY seq",
    "SELECT seq, boot_ns, cgroup_id, usage_bytes FROM samples ORDER BY seq",
};

std::uint64_t number(const Statement& row, int column) { return static_cast<std::uint64_t>(row.integer(column)); }

std::unexpected<Error> damaged(const Database& database, std::string what) {
  return fail("read", database.path(), EBADMSG, std::move(what));
}

template <typename Map>
void make_room(Map& map) {
  if (map.size() >= kMaxKept) {
    map.clear();
  }
}

}  // namespace

Result<RecordingReader> RecordingReader::open(const std::string& path) {
  auto database = Database::open_untrusted(path);
  if (!database) {
    return std::unexpected(database.error());
  }
  RecordingReader out(std::move(*database));
  if (auto good = out.check(); !good) {
    return std::unexpected(good.error());
  }
  if (auto read = out.read_meta(); !read) {
    return std::unexpected(read.error());
  }
  if (auto opened = out.open_cursors(); !opened) {
    return std::unexpected(opened.error());
  }
  return out;
}

Result<void> RecordingReader::check() const {
  const auto id = database_.integer("PRAGMA application_id");
  if (!id) {
    return std::unexpected(id.error());
  }
  if (*id != kRecordingApplicationId) {
    return fail("open", database_.path(), 0, "an SQLite file, but no recording of memcrest");
  }
  const auto version = database_.integer("PRAGMA user_version");
  if (!version) {
    return std::unexpected(version.error());
  }
  if (*version > kRecordingVersion) {
    return fail("open", database_.path(), 0,
                "made by a newer memcrest: format " + std::to_string(*version) + ", this one reads up to " +
                    std::to_string(kRecordingVersion));
  }
  if (*version < 1) {
    return damaged(database_, "it has no format version");
  }
  return check_schema();
}

// What could make reading run code of the file's: views, triggers, virtual tables, columns that are computed.
Result<void> RecordingReader::check_schema() const {
  const auto odd = database_.integer(
      "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR coalesce(rootpage, 0) = 0");
  if (!odd) {
    return std::unexpected(odd.error());
  }
  if (*odd != 0) {
    return damaged(database_, "it has views, triggers or virtual tables, which no recording has");
  }
  for (const char* table : {"meta", "clock", "cgroups", "containers", "tasks", "stacks", "steps", "samples", "events",
                            "answers", "incidents", "loss", "frames", "code"}) {
    auto columns = database_.prepare("PRAGMA table_xinfo(" + std::string(table) + ")");
    if (!columns) {
      return std::unexpected(columns.error());
    }
    auto row = columns->step();
    for (; row && *row; row = columns->step()) {
      if (columns->integer(6) != 0) {
        return damaged(database_,
                       std::string("columns of ") + table + " are computed, which those of no recording are");
      }
    }
    if (!row) {
      return std::unexpected(row.error());
    }
  }
  return {};
}

Result<void> RecordingReader::read_meta() {
  auto rows = database_.prepare("SELECT key, value FROM meta");
  if (!rows) {
    return std::unexpected(rows.error());
  }
  auto row = rows->step();
  for (; row && *row && meta_.size() < kMaxMeta; row = rows->step()) {
    meta_[rows->text(0)] = rows->text(1);
  }
  return row ? Result<void>{} : std::unexpected(row.error());
}

Result<void> RecordingReader::open_cursors() {
  // Recordings of early versions do not tell the kind of memory.
  constexpr std::string_view kKind = ", kind FROM steps";
  const auto with_kind = database_.integer("SELECT count(*) FROM pragma_table_info('steps') WHERE name = 'kind'");
  for (std::string query : kQueries) {
    if (const auto at = query.find(kKind); at != std::string::npos && with_kind && *with_kind == 0) {
      query.replace(at, kKind.size(), ", 'unknown' FROM steps");
    }
    auto statement = database_.prepare(query.c_str());
    if (!statement) {
      return std::unexpected(statement.error());
    }
    cursors_.push_back({std::move(*statement), std::nullopt});
    if (auto first = advance(cursors_.back()); !first) {
      return first;
    }
  }
  const std::array<std::pair<std::optional<Statement>*, const char*>, 3> wanted{{
      {&task_, "SELECT pid, start_ns, tid, ns_pid, uid, cgroup_id, comm, thread_comm FROM tasks WHERE id = ?"},
      {&cgroup_, "SELECT cgroup_id, serial FROM cgroups WHERE id = ?"},
      {&stack_, "SELECT caller, address FROM stacks WHERE id = ?"},
  }};
  for (const auto& [statement, sql] : wanted) {
    auto prepared = database_.prepare(sql);
    if (!prepared) {
      return std::unexpected(prepared.error());
    }
    *statement = std::move(*prepared);
  }
  // Not in recordings of early versions.
  if (auto prepared = database_.prepare(
          "SELECT name, module, build_id, \"offset\", file, line FROM code JOIN frames ON frames.id = code.frame "
          "WHERE pid = ? AND start_ns = ? AND address = ?")) {
    code_ = std::move(*prepared);
  }
  return {};
}

std::optional<Frame> RecordingReader::own_frame_at(const ProcessKey* process, std::uint64_t address) const {
  if (!code_) {
    return std::nullopt;
  }
  const ProcessKey key = process == nullptr ? ProcessKey{} : *process;
  const auto row = code_->bind(key.tgid).bind(key.start_ns).bind(address).step();
  if (!row || !*row) {
    code_->reset();
    return std::nullopt;
  }
  Frame out;
  out.name = code_->text(0);
  out.module = code_->text(1);
  out.build_id = code_->text(2);
  out.offset = number(*code_, 3);
  out.file = code_->text(4);
  out.line = static_cast<std::uint32_t>(code_->integer(5));
  code_->reset();
  return out;
}

template <typename Row, typename Take>
Result<std::vector<Row>> RecordingReader::list(const char* sql, Take take) const {
  auto rows = database_.prepare(sql);
  if (!rows) {
    return std::unexpected(rows.error());
  }
  std::vector<Row> out;
  auto row = rows->step();
  for (; row && *row; row = rows->step()) {
    if (out.size() >= kMaxListed) {
      return damaged(database_, "it lists more cgroups, containers or incidents than any machine has");
    }
    out.push_back(take(*rows));
  }
  return row ? Result<std::vector<Row>>(std::move(out)) : std::unexpected(row.error());
}

Result<std::vector<RecordedCgroup>> RecordingReader::own_cgroups() const {
  return list<RecordedCgroup>(
      "SELECT id, cgroup_id, serial, path, created_ns, removed_ns, container FROM cgroups", [](const Statement& row) {
        const auto time = [&](int column) {
          return row.is_null(column) ? std::nullopt : std::optional(number(row, column));
        };
        const auto container = row.is_null(6) ? std::nullopt : std::optional(row.integer(6));
        return RecordedCgroup{row.integer(0), number(row, 1), number(row, 2), row.text(3), time(4), time(5), container};
      });
}

Result<std::vector<std::string>> RecordingReader::own_incident_keys() const {
  return list<std::string>("SELECT id || ' ' || coalesce(\"update\", '') FROM incidents",
                           [](const Statement& row) { return row.text(0); });
}

Result<std::vector<RecordedContainer>> RecordingReader::own_containers() const {
  return list<RecordedContainer>("SELECT id, runtime, container_id, name, image, pod, namespace, json FROM containers",
                                 [](const Statement& row) {
                                   return RecordedContainer{row.integer(0), row.text(1), row.text(2), row.text(3),
                                                            row.text(4),    row.text(5), row.text(6), row.text(7)};
                                 });
}

Result<void> RecordingReader::advance(Cursor& cursor) {
  const auto row = cursor.statement.step();
  if (!row) {
    return std::unexpected(row.error());
  }
  cursor.seq = *row ? std::optional(cursor.statement.integer(0)) : std::nullopt;
  return {};
}

Result<std::optional<RecordingReader::Item>> RecordingReader::next() {
  const auto earliest = std::ranges::min_element(
      cursors_, {}, [](const Cursor& one) { return one.seq.value_or(std::numeric_limits<std::int64_t>::max()); });
  if (!earliest->seq || at_ > 0) {
    return next_of_following();
  }
  auto item = take(static_cast<std::size_t>(earliest - cursors_.begin()));
  if (!item) {
    return std::unexpected(item.error());
  }
  if (auto moved = advance(*earliest); !moved) {
    return std::unexpected(moved.error());
  }
  return std::optional<Item>(std::move(*item));
}

Result<RecordingReader::Item> RecordingReader::take(std::size_t table) {
  const Statement& row = cursors_[table].statement;
  switch (static_cast<Table>(table)) {
    case kSteps: {
      auto step = step_of(row);
      return step ? Result<Item>(std::move(*step)) : std::unexpected(step.error());
    }
    case kEvents: {
      auto event = event_from_json(row.text(1), row.text(2));
      if (!event) {
        return std::unexpected(event.error().within("read", database_.path()));
      }
      return Item(std::move(*event));
    }
    case kClock:
      return Item(Moment{number(row, 1), row.integer(2)});
    case kAnswers:
      return Item(Answer{row.text(1), row.text(2)});
    case kLoss:
      return Item(LossCount{number(row, 1), number(row, 2), number(row, 3), number(row, 4), number(row, 5)});
    case kIncidents:
      return Item(RecordedIncident{row.text(1), row.text(2), row.text(3)});
    case kSamples:
      return Item(Sampled{{number(row, 1), number(row, 2), number(row, 3)}});
  }
  return damaged(database_, "no such table");
}

Result<Event> RecordingReader::step_of(const Statement& row) {
  StepEvent step;
  step.time_ns = number(row, 1);
  const auto cgroup = cgroup_of(row.integer(2));
  if (!cgroup) {
    return std::unexpected(cgroup.error());
  }
  std::tie(step.cgroup_id, step.serial) = *cgroup;
  step.usage_bytes = number(row, 3);
  step.up = row.integer(4) > 0;
  step.down = row.integer(4) < 0;
  auto task = task_of(row.integer(5));
  if (!task) {
    return std::unexpected(task.error());
  }
  step.task = std::move(*task);
  for (const auto& [column, stack] : {std::pair(6, &step.user_stack), std::pair(7, &step.kernel_stack)}) {
    if (row.is_null(column)) {
      continue;
    }
    auto addresses = stack_of(row.integer(column));
    if (!addresses) {
      return std::unexpected(addresses.error());
    }
    *stack = std::move(*addresses);
  }
  step.watermark_bytes = number(row, 8);
  step.limit_bytes = row.is_null(9) ? std::nullopt : std::optional(number(row, 9));
  step.quantum_bytes = number(row, 10);
  step.ancestor = row.integer(11) != 0;
  step.foreign = row.integer(12) != 0;
  step.page_cache = row.integer(13) != 0;
  step.suppressed = number(row, 14);
  step.oom_events = number(row, 15);
  step.reclaim_ns = number(row, 16);
  step.throttle_ns = number(row, 17);
  const auto& kinds = EnumNames<MemoryKind>::kNames;
  const auto kind = std::ranges::find(kinds, row.text(18));
  step.kind = kind == kinds.end() ? MemoryKind::kUnknown : static_cast<MemoryKind>(kind - kinds.begin());
  return Event(std::move(step));
}

Result<TaskInfo> RecordingReader::task_of(std::int64_t row) {
  if (const auto found = tasks_.find(row); found != tasks_.end()) {
    return found->second;
  }
  const auto there = task_->bind(row).step();
  if (!there) {
    return std::unexpected(there.error());
  }
  if (!*there) {
    return damaged(database_, "a step's task is missing");
  }
  const auto small = [&](int column) { return static_cast<std::uint32_t>(task_->integer(column)); };
  TaskInfo out;
  out.process = {small(0), number(*task_, 1)};
  out.tid = small(2);
  out.ns_tgid = small(3);
  out.uid = small(4);
  out.cgroup_id = number(*task_, 5);
  out.comm = task_->text(6);
  out.thread_comm = task_->text(7);
  task_->reset();
  make_room(tasks_);
  return tasks_.emplace(row, std::move(out)).first->second;
}

Result<std::pair<std::uint64_t, std::uint64_t>> RecordingReader::cgroup_of(std::int64_t row) {
  if (const auto found = cgroups_.find(row); found != cgroups_.end()) {
    return found->second;
  }
  const auto there = cgroup_->bind(row).step();
  if (!there) {
    return std::unexpected(there.error());
  }
  if (!*there) {
    return damaged(database_, "a step's cgroup is missing");
  }
  const std::pair out(number(*cgroup_, 0), number(*cgroup_, 1));
  cgroup_->reset();
  make_room(cgroups_);
  return cgroups_.emplace(row, out).first->second;
}

// Innermost first. A file can claim that a frame is its own caller.
Result<std::vector<std::uint64_t>> RecordingReader::stack_of(std::int64_t row) {
  if (const auto found = stacks_.find(row); found != stacks_.end()) {
    return found->second;
  }
  std::vector<std::uint64_t> out;
  std::optional<std::int64_t> at = row;
  while (at) {
    const auto there = stack_->bind(*at).step();
    if (!there) {
      return std::unexpected(there.error());
    }
    if (!*there || out.size() >= kMaxFrames) {
      stack_->reset();
      return damaged(database_, *there ? "a stack does not end" : "a frame of a stack is missing");
    }
    out.push_back(number(*stack_, 1));
    at = stack_->is_null(0) ? std::nullopt : std::optional(stack_->integer(0));
    stack_->reset();
  }
  make_room(stacks_);
  return stacks_.emplace(row, std::move(out)).first->second;
}

}  // namespace memcrest
