// SPDX-License-Identifier: Apache-2.0
// A collector between a source that tests fill, a clock that tests set, a host's cgroup files and a Docker daemon.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "collector/collector.h"
#include "support/event_builder.h"
#include "support/fake_cgroups.h"
#include "support/fake_clock.h"
#include "support/fake_daemon.h"

namespace memcrest::testing_support {

// Hands out events whose time has come.
class ClockedSource final : public EventSource {
 public:
  explicit ClockedSource(const Clock& clock) : clock_(clock) {}
  Status poll(std::chrono::milliseconds /*timeout*/, std::vector<Event>& out) override {
    while (next_ < events.size() && time_of(events[next_]) <= clock_.boot_ns()) {
      out.push_back(events[next_++]);
    }
    if (after_poll) {
      after_poll();
    }
    return next_ == events.size() ? Status::kEnd : Status::kMore;
  }
  [[nodiscard]] LossCount loss() const override { return lost; }

  std::vector<Event> events;
  LossCount lost;
  std::function<void()> after_poll;  // for instance the time that handling them takes

 private:
  const Clock& clock_;
  std::size_t next_ = 0;
};

// A cgroup with one process in it.
struct Box {
  std::uint64_t id = 0;
  std::string path;
  std::optional<std::uint64_t> limit;
  TaskInfo task;
  mutable StepBuilder steps;

  [[nodiscard]] MemcgState full() const { return memcg(id, limit.value_or(0), limit, "box"); }
};

class CollectorFixture : public ::testing::Test {
 protected:
  struct Known {
    std::string id, name, image;
  };

  CollectorFixture() {
    settings_.charge_tier = "charges of the test";
    settings_.oom_tier = "ooms of the test";
    settings_.host = {"node1", "6.12.107", "6f1c3c1e-52f0-4c4e-9f0b-1d2f3a4b5c6d"};
    settings_.falls_are_seen = true;
  }

  static std::string id_of(char digit) { return std::string(64, digit); }

  void daemon_knows(std::vector<Known> containers, std::chrono::milliseconds delay = {}) {
    socket_ = dir_.path() + "/docker.sock";
    daemon_.emplace(socket_, [containers = std::move(containers), delay](FakeDaemon::Connection& c) {
      c.sleep(delay);
      for (const Known& one : containers) {
        if (c.target().find(one.id) == std::string::npos) {
          continue;
        }
        const std::string image = R"("Image":")" + one.image + R"(","Labels":{"k":"v"})";
        if (c.target().starts_with("/containers/json")) {
          c.answer(200, R"([{"Id":")" + one.id + R"(","Names":["/)" + one.name + R"("],)" + image + "}]");
        } else {
          c.answer(200, R"({"Id":")" + one.id + R"(","Name":"/)" + one.name + R"(","Config":{)" + image + "}}");
        }
        return;
      }
      c.target().starts_with("/containers/json") ? c.answer(200, "[]") : c.answer(404, "{}");
    });
  }

  // Makes the cgroup; its process has `pid` on the host and 1 in the container.
  Box box(const std::string& path, std::optional<std::uint64_t> limit, std::uint32_t pid = 40) {
    Box out{.id = cgroups_.add(path), .path = path, .limit = limit, .task = {}, .steps = StepBuilder()};
    out.task = task(pid, "hog", out.id);
    out.task.ns_tgid = 1;
    out.steps = StepBuilder(out.id);
    out.steps.limit(limit).by(out.task);
    const std::string no_limit = "9223372036854771712";
    cgroups_.write(path, "memory.limit_in_bytes", (limit ? std::to_string(*limit) : no_limit) + "\n");
    return out;
  }

  template <typename T>
  void tell(T event) {
    source_.events.emplace_back(std::move(event));
  }
  void rise(const Box& box, std::uint64_t from_ns, std::uint64_t mib, std::uint64_t each_ns = 1'000'000) {
    for (std::uint64_t i = 1; i <= mib; ++i) {
      tell(box.steps.up(from_ns + (i - 1) * each_ns, i * 1_MiB));
    }
    cgroups_.write(box.path, "memory.max_usage_in_bytes", std::to_string(mib * 1_MiB) + "\n");
  }
  void fall(const Box& box, std::uint64_t from_ns, std::uint64_t mib) {
    for (std::uint64_t i = 1; i < mib; ++i) {
      tell(box.steps.down(from_ns + i * 100'000, (mib - i) * 1_MiB));
    }
  }
  static CgroupEvent created(const Box& box, std::uint64_t time_ns) {
    CgroupEvent out;
    out.time_ns = time_ns;
    out.cgroup_id = box.id;
    out.created = true;
    out.path = box.path;
    return out;
  }
  // Its directory stays: here, unlike in the kernel, another one could get its inode number.
  static CgroupEvent removed(const Box& box, std::uint64_t time_ns) {
    CgroupEvent out = created(box, time_ns);
    out.created = false;
    return out;
  }
  static ExecEvent exec(const Box& box, std::uint64_t time_ns, std::string cmdline) {
    ExecEvent out;
    out.time_ns = time_ns;
    out.task = box.task;
    out.cmdline = std::move(cmdline);
    return out;
  }
  // Its own limit is full and its process dies, by its own allocation.
  // What leads to killed(), as the OOM killer itself tells it.
  static OomEvent chosen(const Box& box, std::uint64_t time_ns) {
    OomEvent out;
    out.time_ns = time_ns;
    out.trigger = killed(box, time_ns).trigger;
    out.memcg_id = box.full().cgroup_id;
    out.constraint = Constraint::kMemcg;
    out.chain = chain({box.full()});
    return out;
  }
  static VictimEvent killed(const Box& box, std::uint64_t time_ns) {
    return victim(time_ns, box.task, chain({box.full()}));
  }

  Collector& collector() {
    if (!collector_) {
      tree_.emplace(*CgroupTree::open(cgroups_.root()));
      resolver_.emplace(*tree_, clock_,
                        ResolverSettings{.docker_socket = socket_,
                                         .follow_events = follow_events_,
                                         .api_timeout = std::chrono::milliseconds(2000)});
      collector_.emplace(source_, *resolver_, *tree_, clock_, cgroups_.root(), settings_,
                         [this](const Incident& incident) { incidents_.push_back(incident); });
    }
    return *collector_;
  }

  // Lets the clock go on to `end_ns` as an agent would see it, then waits in real time for names on their way.
  void run_until(std::uint64_t end_ns) {
    for (std::uint64_t now = clock_.boot_ns(); now < end_ns; now += 5'000'000) {
      clock_.set(now);
      collector().turn(std::chrono::milliseconds(0));
    }
    clock_.set(end_ns);
    for (int i = 0; i < 300; ++i) {
      const auto before = collector().totals();
      collector().turn(std::chrono::milliseconds(0));
      if (incidents_.size() >= before.ooms + before.bursts) {
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  TempDir dir_;
  FakeCgroups cgroups_;
  FakeClock clock_;
  ClockedSource source_{clock_};
  CollectorSettings settings_;
  std::vector<Incident> incidents_;
  std::string socket_;  // empty: no daemon
  bool follow_events_ = false;
  std::optional<FakeDaemon> daemon_;
  std::optional<CgroupTree> tree_;
  std::optional<Resolver> resolver_;
  std::optional<Collector> collector_;
};

}  // namespace memcrest::testing_support
