// SPDX-License-Identifier: Apache-2.0
// Follows the event stream of one runtime's HTTP API (Docker's, and Podman's, which speaks the same) on a thread of its
// own, through restarts of the daemon. The daemon is not trusted: memory is bounded, a flood is read slowly, so that
// the daemon has to wait, and a stream that breaks off is not taken up again at once.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "identity/engine_http.h"
#include "identity/runtime_event.h"
#include "memcrest/clock.h"

namespace memcrest {

struct RuntimeEventsSettings {
  std::string engine = "Docker";  // for a person
  std::string socket;
  std::optional<uid_t> owner;  // see UnixHttp
  std::chrono::milliseconds head_timeout{5000};
  // Between two attempts, doubled each time; after a stream that held for ten seconds it begins anew.
  std::chrono::milliseconds first_pause{200};
  std::chrono::milliseconds longest_pause{5000};
};

// For a person, and for metrics.
struct RuntimeEventsState {
  std::optional<std::int64_t> connected_since_unix_ns;  // nullopt: not connected
  std::string last_error;                               // why not, or why not before, as it came: escape it to show it
  bool no_socket = false;                               // that is why: there is none
  std::uint64_t connections = 0;
  std::uint64_t attempts = 0;
  std::uint64_t events = 0;   // given to the callback
  std::uint64_t refused = 0;  // lines that were too long, not JSON, or without an id
};

class RuntimeEvents {
 public:
  static constexpr std::size_t kMaxLineBytes = std::size_t{64} << 10U;

  struct Callbacks {
    std::function<void(const RuntimeEvent&)> on_event;
    // A stream has begun, the first or one more: what happened before was not seen.
    std::function<void()> on_connected = [] {};
  };

  // Both are called on the thread, one at a time, and keep the stream waiting: they should only note what they are
  // told. `clock` must outlive this.
  RuntimeEvents(RuntimeEventsSettings settings, const Clock& clock, Callbacks callbacks);
  ~RuntimeEvents();  // ends the thread, within a callback's time
  RuntimeEvents(const RuntimeEvents&) = delete;
  RuntimeEvents& operator=(const RuntimeEvents&) = delete;

  [[nodiscard]] RuntimeEventsState state() const;  // any thread

 private:
  struct Stream;

  void run(const std::stop_token& stop);
  void follow_once(const std::stop_token& stop);
  Result<void> take(Stream& stream, std::string_view bytes, const std::stop_token& stop);
  void take_line(std::string_view line);
  void sleep(std::chrono::milliseconds time, const std::stop_token& stop);

  const RuntimeEventsSettings settings_;
  const Clock& clock_;
  const Callbacks callbacks_;
  const EngineHttp engine_;

  mutable std::mutex mutex_;  // for state_
  RuntimeEventsState state_;
  std::condition_variable_any nothing_;  // never notified: sleeps that a stop ends
  std::jthread thread_;                  // last: it uses all of the above
};

}  // namespace memcrest
