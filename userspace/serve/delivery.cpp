// SPDX-License-Identifier: Apache-2.0
#include "serve/delivery.h"

#include <algorithm>
#include <mutex>
#include <random>
#include <stop_token>

namespace memcrest {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxBatchBytes = 2U << 20U;
constexpr milliseconds kLook{500};  // how soon a stop is seen while there is nothing to send

void rest(const StopEvent& stop, milliseconds time) {
  ignore_result(stop.sleep_until(std::chrono::steady_clock::now() + time));
}

}  // namespace

struct Delivery::State {
  State(IncidentSpool& with, std::unique_ptr<Receiver> to, const DeliveryPace& at)
      : spool(with), receiver(std::move(to)), pace(at) {
    status.name = receiver->name();
  }

  IncidentSpool& spool;
  std::unique_ptr<Receiver> receiver;
  DeliveryPace pace;
  mutable std::mutex mutex;  // of status; never held while something is sent
  TargetStatus status;
  unsigned failures = 0;  // in a row
  bool one_by_one = false;
  std::minstd_rand random{std::random_device{}()};
  std::jthread thread;

  void run(const std::stop_token& stop);
  bool turn(const StopEvent& stop);
  void take(const IncidentSpool::Batch& batch, const Delivered& done);
  void failed(const std::string& why);
  [[nodiscard]] milliseconds pause(const std::optional<std::chrono::seconds>& asked);
};

void Delivery::State::failed(const std::string& why) {
  const std::lock_guard lock(mutex);
  ++status.failures;
  status.last_error = why;
}

// Doubled each time, and shaken, so that the agents of a fleet do not come back at once.
milliseconds Delivery::State::pause(const std::optional<std::chrono::seconds>& asked) {
  const auto doubled = std::min(pace.longest_pause, pace.first_pause * (1 << std::min(failures, 16U)));
  ++failures;
  const auto shaken = doubled * std::uniform_int_distribution<int>(75, 125)(random) / 100;
  return asked ? std::max<milliseconds>(*asked, shaken) : shaken;
}

void Delivery::State::take(const IncidentSpool::Batch& batch, const Delivered& done) {
  const std::lock_guard lock(mutex);
  const std::uint64_t count = batch.incidents.size();
  const std::uint64_t refused = done.outcome == Outcome::kNever ? count : std::min(count, done.refused);
  status.sent += count - refused;
  status.dropped += refused + batch.missed;
  status.queue = batch.behind;
  status.last_error = done.why;
}

// False: nothing was to be done.
bool Delivery::State::turn(const StopEvent& stop) {
  const std::size_t limit = one_by_one ? 1 : receiver->batch();
  const auto batch = spool.next(receiver->name(), limit, kMaxBatchBytes);
  if (!batch) {
    failed(batch.error().message());
    rest(stop, pause({}));
    return true;
  }
  if (batch->incidents.empty()) {
    one_by_one = false;
    const std::lock_guard lock(mutex);
    status.queue = 0;
    return false;
  }
  {
    const std::lock_guard lock(mutex);
    status.queue = batch->incidents.size() + batch->behind;
  }
  const Delivered done = receiver->send(batch->incidents, stop);
  if (done.outcome == Outcome::kNever && batch->incidents.size() > 1) {
    one_by_one = true;  // one of them is the reason; the others are not to go with it
    failed(done.why);
    return true;
  }
  if (done.outcome == Outcome::kLater) {
    failed(done.why);
    rest(stop, pause(done.retry_after));
    return true;
  }
  if (auto marked = spool.delivered(receiver->name(), batch->incidents.back().seq); !marked) {
    failed(marked.error().message());  // they are sent again
    rest(stop, pause({}));
    return true;
  }
  failures = 0;
  take(*batch, done);
  return true;
}

void Delivery::State::run(const std::stop_token& token) {
  const StopEvent stop(token);
  while (!token.stop_requested()) {
    const auto subscribed = spool.subscribe(receiver->name());
    if (subscribed) {
      break;
    }
    failed(subscribed.error().message());
    rest(stop, pause({}));
  }
  while (!token.stop_requested()) {
    if (!turn(stop)) {
      spool.wait(kLook);
    }
  }
}

Delivery::Delivery(IncidentSpool& spool, std::unique_ptr<Receiver> receiver, const DeliveryPace& pace)
    : state_(std::make_unique<State>(spool, std::move(receiver), pace)) {
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

Delivery::~Delivery() = default;

TargetStatus Delivery::status() const {
  const std::lock_guard lock(state_->mutex);
  return state_->status;
}

Outcome outcome_of(int http_status) {
  if (http_status >= 200 && http_status < 300) {
    return Outcome::kTaken;
  }
  // A wrong token or path is set right one day: until then the spool keeps what waits.
  return http_status == 400 || http_status == 413 || http_status == 422 ? Outcome::kNever : Outcome::kLater;
}

}  // namespace memcrest
