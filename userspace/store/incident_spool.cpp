// SPDX-License-Identifier: Apache-2.0
#include "store/incident_spool.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "store/database.h"
#include "util/fd.h"

namespace memcrest {
namespace {

// Its pages are read once or written once: a cache of megabytes holds nothing that is asked for again.
constexpr const char* kPragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -256";
constexpr std::int64_t kApplicationId = 0x4d435350;  // "MCSP"
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMaxWaiting = 1000;
constexpr auto kRetry = std::chrono::seconds(1);
constexpr std::uint64_t kLongestAgeing = 600'000'000'000;

constexpr const char* kSchema = R"(
CREATE TABLE incidents (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, unix_ns INTEGER NOT NULL,
                        kind TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX incidents_id ON incidents (id, seq);
CREATE TABLE targets (name TEXT PRIMARY KEY, done INTEGER NOT NULL);
)";
constexpr std::int64_t kSchemaEntries = 5;  // with what SQLite adds

// What the schema may hold, as SQLite keeps it; anything else could make reading or writing run code of the file's.
constexpr const char* kStrangeSchema =
    "SELECT count(*) FROM sqlite_schema WHERE coalesce(rootpage, 0) = 0 OR NOT ((type = 'table' AND name IN "
    "('incidents', 'targets', 'sqlite_sequence')) OR (type = 'index' AND name IN ('incidents_id', "
    "'sqlite_autoindex_targets_1')))";
// Computed columns, defaults and constraints stand in the text alone.
constexpr const char* kChangedSchema =
    "SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL AND (sql LIKE '%CHECK%' OR sql LIKE '%GENERATED%' OR sql "
    "LIKE '%DEFAULT%' OR sql LIKE '% AS %' OR sql LIKE '%REFERENCES%' OR sql LIKE '%WHERE%')";

enum class Found { kSpool, kUnfinished };

// EBADMSG: damaged. Any other error: it is somebody's file, and not to be touched.
Result<Found> check(Database& database) {
  const auto id = database.integer("PRAGMA application_id");
  const auto version = database.integer("PRAGMA user_version");
  if (!id || !version) {
    return std::unexpected(!id ? id.error() : version.error());
  }
  const auto entries = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!entries) {
    return std::unexpected(entries.error());
  }
  if (*id == 0 && *version == 0 && *entries == 0) {
    return Found::kUnfinished;  // killed while it was begun
  }
  if (*id != kApplicationId) {
    return fail("open", database.path(), ENOTSUP, "an SQLite file, but no spool of memcrest: it is left as it is");
  }
  if (*version != kVersion) {
    return fail("open", database.path(), ENOTSUP,
                "a spool of another version of memcrest (format " + std::to_string(*version) + ", this one uses " +
                    std::to_string(kVersion) + "): it is left as it is; move it, or use another directory");
  }
  for (const char* query : {kStrangeSchema, kChangedSchema}) {
    const auto odd = database.integer(query);
    if (!odd) {
      return std::unexpected(odd.error());
    }
    if (*odd != 0 || *entries != kSchemaEntries) {
      return fail("open", database.path(), ENOTSUP,
                  "it has tables, views or triggers that no spool has: it is left as it is");
    }
  }
  auto statement = database.prepare("PRAGMA quick_check(1)");
  if (!statement) {
    return std::unexpected(statement.error());
  }
  const auto row = statement->step();
  if (!row) {
    return std::unexpected(row.error());
  }
  if (const std::string answer = *row ? statement->text(0) : ""; answer != "ok") {
    return fail("open", database.path(), EBADMSG, answer);
  }
  return Found::kSpool;
}

Result<void> lay_out(Database& database) {
  const std::string marks = "PRAGMA application_id = " + std::to_string(kApplicationId) +
                            "; PRAGMA user_version = " + std::to_string(kVersion);
  for (const char* sql : {kPragmas, "BEGIN", kSchema, marks.c_str(), "COMMIT"}) {
    if (auto done = database.run(sql); !done) {
      return done;
    }
  }
  return {};
}

Result<Database> begin(const std::string& path) {
  auto database = Database::create(path);
  if (!database) {
    return database;
  }
  if (auto done = lay_out(*database); !done) {
    return std::unexpected(done.error());
  }
  return database;
}

Result<Database> reopen(const std::string& path) {
  auto database = Database::open_own(path);
  if (!database) {
    return database;
  }
  const auto found = check(*database);
  if (!found) {
    return std::unexpected(found.error());
  }
  auto done = *found == Found::kUnfinished ? lay_out(*database) : database->run(kPragmas);
  if (!done) {
    return std::unexpected(done.error());
  }
  return database;
}

bool is_damage(const Error& error) { return error.code == EBADMSG; }

}  // namespace

