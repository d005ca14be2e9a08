// SPDX-License-Identifier: Apache-2.0
#include "identity/runtime_events.h"

#include <algorithm>
#include <utility>

#include "identity/line_reader.h"
#include "identity/runtime_event_json.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// filters={"type":["container"],"event":[...]}: Docker's words and Podman's; a word that a daemon does not know matches
// nothing.
constexpr const char* kTarget =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%2C%22start%22%2C%22die%22%2C"
    "%22died%22%2C%22oom%22%2C%22restart%22%2C%22rename%22%2C%22destroy%22%2C%22remove%22%5D%7D";

constexpr milliseconds kShortestPause{10};
// A stream that held for so long was a good one.
constexpr std::chrono::seconds kSteady{10};
// Of a line that is left out: what does not end by then is no line.
constexpr std::size_t kEndlessLineBytes = std::size_t{4} << 20U;
// About a thousand events, each second.
constexpr std::size_t kBytesPerSecond = std::size_t{1} << 20U;

}  // namespace

// What is known of one connection.
struct RuntimeEvents::Stream {
  LineReader lines{kMaxLineBytes};
  std::uint64_t skipped = 0;
  SteadyClock::time_point second{};  // when the present one began
  std::size_t bytes = 0;             // read in it
};

RuntimeEvents::RuntimeEvents(RuntimeEventsSettings settings, const Clock& clock, Callbacks callbacks)
    : settings_(std::move(settings)),
      clock_(clock),
      callbacks_(std::move(callbacks)),
      engine_(settings_.engine, settings_.socket, settings_.owner),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

RuntimeEvents::~RuntimeEvents() = default;

RuntimeEventsState RuntimeEvents::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void RuntimeEvents::run(const std::stop_token& stop) {
  const milliseconds first = std::max(settings_.first_pause, kShortestPause);
  milliseconds pause = first;
  while (!stop.stop_requested()) {
    const auto start = SteadyClock::now();
    follow_once(stop);
    if (SteadyClock::now() - start >= kSteady) {
      pause = first;
    }
    sleep(pause, stop);
    pause = std::clamp(pause * 2, first, std::max(first, settings_.longest_pause));
  }
}

void RuntimeEvents::follow_once(const std::stop_token& stop) {
  {
    const std::lock_guard lock(mutex_);
    ++state_.attempts;
  }
  Stream stream;
  const auto end = engine_.http().follow(
      kTarget, settings_.head_timeout, [&](std::string_view bytes) { return take(stream, bytes, stop); }, stop);
  const std::lock_guard lock(mutex_);
  state_.no_socket = !end && end.error().code == ENOENT;
  if (!end) {
    state_.last_error = engine_.explain(end.error()).message();
  } else if (state_.connected_since_unix_ns) {
    state_.last_error = engine_.explain({{}, {}, 0, "it ended the stream of events"}).message();
  } else {
    state_.last_error = engine_.refused(*end).message();
  }
  state_.connected_since_unix_ns.reset();
}

Result<void> RuntimeEvents::take(Stream& stream, std::string_view bytes, const std::stop_token& stop) {
  if (bytes.empty()) {
    {
      const std::lock_guard lock(mutex_);
      state_.connected_since_unix_ns = clock_.unix_ns();
      ++state_.connections;
    }
    callbacks_.on_connected();
    return {};
  }
  const auto now = SteadyClock::now();
  if (now - stream.second >= std::chrono::seconds(1)) {
    stream.second = now;
    stream.bytes = 0;
  }
  stream.bytes += bytes.size();
  stream.lines.feed(bytes, [&](std::string_view line) {
    if (!stop.stop_requested()) {
      take_line(line);
    }
  });
  if (const std::uint64_t skipped = stream.lines.skipped(); skipped != stream.skipped) {
    const std::lock_guard lock(mutex_);
    state_.refused += skipped - std::exchange(stream.skipped, skipped);
  }
  if (stream.lines.length() > kEndlessLineBytes) {
    return fail("read", {}, EMSGSIZE, "an event of more than " + std::to_string(kEndlessLineBytes) + " bytes");
  }
  if (stream.bytes > kBytesPerSecond) {
    sleep(std::chrono::ceil<milliseconds>(stream.second + std::chrono::seconds(1) - now), stop);
  }
  return {};
}

void RuntimeEvents::take_line(std::string_view line) {
  const auto event = read_runtime_event(line);
  if (event && !*event) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    ++(event ? state_.events : state_.refused);
  }
  if (event) {
    callbacks_.on_event(**event);
  }
}

void RuntimeEvents::sleep(milliseconds time, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  nothing_.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace memcrest
