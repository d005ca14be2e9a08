// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_book.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "export/json.h"
#include "sizing/sizing_export.h"
#include "support/export_fixture.h"

namespace memcrest {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;

constexpr std::uint64_t kSecond = 1'000'000'000;

struct Book {
  explicit Book(SizingSettings with = {.window = 1s})
      : settings(with),
        book(
            settings,
            [this](std::uint64_t id, std::uint64_t serial, bool now) {
              return named || now ? std::optional(cgroups.find(id, serial)) : std::nullopt;
            },
            [this](const ExportedCgroup& one) { return matches(filter, one.container, one.path); }) {}
  std::vector<SizedUsage> end(std::uint64_t end_ns) {
    book.close_all(end_ns);
    return book.take();
  }
  SizingSettings settings;
  ExportedCgroups cgroups{{web_cgroup(), plain_cgroup()}};
  ContainerFilter filter;
  bool named = true;
  SizingBook book;
};

CgroupEvent change(std::uint64_t time_ns, bool created, std::uint64_t watermark = 0, std::uint64_t serial = 1'000'100) {
  CgroupEvent out;
  out.time_ns = time_ns;
  out.cgroup_id = 100;
  out.serial = serial;
  out.created = created;
  out.watermark_bytes = watermark;
  return out;
}

Incident oom_of_web() {
  Incident out = oom_incident();
  out.cgroup = {100, web_cgroup().path};
  out.container = web_cgroup().container;
  out.limit.bytes = 64_MiB;
  return out;
}

TEST(SizingBook, AContainersStepsBecomeItsUsage) {
  Book book;
  StepBuilder steps;
  book.book.add(change(kSecond, true));
  book.book.add(steps.limit(64_MiB).up(kSecond, 10_MiB), 10_MiB);
  StepEvent cache = steps.up(2 * kSecond, 20_MiB);
  cache.kind = MemoryKind::kFile;
  book.book.add(cache, 10_MiB);
  StepEvent anon = steps.up(3 * kSecond, 50_MiB);
  anon.kind = MemoryKind::kAnon;
  book.book.add(anon, 30_MiB);
  const auto all = book.end(11 * kSecond);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].label, "web");
  EXPECT_EQ(all[0].limit_bytes, 64_MiB);
  EXPECT_EQ(all[0].peak_bytes, 50_MiB);
  EXPECT_TRUE(all[0].peak_exact);
  EXPECT_EQ(all[0].peaks.windows(), 10U);
  EXPECT_EQ(all[0].observed_ns, 10 * kSecond);
  EXPECT_DOUBLE_EQ(all[0].cache_share().value_or(0), 0.25);
}

TEST(SizingBook, RestartsOfAContainerAreOneAndTheHigherPeakCounts) {
  Book book;
  ExportedCgroup again = web_cgroup();
  again.serial = 7;
  book.cgroups = ExportedCgroups{{web_cgroup(), again}};
  book.book.add(change(kSecond, true));
  book.book.add(StepBuilder().limit(64_MiB).up(kSecond, 40_MiB), 0);
  book.book.add(change(2 * kSecond, false, 41_MiB));
  book.book.add(change(3 * kSecond, true, 0, 7));
  StepEvent later = StepBuilder().limit(128_MiB).up(4 * kSecond, 10_MiB);
  later.serial = 7;
  book.book.add(later, 0);
  const auto one = book.end(5 * kSecond);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].containers, 1U);
  EXPECT_EQ(one[0].peak_bytes, 41_MiB);
  EXPECT_TRUE(one[0].peak_exact);
  EXPECT_EQ(one[0].limit_bytes, 128_MiB) << "the last one";
  EXPECT_TRUE(one[0].limits_differ);
  EXPECT_EQ(one[0].observed_ns, 3 * kSecond);
}

TEST(SizingBook, WhatIsNoContainerIsLeftOutUnlessAskedFor) {
  const StepEvent step = StepBuilder(200).up(kSecond, 10_MiB);
  Book book;
  book.book.add(step, 0);
  EXPECT_TRUE(book.end(kSecond).empty());
  Book all({.window = 1s, .all = true});
  all.book.add(step, 0);
  const auto told = all.end(kSecond);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].label, "/system.slice/cron.service");
}

TEST(SizingBook, CgroupsBelowAContainersOwnAreInItAlready) {
  Book book;
  ExportedCgroup inner = web_cgroup();
  inner.path += "/init.scope";
  book.cgroups = ExportedCgroups{{inner}};
  book.book.add(StepBuilder().up(kSecond, 10_MiB), 0);
  EXPECT_TRUE(book.end(kSecond).empty());
}