struct IncidentSpool::State {
  struct Item {
    std::string id;
    std::int64_t unix_ns;
    std::string kind;
    std::string json;
  };

  State(Database with, const Clock& by)
      : database(std::move(with)), clock(by), opened_boot_ns(by.boot_ns()), opened_unix_ns(by.unix_ns()) {}

  Fd lock_file;
  mutable std::mutex disk;  // of the database
  Database database;
  const Clock& clock;
  const std::uint64_t opened_boot_ns;
  const std::int64_t opened_unix_ns;
  mutable std::mutex mutex;  // of what follows; never held for the disk
  mutable std::condition_variable changed;
  SpoolRetention retention;
  std::deque<Item> waiting;
  bool stop = false;
  Status status;
  std::uint64_t written = 0;
  std::thread writer;

  void run();
  Result<void> write(const std::deque<Item>& items, const SpoolRetention& keep);
  // What the file holds: incidents, and bytes of their JSON.
  struct Kept {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::optional<std::uint64_t> aged_ns;  // when what is too old was last looked for
  };
  Kept now_kept;  // under `disk`
  static Result<std::uint64_t> drop(Statement& statement, Kept& kept);
  Result<void> tidy(const SpoolRetention& keep, Kept& kept);
  Result<void> count();
  Result<void> tell_size();
  [[nodiscard]] std::int64_t believed_unix_ns() const;
  [[nodiscard]] std::int64_t oldest_kept(const SpoolRetention& keep) const {
    return believed_unix_ns() - keep.max_age.count();
  }
};

// A clock that is set a year ahead must not make all that is kept a year old: it is believed as far as time has passed.
std::int64_t IncidentSpool::State::believed_unix_ns() const {
  const auto passed = static_cast<std::int64_t>(clock.boot_ns() - opened_boot_ns);
  return std::min(clock.unix_ns(), opened_unix_ns + passed);
}

// Takes the rows that a statement with RETURNING length(json) deletes off what is kept; how many they were.
Result<std::uint64_t> IncidentSpool::State::drop(Statement& statement, Kept& kept) {
  std::uint64_t rows = 0;
  while (true) {
    const auto row = statement.step();
    if (!row) {
      return std::unexpected(row.error());
    }
    if (!*row) {
      return rows;
    }
    const auto bytes = static_cast<std::uint64_t>(statement.integer(0));
    kept.bytes -= std::min(kept.bytes, bytes);
    kept.rows -= std::min<std::uint64_t>(kept.rows, 1);
    ++rows;
  }
}

// What is kept is counted, not summed up: this comes with every incident, and the file holds megabytes.
Result<void> IncidentSpool::State::tidy(const SpoolRetention& keep, Kept& kept) {
  const auto drop_all = [&](const char* sql, std::int64_t bound) -> Result<std::uint64_t> {
    auto statement = database.prepare(sql);
    return statement ? drop(statement->bind(bound), kept) : std::unexpected(statement.error());
  };
  // Its rows stand in the order of their coming, which is nearly that of their times: all are looked at seldom.
  const std::uint64_t now = clock.boot_ns();
  const auto age = static_cast<std::uint64_t>(keep.max_age.count());
  if (!kept.aged_ns || now - *kept.aged_ns >= std::min(age / 16, kLongestAgeing)) {
    kept.aged_ns = now;
    if (auto done =
            drop_all("DELETE FROM incidents WHERE unix_ns < ? RETURNING length(CAST(json AS BLOB))", oldest_kept(keep));
        !done) {
      return std::unexpected(done.error());
    }
  }
  if (auto done = drop_all("DELETE FROM incidents WHERE seq <= (SELECT max(seq) FROM incidents) - ? RETURNING "
                           "length(CAST(json AS BLOB))",
                           static_cast<std::int64_t>(keep.max_count));
      !done) {
    return std::unexpected(done.error());
  }
  while (kept.bytes > keep.max_bytes) {
    const auto done = drop_all(
        "DELETE FROM incidents WHERE seq IN (SELECT seq FROM incidents ORDER BY seq LIMIT ?) RETURNING "
        "length(CAST(json AS BLOB))",
        1);
    if (!done || *done == 0) {
      return done ? Result<void>{} : std::unexpected(done.error());
    }
  }
  return {};
}

// All of it is read: once, when it is opened.
Result<void> IncidentSpool::State::count() {
  const auto rows = database.integer("SELECT count(*) FROM incidents");
  const auto bytes = database.integer("SELECT coalesce(sum(length(CAST(json AS BLOB))), 0) FROM incidents");
  if (!rows || !bytes) {
    return std::unexpected(!rows ? rows.error() : bytes.error());
  }
  now_kept = {.rows = static_cast<std::uint64_t>(*rows), .bytes = static_cast<std::uint64_t>(*bytes)};
  return tell_size();
}

