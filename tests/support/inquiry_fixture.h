// SPDX-License-Identifier: Apache-2.0
// Sources of container names that give prepared answers, and an Inquiry that asks them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "identity/inquiry.h"

namespace memcrest::testing_support {

using Answer = Result<std::optional<Container>>;

inline Answer web() { return Container{.name = "web", .image = "my-app:latest"}; }
inline Answer nobody() { return std::optional<Container>(); }
inline Answer error(int code) { return fail("ask", "docker.sock", code); }

// Gives prepared answers; the last one for ever.
class FakeSource : public ContainerSource {
 public:
  [[nodiscard]] Answer look_up(const CgroupPath& path, const std::stop_token& /*stop*/) override {
    asked.push_back(path.container_path);
    while_asked();
    return next(answers);
  }
  [[nodiscard]] Answer inspect(const CgroupPath& path, const std::stop_token& /*stop*/) override {
    inspected.push_back(path.container_path);
    while_asked();
    return next(inspections);
  }

  std::deque<Answer> answers{nobody()};
  std::deque<Answer> inspections{nobody()};
  std::function<void()> while_asked = [] {};
  std::vector<std::string> asked;  // paths of the containers' cgroups
  std::vector<std::string> inspected;

 private:
  static Answer next(std::deque<Answer>& from) {
    Answer answer = from.front();
    if (from.size() > 1) {
      from.pop_front();
    }
    return answer;
  }
};

// Goes by the id alone.
class FakeDocker final : public FakeSource {
 public:
  [[nodiscard]] Runtime runtime() const override { return Runtime::kDocker; }
  [[nodiscard]] const char* name() const override { return "Docker"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override {
    return path.docker_candidate && known.name.empty();
  }
};

class FakePodman final : public FakeSource {
 public:
  [[nodiscard]] Runtime runtime() const override { return Runtime::kPodman; }
  [[nodiscard]] const char* name() const override { return "Podman"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override {
    return path.runtime == Runtime::kPodman && known.name.empty();
  }
};

// Goes by the cgroup.
class FakeBundle final : public FakeSource {
 public:
  [[nodiscard]] Runtime runtime() const override { return Runtime::kUnknown; }
  [[nodiscard]] const char* name() const override { return "OCI bundle"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& /*known*/) const override {
    return !path.container_id.empty();
  }
  [[nodiscard]] bool checks_cgroup() const override { return true; }
};

template <typename... Sources>
class InquiryFixture : public ::testing::Test {
 protected:
  // As if the resolver had been told of a cgroup of this container.
  static std::shared_ptr<KnownContainer> container(const std::string& path) {
    auto made = std::make_shared<KnownContainer>();
    made->path = parse_cgroup_path(path);
    made->container = container_from_path(made->path);
    made->live = 1;
    return made;
  }
  // Runs jobs until none is due within `patience`.
  void run(std::chrono::milliseconds patience = std::chrono::milliseconds(0)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (inquiry_.next_due() <= end) {
      if (inquiry_.next_due() != Inquiry::kAtOnce) {
        std::this_thread::sleep_until(inquiry_.next_due());
      }
      inquiry_.run_next(lock_, {});
      EXPECT_TRUE(lock_.owns_lock());
    }
  }
  // Has it looked up, now.
  void look_up(const std::shared_ptr<KnownContainer>& container) {
    inquiry_.ask(container, Inquiry::kAtOnce);
    run();
  }
  template <typename Source>
  Source& source() {
    return *std::get<Source*>(sources_);
  }

  std::mutex mutex_;
  std::unique_lock<std::mutex> lock_{mutex_};

 private:
  std::vector<std::unique_ptr<ContainerSource>> make_sources() {
    std::vector<std::unique_ptr<ContainerSource>> made;
    (made.push_back(std::unique_ptr<ContainerSource>(std::get<Sources*>(sources_) = new Sources())), ...);
    return made;
  }

  std::tuple<Sources*...> sources_;  // the inquiry's

 protected:
  Inquiry inquiry_{make_sources()};
};

}  // namespace memcrest::testing_support
