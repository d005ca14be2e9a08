// SPDX-License-Identifier: Apache-2.0
// Leak, burst or plateau: courses of usage that are made up, each with its label, told to the collector as steps until
// the limit is reached and a kill follows. Prints the confusion matrix of docs/verdict.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/collector_fixture.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr double kLimitMib = 256;
constexpr double kLongest = 150;  // seconds: what did not reach the limit by then is not judged
constexpr int kEach = 30;

using Usage = std::function<double(double)>;  // MiB by seconds

struct Course {
  Cause cause;
  const char* name;
  std::function<Usage(std::mt19937&)> make;
};

double any(std::mt19937& random, double from, double to) {
  return std::uniform_real_distribution<double>(from, to)(random);
}

// Requests that take memory and give it back.
Usage work(std::mt19937& random, double most) {
  const double period = any(random, 0.7, 4);
  const double part = any(random, 0.2, 0.6);
  const double size = any(random, most / 3, most);
  return [=](double t) { return std::fmod(t, period) < period * part ? size : 0; };
}

const Course kCourses[] = {
    {Cause::kLeak, "leak under work",
     [](std::mt19937& random) -> Usage {
       const double slope = any(random, 2, 10);
       return [=, busy = work(random, 60)](double t) { return 30 + slope * t + busy(t); };
     }},
    {Cause::kLeak, "leak in jumps under work",
     [](std::mt19937& random) -> Usage {
       const double jump = any(random, 2, 12);
       const double every = any(random, 0.5, 3);
       return [=, busy = work(random, 40)](double t) { return 20 + jump * std::floor(t / every) + busy(t); };
     }},
    {Cause::kLimitTooSmallForBurst, "burst over a quiet floor",
     [](std::mt19937& random) -> Usage {
       const double begin = any(random, 8, 60);
       const double rate = any(random, 60, 2000);
       const double floor = any(random, 10, 100);
       return [=](double t) { return floor + std::max(0.0, t - begin) * rate; };
     }},
    {Cause::kLimitTooSmallForBurst, "burst over work",
     [](std::mt19937& random) -> Usage {
       const double begin = any(random, 10, 60);
       const double rate = any(random, 80, 2000);
       return [=, busy = work(random, 70)](double t) { return 30 + busy(t) + std::max(0.0, t - begin) * rate; };
     }},
    {Cause::kGrowthToPlateau, "cache that fills ever slower",
     [](std::mt19937& random) -> Usage {
       const double size = any(random, 250, 300);
       const double slow = any(random, 5, 20);
       return [=](double t) { return 20 + size * (1 - std::exp(-t / slow)); };
     }},
    {Cause::kGrowthToPlateau, "cache under work",
     [](std::mt19937& random) -> Usage {
       const double size = any(random, 230, 260);
       const double slow = any(random, 6, 20);
       return [=, busy = work(random, 20)](double t) { return 20 + size * (1 - std::exp(-t / slow)) + busy(t); };
     }},
};

class CourseMatrix : public CollectorFixture {
 protected:
  struct Told {
    const Course* course;
    std::string path;
  };

  // Steps of 2 MiB as the kernel side tells them; whether it reached its limit.
  void play(const Course& course, std::mt19937& random, int number) {
    const Usage usage = course.make(random);
    const Box one = box("/course" + std::to_string(number), static_cast<std::uint64_t>(kLimitMib) * 1_MiB,
                        static_cast<std::uint32_t>(1000 + number));
    const std::uint64_t begin = 1000_ms + static_cast<std::uint64_t>(number) * 1_ms;
    std::vector<Event> events{created(one, begin)};
    double last = 0;
    for (int i = 1; i < static_cast<int>(kLongest * 50); ++i) {
      const double now = std::min(usage(i / 50.0), kLimitMib);
      const std::uint64_t time = begin + static_cast<std::uint64_t>(i) * 20_ms;
      if (std::floor(now / 2) != std::floor(last / 2)) {
        const auto bytes = static_cast<std::uint64_t>(now * 1048576);
        events.emplace_back(now > last ? one.steps.up(time, bytes) : one.steps.down(time, bytes));
      }
      last = now;
      if (now >= kLimitMib) {
        events.emplace_back(killed(one, time + 1_ms));
        source_.events.insert(source_.events.end(), events.begin(), events.end());
        told_.push_back({&course, one.path});
        return;
      }
    }
  }

  std::vector<Told> told_;
};

TEST_F(CourseMatrix, OfLabelledCourses) {
  std::mt19937 random(20261127);  // NOLINT(cert-msc51-cpp): the same courses each time
  int number = 0;
  for (const Course& course : kCourses) {
    for (int i = 0; i < kEach; ++i) {
      play(course, random, number++);
    }
  }
  std::ranges::stable_sort(source_.events, {}, [](const Event& event) { return time_of(event); });
  run_until(1000_ms + static_cast<std::uint64_t>(kLongest + 5) * 1000_ms);

  std::map<std::string, std::map<std::string, int>> matrix;
  std::size_t right = 0;
  std::size_t judged = 0;
  for (const Told& one : told_) {
    const auto incident = std::ranges::find_if(incidents_, [&](const Incident& candidate) {
      return candidate.kind == IncidentKind::kOom && candidate.cgroup.path == one.path;
    });
    ASSERT_NE(incident, incidents_.end()) << one.course->name;
    ASSERT_TRUE(incident->verdict);
    const JudgedCause& first = incident->verdict->causes.front();
    ++matrix[one.course->name][to_string(first.cause)];
    ++judged;
    right += first.cause == one.course->cause ? 1 : 0;
    EXPECT_FALSE(first.cause != one.course->cause && first.confidence >= 0.8)
        << one.course->name << " is told as " << to_string(first.cause) << ", " << first.confidence << " sure";
  }
  for (const auto& [name, said] : matrix) {
    for (const auto& [cause, count] : said) {
      std::printf("| %s | %s | %d |\n", name.c_str(), cause.c_str(), count);
    }
  }
  std::printf("%zu of %zu right\n", right, judged);
  EXPECT_GE(judged, 5U * kEach) << "too few reached the limit";
  EXPECT_GE(static_cast<double>(right), 0.9 * static_cast<double>(judged));
}

}  // namespace
}  // namespace memcrest
