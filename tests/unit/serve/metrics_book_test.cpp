// SPDX-License-Identifier: Apache-2.0
#include "serve/metrics_book.h"

#include <gtest/gtest.h>

#include <future>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;

ContainerMemory web(std::uint64_t usage, std::uint64_t peak) {
  ContainerMemory out;
  out.cgroup = {.id = 100, .path = "/docker/abc"};
  out.container.runtime = Runtime::kDocker;
  out.container.id = "abc";
  out.container.name = "web";
  out.figures.usage_bytes = usage;
  out.figures.peak_bytes = peak;
  return out;
}

Event step(std::uint64_t usage, std::uint64_t watermark) {
  StepEvent out;
  out.cgroup_id = 100;
  out.usage_bytes = usage;
  out.watermark_bytes = watermark;
  return out;
}

Incident oom(std::string id, std::string container, std::size_t victims) {
  Incident out;
  out.id = std::move(id);
  out.container.id = std::move(container);
  out.container.name = "web";
  out.cgroup = {.id = 100, .path = "/docker/abc"};
  out.victims.resize(victims);
  out.unix_ns = 1'795'000'000'000'000'000;
  return out;
}

std::string text_of(MetricsBook& book, const std::string& scraper = "a") {
  MetricsText out(MetricsFormat::kOpenMetrics);
  book.write(out, scraper);
  return out.take();
}

// The value of the only sample whose line begins so; empty: none.
std::string value_of(const std::string& text, const std::string& begin) {
  const auto at = text.find("\n" + begin + "{");
  if (at == std::string::npos) {
    return {};
  }
  const auto value = text.find("} ", at) + 2;
  return text.substr(value, text.find_first_of(" \n", value) - value);
}

constexpr const char* kSince = "memcrest_container_memory_peak_since_scrape_bytes";
constexpr const char* kPeak = "memcrest_container_memory_peak_bytes";
constexpr const char* kKills = "memcrest_oom_kills_total";

TEST(MetricsBookTest, PeakSinceTheLastScrapeIsEachScrapersOwn) {
  MetricsBook book({});
  book.note({web(10_MiB, 90_MiB)}, 1, nullptr);
  EXPECT_EQ(value_of(text_of(book, "a"), kSince), std::to_string(90_MiB));  // since the start
  EXPECT_EQ(value_of(text_of(book, "a"), kSince), std::to_string(10_MiB));
  const std::vector<Event> burst = {step(50_MiB, 90_MiB), step(12_MiB, 90_MiB)};
  book.note(burst);
  EXPECT_EQ(value_of(text_of(book, "a"), kSince), std::to_string(50_MiB));
  EXPECT_EQ(value_of(text_of(book, "a"), kSince), std::to_string(10_MiB));
  EXPECT_EQ(value_of(text_of(book, "b"), kSince), std::to_string(90_MiB));  // it has not asked before
  const std::vector<Event> record = {step(95_MiB, 95_MiB + 4096)};
  book.note(record);
  EXPECT_EQ(value_of(text_of(book, "a"), kSince), std::to_string(95_MiB + 4096));  // the mark's, to the page
  EXPECT_EQ(value_of(text_of(book, "a"), kPeak), std::to_string(95_MiB + 4096));
}

TEST(MetricsBookTest, CountsStayAWhileAfterTheContainer) {
  MetricsBook book({.max_containers = 10, .keep = std::chrono::nanoseconds(1000)});
  book.note({web(10_MiB, 90_MiB)}, 1, nullptr);
  book.note(oom("id-1", "abc", 3), 2);
  book.note({}, 100, nullptr);
  const std::string text = text_of(book);
  EXPECT_EQ(value_of(text, kKills), "3");
  EXPECT_NE(text.find("# {incident_id=\"id-1\"} 3 "), std::string::npos);
  EXPECT_EQ(value_of(text, "memcrest_container_memory_usage_bytes"), "");
  EXPECT_EQ(value_of(text, kPeak), std::to_string(90_MiB));
  book.note({}, 1100, nullptr);
  EXPECT_EQ(value_of(text_of(book), kKills), "3");
  book.note({}, 1101, nullptr);
  EXPECT_EQ(value_of(text_of(book), kKills), "");
}

TEST(MetricsBookTest, OfWhatIsGoneNoZeroIsKept) {
  constexpr const char* kSteps = "memcrest_steps_total";
  constexpr const char* kBursts = "memcrest_bursts_total";
  constexpr const char* kStall = "memcrest_reclaim_stall_seconds_total";
  MetricsBook book({});
  book.note({web(10_MiB, 90_MiB)}, 1, nullptr);
  const std::vector<Event> grown = {step(50_MiB, 90_MiB)};
  book.note(grown);
  EXPECT_EQ(value_of(text_of(book), kSteps), "1");
  EXPECT_EQ(value_of(text_of(book), kBursts), "0");  // so that its first rise is seen
  EXPECT_EQ(value_of(text_of(book), kStall), "0");
  CgroupEvent removed;
  removed.cgroup_id = 100;
  const std::vector<Event> end = {removed};
  book.note(end);
  book.note({}, 2, nullptr);
  EXPECT_EQ(value_of(text_of(book), kSteps), "1");
  EXPECT_EQ(value_of(text_of(book), kBursts), "");
  EXPECT_EQ(value_of(text_of(book), kStall), "");
}