Result<void> IncidentSpool::State::tell_size() {
  const auto pages = database.integer("PRAGMA page_count");
  const auto page = database.integer("PRAGMA page_size");
  if (!pages || !page) {
    return std::unexpected(!pages ? pages.error() : page.error());
  }
  const std::lock_guard lock(mutex);
  status.incidents = now_kept.rows;
  status.bytes = static_cast<std::uint64_t>(*pages * *page);
  return {};
}

Result<void> IncidentSpool::State::write(const std::deque<Item>& items, const SpoolRetention& keep) {
  const std::lock_guard lock(disk);
  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) {
    return begun;
  }
  Kept kept = now_kept;
  const auto all = [&]() -> Result<void> {
    auto insert = database.prepare("INSERT INTO incidents (id, unix_ns, kind, json) VALUES (?, ?, ?, ?)");
    if (!insert) {
      return std::unexpected(insert.error());
    }
    for (const Item& item : items) {
      if (auto done = insert->bind(item.id).bind(item.unix_ns).bind(item.kind).bind(item.json).run(); !done) {
        return done;
      }
      if (item.unix_ns < oldest_kept(keep)) {
        kept.aged_ns.reset();  // came too late
      }
      ++kept.rows;
      kept.bytes += item.json.size();
    }
    if (auto tidied = tidy(keep, kept); !tidied) {
      return tidied;
    }
    return database.run("COMMIT");
  }();
  if (!all) {
    ignore_result(database.run("ROLLBACK"));
    return all;
  }
  now_kept = kept;
  ignore_result(tell_size());  // it is written: an error would have it written again
  return {};
}

void IncidentSpool::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stop || !waiting.empty(); });
    if (waiting.empty()) {
      return;
    }
    const std::deque<Item> items = waiting;
    const SpoolRetention keep = retention;
    lock.unlock();
    const auto done = write(items, keep);
    lock.lock();
    if (done) {
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(items.size()));
      written += items.size();
      status.last_error.clear();
      changed.notify_all();
      continue;
    }
    ++status.failures;
    status.last_error = done.error().message();
    if (stop) {
      status.lost += waiting.size();
      return;
    }
    changed.wait_for(lock, kRetry, [&] { return stop; });
  }
}

