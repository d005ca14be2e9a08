// SPDX-License-Identifier: Apache-2.0
#include "identity/circuit_breaker.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

using namespace std::chrono_literals;

TEST(CircuitBreaker, PausesDoubleUpToAMinute) {
  CircuitBreaker breaker;
  CircuitBreaker::TimePoint now = std::chrono::steady_clock::now();
  EXPECT_TRUE(breaker.allows(now));
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    breaker.timed_out(now);
    EXPECT_FALSE(breaker.allows(now + pause - 1ms));
    EXPECT_TRUE(breaker.allows(now + pause));
    EXPECT_EQ(breaker.closed_from(), now + pause);
    now += pause;
  }
}

TEST(CircuitBreaker, AnAnswerEndsIt) {
  CircuitBreaker breaker;
  const CircuitBreaker::TimePoint now = std::chrono::steady_clock::now();
  breaker.timed_out(now);
  breaker.timed_out(now);
  breaker.answered();
  EXPECT_TRUE(breaker.allows(now));
  breaker.timed_out(now);
  EXPECT_TRUE(breaker.allows(now + 1s)) << "the pause begins anew";
}

}  // namespace
}  // namespace memcrest