TEST(SizingBook, PodSandboxesAreLeftOut) {
  Book book;
  ExportedCgroup pause = web_cgroup();
  pause.container.pod.emplace().sandbox = true;
  book.cgroups = ExportedCgroups{{pause}};
  book.book.add(StepBuilder().up(kSecond, 10_MiB), 0);
  EXPECT_TRUE(book.end(kSecond).empty());
}

TEST(SizingBook, AnEndWaitsForItsName) {
  Book book;
  book.named = false;
  book.book.add(StepBuilder().up(kSecond, 10_MiB), 0);
  book.book.add(change(2 * kSecond, false, 12_MiB));
  book.book.settle();
  book.named = true;
  book.book.settle();
  const auto all = book.book.take();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].peak_bytes, 12_MiB);
}

TEST(SizingBook, TheFilterChooses) {
  Book book;
  book.filter.containers = {"other"};
  book.book.add(StepBuilder().up(kSecond, 10_MiB), 0);
  book.book.add(oom_of_web());
  EXPECT_TRUE(book.end(kSecond).empty());
}

TEST(SizingBook, AnOomCountsOnceHoweverOftenItIsTold) {
  Book book;
  book.book.add(StepBuilder().limit(64_MiB).up(kSecond, 64_MiB), 0);
  Incident oom = oom_of_web();
  oom.advice.emplace().needed_bytes = 90_MiB;
  book.book.add(oom);
  oom.update = "runtime_state";
  book.book.add(oom);
  Incident burst = oom_of_web();
  burst.kind = IncidentKind::kBurst;
  book.book.add(burst);
  const auto all = book.end(kSecond);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].ooms.own, 1U);
  EXPECT_EQ(all[0].ooms.limit_bytes, 64_MiB);
  EXPECT_EQ(all[0].ooms.needed_bytes, 90_MiB);
}

TEST(SizingBook, OomsThatAnotherLimitCausedAreApart) {
  Book book;
  Incident above = oom_of_web();
  above.scope = Scope::kAncestor;
  above.limit.cgroup_path = "/kubepods/pod1-2";
  book.book.add(above);
  Incident asked = oom_of_web();
  asked.verdict.emplace().causes = {{Cause::kAskedFor, 0.9, {}, {}}};
  book.book.add(asked);
  Incident leak = oom_of_web();
  leak.verdict.emplace().causes = {{Cause::kLeak, 0.7, {}, {}}};
  book.book.add(leak);
  const auto all = book.end(0);
  ASSERT_EQ(all.size(), 1U) << "known by its incidents alone";
  EXPECT_EQ(all[0].ooms.elsewhere, 2U);
  EXPECT_EQ(all[0].ooms.own, 1U);
  EXPECT_DOUBLE_EQ(all[0].leak_confidence.value_or(0), 0.7);
}

// As good as its own: a limit inside the container, and its pod's where it held nearly all of it.
TEST(SizingBook, OomsAtALimitInsideAndAtThePodsAreItsOwn) {
  Book book;
  Incident inner = oom_of_web();
  inner.scope = Scope::kAncestor;
  inner.limit.cgroup_path = "/docker/" + inner.container.id + "/inner";
  book.book.add(inner);
  Incident of_pod = oom_of_web();
  of_pod.id = "another";
  of_pod.scope = Scope::kAncestor;
  of_pod.container.runtime = Runtime::kContainerd;
  of_pod.container.pod = Pod{.uid = "1-2", .name = "web", .name_space = "shop"};
  of_pod.limit.cgroup_path = "/kubepods/pod1-2";
  of_pod.usage_bytes = of_pod.limit.bytes;
  of_pod.limit.own_usage_bytes = *of_pod.usage_bytes / 100 * 95;
  EXPECT_TRUE(is_own_limit(of_pod));
  book.book.add(of_pod);
  const auto all = book.end(0);
  std::uint64_t own = 0;
  for (const auto& one : all) {
    own += one.ooms.own;
    EXPECT_EQ(one.ooms.elsewhere, 0U);
  }
  EXPECT_EQ(own, 2U);
}

TEST(SizingBook, ABurstTellsOfALeakAndIsNoOom) {
  Book book;
  Incident burst = oom_of_web();
  burst.kind = IncidentKind::kBurst;
  burst.verdict.emplace().causes = {{Cause::kLeak, 0.8, {}, {}}};
  book.book.add(burst);
  const auto all = book.end(0);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].ooms.own, 0U);
  EXPECT_DOUBLE_EQ(all[0].leak_confidence.value_or(0), 0.8);
}

