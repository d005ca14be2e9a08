// SPDX-License-Identifier: Apache-2.0
// The parts of a recording that are asked for by themselves, without a pass over everything.
#include "store/recording_reader.h"

namespace memcrest {
namespace {

std::uint64_t number(const Statement& row, int column) { return static_cast<std::uint64_t>(row.integer(column)); }

// The one row that `sql` gives, if it gives one.
template <typename Take>
Result<void> first_row(const Database& database, const char* sql, Take take) {
  auto rows = database.prepare(sql);
  if (!rows) {
    return std::unexpected(rows.error());
  }
  const auto there = rows->step();
  if (!there) {
    return std::unexpected(there.error());
  }
  if (*there) {
    take(*rows);
  }
  return {};
}

}  // namespace

Result<RecordingSummary> RecordingReader::own_summary() const {
  RecordingSummary out;
  const auto moment = [](std::optional<Moment>& to) {
    return [&to](const Statement& row) { to = Moment{number(row, 0), row.integer(1)}; };
  };
  const auto count = [](std::uint64_t& to) { return [&to](const Statement& row) { to = number(row, 0); }; };
  Result<void> done =
      first_row(database_, "SELECT boot_ns, unix_ns FROM clock ORDER BY seq LIMIT 1", moment(out.first));
  const auto then = [&](const char* sql, auto take) {
    if (done) {
      done = first_row(database_, sql, take);
    }
  };
  then("SELECT boot_ns, unix_ns FROM clock ORDER BY seq DESC LIMIT 1", moment(out.last));
  then("SELECT count(*) FROM steps", count(out.steps));
  then("SELECT count(*) FROM events", count(out.events));
  then("SELECT count(*) FROM incidents", count(out.incidents));
  then("SELECT critical, bulk, throttled, invalid, untracked, unrecorded FROM loss ORDER BY seq DESC LIMIT 1",
       [&](const Statement& row) {
         out.lost = {number(row, 0), number(row, 1), number(row, 2), number(row, 3), number(row, 4)};
         out.unrecorded = number(row, 5);
       });
  if (meta_.contains("continues") || meta_.contains("excerpt_before_ns")) {
    then("SELECT critical, bulk, throttled, invalid, untracked FROM loss ORDER BY seq LIMIT 1",
         [&](const Statement& row) {
           out.lost = out.lost.since({number(row, 0), number(row, 1), number(row, 2), number(row, 3), number(row, 4)});
         });
  }
  return done ? Result<RecordingSummary>(out) : std::unexpected(done.error());
}

Result<void> RecordingReader::each_own_incident(std::size_t most_bytes,
                                                const std::function<void(RecordedIncident)>& take) const {
  auto rows = database_.prepare(
      "SELECT id, coalesce(\"update\", ''), CASE WHEN length(CAST(json AS BLOB)) <= ?1 THEN json ELSE '' END "
      "FROM incidents ORDER BY seq");
  if (!rows) {
    return std::unexpected(rows.error());
  }
  rows->bind(static_cast<std::uint64_t>(most_bytes));
  auto row = rows->step();
  for (; row && *row; row = rows->step()) {
    take({rows->text(0), rows->text(1), rows->text(2)});
  }
  return row ? Result<void>{} : std::unexpected(row.error());
}

}  // namespace memcrest