Result<std::unique_ptr<IncidentSpool>> IncidentSpool::open(const std::string& directory,
                                                           const SpoolRetention& retention, const Clock& clock) {
  std::error_code error;
  if (std::filesystem::create_directories(directory, error); error) {
    return fail("create", directory, error.value());
  }
  const std::string path = directory + "/incidents.spool";
  Fd lock_file(::open((path + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_file) {
    return fail_errno("open", path + ".lock");
  }
  if (::flock(lock_file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail("open", path, EBUSY, "another agent works with it");
  }
  std::string moved;
  const auto there = std::filesystem::symlink_status(path, error).type();
  auto database = there == std::filesystem::file_type::not_found ? begin(path) : reopen(path);
  if (!database && is_damage(database.error())) {
    moved = path + ".damaged-" + std::to_string(clock.unix_ns() / 1'000'000'000);
    for (const char* part : {"", "-wal", "-shm"}) {
      std::filesystem::rename(path + part, moved + part, error);
    }
    database = begin(path);
  }
  if (!database) {
    return std::unexpected(database.error());
  }
  auto state = std::make_unique<State>(std::move(*database), clock);
  state->lock_file = std::move(lock_file);
  state->retention = retention;
  state->status.moved_away = moved;
  if (auto counted = state->count(); !counted) {
    return std::unexpected(counted.error());
  }
  state->writer = std::thread([raw = state.get()] { raw->run(); });
  return std::unique_ptr<IncidentSpool>(new IncidentSpool(std::move(state)));
}

IncidentSpool::IncidentSpool(std::unique_ptr<State> state) : state_(std::move(state)) {}

IncidentSpool::~IncidentSpool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->writer.join();
}

void IncidentSpool::add(const Incident& incident, std::string json) {
  const std::lock_guard lock(state_->mutex);
  if (state_->waiting.size() >= kMaxWaiting) {
    ++state_->status.lost;
    return;
  }
  state_->waiting.push_back({incident.id, incident.unix_ns, to_string(incident.kind), std::move(json)});
  state_->changed.notify_all();
}

void IncidentSpool::set(const SpoolRetention& retention) {
  const std::lock_guard lock(state_->mutex);
  state_->retention = retention;
}

bool IncidentSpool::flush(std::chrono::milliseconds longest) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, longest, [&] { return state_->waiting.empty(); });
}

void IncidentSpool::wait(std::chrono::milliseconds longest) const {
  std::unique_lock lock(state_->mutex);
  const std::uint64_t before = state_->written;
  state_->changed.wait_for(lock, longest, [&] { return state_->written != before; });
}

Result<std::vector<SpooledIncident>> IncidentSpool::list(std::size_t limit, std::int64_t before,
                                                         const std::string& kind) const {
  const std::lock_guard lock(state_->disk);
  auto statement = state_->database.prepare(
      "SELECT seq, id, json FROM incidents AS one WHERE (?1 = 0 OR seq < ?1) AND (?2 = '' OR kind = ?2) AND NOT EXISTS "
      "(SELECT 1 FROM incidents WHERE id = one.id AND seq > one.seq) ORDER BY seq DESC LIMIT ?3");
  if (!statement) {
    return std::unexpected(statement.error());
  }
  statement->bind(before).bind(std::string_view(kind)).bind(static_cast<std::int64_t>(limit));
  std::vector<SpooledIncident> out;
  auto row = statement->step();
  for (; row && *row; row = statement->step()) {
    out.push_back({statement->integer(0), statement->text(1), statement->text(2)});
  }
  return row ? Result<std::vector<SpooledIncident>>(std::move(out)) : std::unexpected(row.error());
}

Result<std::optional<SpooledIncident>> IncidentSpool::find(const std::string& id) const {
  const std::lock_guard lock(state_->disk);
  auto statement = state_->database.prepare("SELECT seq, json FROM incidents WHERE id = ? ORDER BY seq DESC LIMIT 1");
  if (!statement) {
    return std::unexpected(statement.error());
  }
  const auto row = statement->bind(std::string_view(id)).step();
  if (!row) {
    return std::unexpected(row.error());
  }
  return *row ? std::optional(SpooledIncident{statement->integer(0), id, statement->text(1)}) : std::nullopt;
}

Result<IncidentSpool::Batch> IncidentSpool::next(const std::string& target, std::size_t limit,
                                                 std::size_t max_bytes) const {
  const std::lock_guard lock(state_->disk);
  auto cursor = state_->database.prepare("SELECT done FROM targets WHERE name = ?");
  auto rows = state_->database.prepare("SELECT seq, id, json FROM incidents WHERE seq > ? ORDER BY seq LIMIT ?");
  if (!cursor || !rows) {
    return std::unexpected(!cursor ? cursor.error() : rows.error());
  }
  const auto known = cursor->bind(std::string_view(target)).step();
  if (!known) {
    return std::unexpected(known.error());
  }
  const std::int64_t done = *known ? cursor->integer(0) : 0;
  cursor->reset();
  rows->bind(done).bind(static_cast<std::int64_t>(limit));
  Batch out;
  std::size_t bytes = 0;
  auto row = rows->step();
  for (; row && *row; row = rows->step()) {
    SpooledIncident one{rows->integer(0), rows->text(1), rows->text(2)};
    bytes += one.json.size();
    if (!out.incidents.empty() && bytes > max_bytes) {
      rows->reset();
      break;
    }
    out.incidents.push_back(std::move(one));
  }
  if (!row) {
    return std::unexpected(row.error());
  }
  if (!out.incidents.empty()) {  // numbers come in a row
    out.missed = static_cast<std::uint64_t>(out.incidents.front().seq - done - 1);
    const auto last = state_->database.integer("SELECT max(seq) FROM incidents");
    out.behind = last ? static_cast<std::uint64_t>(*last - out.incidents.back().seq) : 0;
  }
  return out;
}

Result<void> IncidentSpool::delivered(const std::string& target, std::int64_t seq) {
  const std::lock_guard lock(state_->disk);
  auto statement = state_->database.prepare(
      "INSERT INTO targets (name, done) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET done = ?2");
  return statement ? statement->bind(std::string_view(target)).bind(seq).run() : std::unexpected(statement.error());
}

Result<void> IncidentSpool::subscribe(const std::string& target) {
  const std::lock_guard lock(state_->disk);
  auto statement = state_->database.prepare(
      "INSERT INTO targets (name, done) VALUES (?1, coalesce((SELECT seq FROM sqlite_sequence WHERE name = "
      "'incidents'), "
      "0)) ON CONFLICT (name) DO NOTHING");
  return statement ? statement->bind(std::string_view(target)).run() : std::unexpected(statement.error());
}

IncidentSpool::Status IncidentSpool::status() const {
  const std::lock_guard lock(state_->mutex);
  Status out = state_->status;
  out.waiting = state_->waiting.size();
  return out;
}

}  // namespace memcrest
