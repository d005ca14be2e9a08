// SPDX-License-Identifier: Apache-2.0
// The way into libmemcrest: a Monitor watches memory cgroups and hands out incidents; what becomes of them is the
// caller's. docs/library.md tells more.
//
// Threads: one thread opens, turns, finishes and destroys a Monitor, and the callbacks run on it, inside turn() and
// finish(). The Monitor has threads of its own that ask runtimes for names; they call nothing of the caller's. Several
// Monitors may live in one process, each with its thread.
// Ownership: a Monitor owns all that it opens (BPF programs, descriptors, threads) and gives it back when it is
// destroyed. What callbacks are given lives until they return: copy what is to stay. Errors: no exceptions are thrown.
// What fails is returned, with a text for people. An exception of a callback passes through turn(); the Monitor may
// only be destroyed after that. Text in incidents is raw: names are what containers and processes chose. Escape it for
// where it goes; to_json does.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "memcrest/event.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/surroundings.h"

namespace memcrest {

struct MonitorError {
  enum class Kind {
    kPrivileges,  // or the kernel: this machine cannot be watched with these tiers
    kSettings,    // a value of MonitorOptions cannot be
    kSystem,      // a file, memory, a descriptor
  };
  Kind kind = Kind::kSystem;
  std::string message;
};

struct MonitorOptions {
  // Bytes between two records of one cgroup; unset: limit / 128, at least 1 MiB.
  std::optional<std::uint64_t> step_bytes;
  // A burst: at least so much (unset: 5 % of the limit, at least 16 MiB), within this time.
  std::optional<std::uint64_t> burst_min_bytes;
  std::chrono::nanoseconds burst_window = std::chrono::seconds(1);
  // Who is asked for names. Empty: not asked.
  std::string docker_socket = "/var/run/docker.sock";
  std::string podman_socket = "/run/podman/podman.sock";
  bool users_podman = true;
  bool bundles = true;      // the records that runtimes keep on disk
  bool kubernetes = false;  // in a pod: the cluster's API, with the pod's service account
  // "sampled" and "polling" need no privileges; unset: the best that the kernel allows.
  std::optional<std::string> charge_tier;
  std::optional<std::string> oom_tier;
  // Locked memory for what comes from the kernel; powers of two.
  std::uint64_t critical_ring_bytes = 1U << 20U;
  std::uint64_t bulk_ring_bytes = 2U << 20U;
  // Programs without their arguments. In any case what looks like a secret is masked.
  bool redact_arguments = false;
  // Each event as it comes, before the incidents that follow from it. Unset: nobody looks.
  std::function<void(std::span<const Event>)> observe;
};

class Monitor {
 public:
  // Called for each incident as it is told, and once more when more is known of it: `Incident::id` is then the same,
  // and `Incident::update` says why.
  using Sink = std::function<void(const Incident&)>;

  // Watches this machine. The hooks are attached when this returns, some 100 ms later: an OOM from then on is not
  // missed. Needs root, or the capabilities of docs/security.md.
  [[nodiscard]] static std::expected<std::unique_ptr<Monitor>, MonitorError> open(const MonitorOptions& options,
                                                                                  Sink sink);
  // The same detectors over the caller's own events. Both must outlive the Monitor. Of the options only those of bursts
  // and `observe` count; tiers are names for what made the events.
  [[nodiscard]] static std::unique_ptr<Monitor> over(EventSource& source, Surroundings& around,
                                                     const MonitorOptions& options, Sink sink);

  virtual ~Monitor() = default;

  // Waits at most `longest` for something to happen, handles it, tells what is finished. False: the source has ended.
  // To be called again and again: while nobody does, the rings fill, and what they lose is counted.
  virtual bool turn(std::chrono::milliseconds longest) = 0;
  // Tells what is still open or waits for a name. Call once, last.
  virtual void finish() = 0;

  // What is known to be missing so far. Any thread.
  [[nodiscard]] virtual LossCount loss() const = 0;
  // The hooks in use: "lru+state", "mark_victim" ...
  [[nodiscard]] virtual std::string charge_tier() const = 0;
  [[nodiscard]] virtual std::string oom_tier() const = 0;

 protected:
  Monitor() = default;
};

// One line without the newline, valid UTF-8 and valid JSON whatever bytes names hold: the schema
// "memcrest.incident.v1". Any thread.
[[nodiscard]] std::string to_json(const Incident& incident);

// Of the library, as "0.1.0".
[[nodiscard]] const char* version();

}  // namespace memcrest
