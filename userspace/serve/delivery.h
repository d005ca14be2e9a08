// SPDX-License-Identifier: Apache-2.0
// Incidents to a receiver: a thread each, which reads the spool behind the receiver's own mark and moves the mark when
// the receiver has taken them. So the queue lies on disk, outlives the agent, and is bounded by the spool's retention;
// the collector's thread never meets it. At least once: who is killed between sending and marking sends again.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "identity/tls_connection.h"
#include "serve/api.h"
#include "store/incident_spool.h"

namespace memcrest {

enum class Outcome { kTaken, kLater, kNever };

struct Delivered {
  Outcome outcome = Outcome::kTaken;
  std::string why;  // not
  std::optional<std::chrono::seconds> retry_after;
  std::uint64_t refused = 0;  // of those that it took as a whole
};

// On the delivery's thread only.
class Receiver {
 public:
  Receiver() = default;
  virtual ~Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  [[nodiscard]] virtual const char* name() const = 0;  // of its mark, and in metrics
  [[nodiscard]] virtual std::size_t batch() const { return 1; }
  // Ends soon after a stop is asked for, and by itself.
  [[nodiscard]] virtual Delivered send(std::span<const SpooledIncident> incidents, const StopEvent& stop) = 0;
};

struct DeliveryPace {
  std::chrono::milliseconds first_pause{1000};
  std::chrono::milliseconds longest_pause{60'000};
};

class Delivery {
 public:
  // `spool` outlives it. What is in the spool before a receiver is known for the first time is not sent.
  Delivery(IncidentSpool& spool, std::unique_ptr<Receiver> receiver, const DeliveryPace& pace = {});
  ~Delivery();  // what is not sent stays in the spool
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  [[nodiscard]] TargetStatus status() const;  // any thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a status means: 2xx is taken, 400, 413 and 422 are refused for good, anything else may pass.
[[nodiscard]] Outcome outcome_of(int http_status);

}  // namespace memcrest