TEST(SizingBook, WhatWasPageCacheAtTheKillIsKept) {
  Book book;
  Incident oom = oom_of_web();
  oom.composition.emplace().total_bytes = 100;
  oom.composition->parts = {{"file", 70}, {"anon", 30}};
  book.book.add(oom);
  EXPECT_DOUBLE_EQ(book.end(0).at(0).ooms.cache_share.value_or(0), 0.7);
}

TEST(SizingBook, PutTogetherByImageAndWorkload) {
  ExportedCgroup other = web_cgroup("web-2");
  other.cgroup_id = 101;
  other.serial = 1'000'101;
  other.container.id[0] = '0';
  other.path = "/docker/" + other.container.id;
  for (const auto& [by, label] :
       {std::pair(SizingBy::kImage, "my-app:latest"), std::pair(SizingBy::kWorkload, "shop/web")}) {
    Book book({.window = 1s, .by = by});
    book.cgroups = ExportedCgroups{{web_cgroup(), other}};
    book.book.add(StepBuilder(100).limit(64_MiB).up(kSecond, 10_MiB), 0);
    book.book.add(StepBuilder(101).limit(64_MiB).up(kSecond, 30_MiB), 0);
    const auto all = book.end(3 * kSecond);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].label, label);
    EXPECT_EQ(all[0].containers, 2U);
    EXPECT_EQ(all[0].peak_bytes, 30_MiB);
    EXPECT_EQ(all[0].peaks.windows(), 4U);
    EXPECT_EQ(all[0].peaks.above(10_MiB), 2U);
  }
}

TEST(SizingBook, OfAKubernetesOwnerEachContainerIsItsOwnWorkload) {
  ExportedCgroup app = web_cgroup("app");
  app.container.pod.emplace().owner = Owner{"Deployment", "cart"};
  app.container.pod->name_space = "shop";
  ExportedCgroup sidecar = app;
  sidecar.container.name = "proxy";
  EXPECT_EQ(group_of(app, SizingBy::kWorkload).label, "shop/Deployment/cart/app");
  EXPECT_NE(group_of(app, SizingBy::kWorkload).key, group_of(sidecar, SizingBy::kWorkload).key);
  app.container.pod->owner.reset();
  app.container.labels.clear();
  EXPECT_EQ(group_of(app, SizingBy::kWorkload).key, group_of(app, SizingBy::kContainer).key) << "nothing is guessed";
}

TEST(SizingBook, WhatIsOnlyListedIsToldAsUnknown) {
  Book book;
  ExportedCgroup idle = web_cgroup();
  idle.label = label_of(idle);
  idle.container.memory_limit_bytes = 64_MiB;
  book.book.listed(idle);
  const auto all = book.end(0);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].peaks.windows(), 0U);
  EXPECT_EQ(all[0].limit_bytes, 64_MiB);
}

TEST(SizingBook, MemoryIsBoundedAndWhatIsLeftOutIsCounted) {
  Book book({.window = 1ms, .all = true});
  for (std::uint64_t i = 0; i < SizingBook::kMaxOpen + 10; ++i) {
    StepEvent step = StepBuilder(1000 + i).up(i, std::numeric_limits<std::uint64_t>::max());
    step.watermark_bytes = step.quantum_bytes = std::numeric_limits<std::uint64_t>::max();
    book.book.add(step, std::numeric_limits<std::uint64_t>::max());
  }
  EXPECT_EQ(book.book.left_out(), 10U);
  book.book.close_all(std::numeric_limits<std::uint64_t>::max());
}

TEST(SizingBook, ARecordingGoesThroughTheFeed) {
  ExportFixture fixture;
  Book book;
  SizingExport sizing(book.book);
  StepBuilder steps;
  fixture.of(sizing,
             {steps.limit(64_MiB).first(2 * kSecond, 4_MiB), steps.up(3 * kSecond, 60_MiB),
              change(4 * kSecond, false, 61_MiB)},
             {oom_of_web()});
  const auto all = book.book.take();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].peak_bytes, 61_MiB);
  EXPECT_EQ(all[0].ooms.own, 1U);
  EXPECT_EQ(sizing.begin_unix_ns(), kBootUnixNs + static_cast<std::int64_t>(kSecond));
}

}  // namespace
}  // namespace memcrest
