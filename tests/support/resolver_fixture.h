// SPDX-License-Identifier: Apache-2.0
// A resolver over cgroups in a temporary directory, and a Docker that it can ask.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "identity/cgroup_path.h"
#include "identity/resolver.h"
#include "support/fake_cgroups.h"
#include "support/fake_clock.h"
#include "support/fake_daemon.h"

namespace memcrest::testing_support {

inline std::string id_of(char digit) { return std::string(64, digit); }

// The id that a request is about, from either form of it. From behind: "%22" in front of it looks like digits too.
inline std::string wanted_id(const std::string& target) {
  for (std::size_t i = target.size() - std::min<std::size_t>(target.size(), 64); i > 0; --i) {
    if (is_container_id(target.substr(i, 64))) {
      return target.substr(i, 64);
    }
  }
  return {};
}

// Knows every container: its name is "n-" and its id's first digit, its main process 42.
inline void know_all(FakeDaemon::Connection& c) {
  const std::string id = wanted_id(c.target());
  const std::string name = "n-" + id.substr(0, 1);
  if (c.target().starts_with("/containers/json")) {
    c.answer(200, R"([{"Id":")" + id + R"(","Names":["/)" + name + R"("],"Image":"img","Labels":{"k":"v"}}])");
  } else {
    c.answer(200, R"({"Id":")" + id + R"(","Name":"/)" + name + R"(","State":{"Pid":42},"Config":{"Image":"img"}})");
  }
}

class ResolverTest : public ::testing::Test {
 protected:
  void start(FakeDaemon::Handler handler) { daemon_.emplace(socket(), std::move(handler)); }
  [[nodiscard]] std::string socket() const { return dir_.path() + "/docker.sock"; }
  [[nodiscard]] ResolverSettings settings() const {
    return {.docker_socket = socket(), .api_timeout = std::chrono::milliseconds(300)};
  }
  Resolver& resolver() { return resolver(settings()); }
  Resolver& resolver(const ResolverSettings& with) {
    if (!resolver_) {
      auto tree = CgroupTree::open(cgroups_.root());
      EXPECT_TRUE(tree);
      resolver_.emplace(std::move(*tree), clock_, with);
    }
    return *resolver_;
  }

  TempDir dir_;
  FakeCgroups cgroups_;
  FakeClock clock_;
  std::optional<FakeDaemon> daemon_;
  std::optional<Resolver> resolver_;
};

}  // namespace memcrest::testing_support