TEST(MetricsBookTest, OfWhatNobodyMeasuresThereIsNoZero) {
  constexpr const char* kThrottle = "kind=\"throttle\"";
  constexpr const char* kDirect = "kind=\"direct\"";
  MetricsBook book({});
  book.note({web(10_MiB, 90_MiB)}, 1, nullptr);
  EXPECT_NE(text_of(book).find(kThrottle), std::string::npos);
  book.set(MeasuredStalls{.reclaim = true, .throttle = false});
  EXPECT_EQ(text_of(book).find(kThrottle), std::string::npos);
  EXPECT_NE(text_of(book).find(kDirect), std::string::npos);
  book.set(MeasuredStalls{.reclaim = false, .throttle = true});
  EXPECT_EQ(text_of(book).find(kDirect), std::string::npos);
}

TEST(MetricsBookTest, ANewNameIsTold) {
  MetricsBook book({});
  ContainerMemory one = web(10_MiB, 90_MiB);
  book.note({one}, 1, nullptr);
  EXPECT_NE(text_of(book).find("container=\"web\""), std::string::npos);
  one.container.name = "shop";
  book.note({one}, 2, nullptr);
  const std::string text = text_of(book);
  EXPECT_EQ(text.find("container=\"web\""), std::string::npos);
  EXPECT_NE(text.find("container=\"shop\""), std::string::npos);
  one.container.labels["com.docker.compose.project"] = "plaza";
  book.note({one}, 3, nullptr);
  EXPECT_NE(text_of(book).find("compose_project=\"plaza\""), std::string::npos);
}

// As Podman lays it out: the container's processes are in a cgroup within its own.
TEST(MetricsBookTest, AnIncidentFurtherInRenamesNothing) {
  MetricsBook book({});
  book.note({web(10_MiB, 90_MiB)}, 1, nullptr);
  Incident inner = oom("1", "abc", 1);
  inner.cgroup = {.id = 101, .path = "/docker/abc/inner"};
  book.note(inner, 2);
  book.note({web(10_MiB, 90_MiB)}, 3, nullptr);
  EXPECT_EQ(text_of(book).find("/docker/abc/inner"), std::string::npos);
}

TEST(MetricsBookTest, AnIncidentToldAgainCountsOnce) {
  MetricsBook book({});
  Incident incident = oom("id-1", "abc", 1);
  book.note(incident, 1);
  incident.update = "runtime_state";
  book.note(incident, 2);
  EXPECT_EQ(value_of(text_of(book), kKills), "1");
}

TEST(MetricsBookTest, TooManyContainersGetNoSeries) {
  MetricsBook book({.max_containers = 2, .keep = std::chrono::hours(1)});
  for (int i = 0; i < 5; ++i) {
    book.note(oom("id", "c" + std::to_string(i), 1), 1);
  }
  const std::string text = text_of(book);
  EXPECT_NE(text.find("memcrest_metrics_containers_refused_total 3\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("container_id=\"c2\""), std::string::npos);
}

TEST(MetricsBookTest, WhatWasGoneBeforeAnybodyLookedHasItsPeak) {
  MetricsBook book({});
  CgroupEvent removed;
  removed.cgroup_id = 100;
  removed.watermark_bytes = 77_MiB;
  const std::vector<Event> events = {step(70_MiB, 70_MiB), removed};
  book.note(events);
  book.note({}, 5, [](std::uint64_t id) {
    EXPECT_EQ(id, 100U);
    return std::optional(web(0, 0).container);
  });
  EXPECT_EQ(value_of(text_of(book), kPeak), std::to_string(77_MiB));
}

// Else the ring fills up while a runtime does not answer.
TEST(MetricsBookTest, TheCollectorWaitsForNoLookUp) {
  MetricsBook book({});
  CgroupEvent removed;
  removed.cgroup_id = 100;
  const std::vector<Event> events = {step(70_MiB, 70_MiB), removed};
  book.note(events);
  bool in_time = false;
  std::future<void> collector;
  book.note({}, 5, [&](std::uint64_t) -> std::optional<Container> {
    collector = std::async(std::launch::async, [&] {
      book.note(events);
      book.note(oom("id-1", "abc", 1), 6);
    });
    in_time = collector.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
    return web(0, 0).container;
  });
  collector.get();
  EXPECT_TRUE(in_time);
  EXPECT_EQ(value_of(text_of(book), kKills), "1");
}

}  // namespace
}  // namespace memcrest
