// SPDX-License-Identifier: Apache-2.0
// The tables of a recording: docs/recording.md tells what they mean.
#pragma once

#include <cstdint>

namespace memcrest {

inline constexpr std::int32_t kRecordingApplicationId = 0x4d435231;  // "MCR1"
// Raised when a reader of the version before would misread what is written; new columns and tables are no reason.
inline constexpr std::int32_t kRecordingVersion = 1;

// One row of `seq` numbers goes through steps, samples, events, clock, answers, loss and incidents: their order is the
// order in which it all came about.
inline constexpr const char* kRecordingSchema = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE clock (seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, unix_ns INTEGER NOT NULL);
CREATE TABLE cgroups (
  id INTEGER PRIMARY KEY, cgroup_id INTEGER NOT NULL, serial INTEGER NOT NULL, path TEXT, created_ns INTEGER,
  removed_ns INTEGER, container INTEGER REFERENCES containers (id));
CREATE TABLE containers (
  id INTEGER PRIMARY KEY, runtime TEXT NOT NULL, container_id TEXT, name TEXT, image TEXT, pod TEXT, namespace TEXT,
  json TEXT NOT NULL);
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, start_ns INTEGER NOT NULL, tid INTEGER NOT NULL, ns_pid INTEGER NOT NULL,
  uid INTEGER NOT NULL, cgroup_id INTEGER NOT NULL, comm, thread_comm);
CREATE TABLE stacks (
  id INTEGER PRIMARY KEY, caller INTEGER REFERENCES stacks (id), address INTEGER NOT NULL);
CREATE TABLE frames (
  id INTEGER PRIMARY KEY, name, module, build_id TEXT, "offset" INTEGER NOT NULL, file, line INTEGER NOT NULL);
CREATE TABLE code (
  pid INTEGER NOT NULL, start_ns INTEGER NOT NULL, address INTEGER NOT NULL,
  frame INTEGER NOT NULL REFERENCES frames (id), PRIMARY KEY (pid, start_ns, address)) WITHOUT ROWID;
CREATE TABLE steps (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, cgroup INTEGER NOT NULL REFERENCES cgroups (id),
  usage_bytes INTEGER NOT NULL, direction INTEGER NOT NULL, task INTEGER NOT NULL REFERENCES tasks (id),
  user_stack INTEGER REFERENCES stacks (id), kernel_stack INTEGER REFERENCES stacks (id),
  watermark_bytes INTEGER NOT NULL, limit_bytes INTEGER, quantum_bytes INTEGER NOT NULL, ancestor INTEGER NOT NULL,
  "foreign" INTEGER NOT NULL, page_cache INTEGER NOT NULL, suppressed INTEGER NOT NULL, oom_events INTEGER NOT NULL,
  reclaim_ns INTEGER NOT NULL, throttle_ns INTEGER NOT NULL, kind TEXT NOT NULL);
CREATE TABLE samples (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, cgroup_id INTEGER NOT NULL, usage_bytes INTEGER NOT NULL);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, kind TEXT NOT NULL, cgroup_id INTEGER, pid INTEGER,
  json TEXT NOT NULL);
CREATE TABLE answers (seq INTEGER PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL);
CREATE TABLE incidents (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL, "update" TEXT, boot_ns INTEGER NOT NULL, unix_ns INTEGER NOT NULL,
  kind TEXT NOT NULL, container_id TEXT, container_name TEXT, image TEXT, cgroup_path TEXT, json TEXT NOT NULL);
CREATE TABLE loss (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, critical INTEGER NOT NULL, bulk INTEGER NOT NULL, throttled INTEGER NOT NULL,
  invalid INTEGER NOT NULL, untracked INTEGER NOT NULL, unrecorded INTEGER NOT NULL);
)sql";

}  // namespace memcrest
