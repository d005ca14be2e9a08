// SPDX-License-Identifier: Apache-2.0
#include "incident/verdict_course.h"

#include <algorithm>
#include <string>

#include "incident/saturating.h"
#include "incident/verdict_words.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kFallsThatTell = 3;
constexpr double kShortMs = 60'000;     // what rises for less than this may only be starting
constexpr double kVeryShortMs = 4'000;  // a course of less is one rise
constexpr double kFloorMs = 5'000;      // a floor is known that was followed for so long
constexpr double kLeastPart = 0.15;     // of the limit: what rose by less filled nothing

double risen_part(const FloorTrend& trend, std::uint64_t limit) {
  return static_cast<double>(saturating_sub(trend.last_bytes, trend.first_bytes)) / static_cast<double>(limit);
}

// Nothing before it is known but the rise itself.
void weigh_a_life(const FloorTrend& trend, JudgedCause& out) {
  if (trend.levelling && trend.window_ms >= kVeryShortMs) {
    out.confidence = 0.4;
    out.reasons_against.push_back("it grew for all of the " + span_words(trend.window_ms) +
                                  " that are known, and ever slower");
  } else if (trend.rising && trend.window_ms >= kVeryShortMs) {
    out.confidence = 0.4;
    out.reasons_against.push_back("it grew for all of the " + span_words(trend.window_ms) + " that are known");
  } else {
    out.confidence = 0.65;
    out.reasons_against.emplace_back("what went before the burst was too short to tell whether the floor was rising");
  }
}

void weigh_a_floor(const FloorTrend& trend, std::uint64_t limit, JudgedCause& out) {
  if (trend.rising) {
    const double part = risen_part(trend, limit);
    out.confidence -= std::min(0.4, part);
    out.reasons_against.push_back("the floor before it had been rising, by " + percent_words(part) +
                                  " of the limit in " + span_words(trend.window_ms));
  } else if (trend.window_ms < kFloorMs) {
    out.reasons_against.push_back("only " + span_words(trend.window_ms) + " of history before the burst");
  } else {
    out.confidence += 0.2;
    out.reasons_for.push_back("the floor before it was flat for " + span_words(trend.window_ms) + ": no leak");
  }
}

void judge_burst(const Incident& incident, std::uint64_t limit, std::vector<JudgedCause>& causes) {
  const auto& burst = incident.burst;
  if (!burst || burst->growth_bytes < limit / 5) {
    return;
  }
  JudgedCause out{Cause::kLimitTooSmallForBurst,
                  0.7,
                  {"usage grew from " + format_size(burst->base_bytes) + " to " + format_size(burst->peak_bytes) +
                   " in " + span_words(burst->duration_ms)},
                  {}};
  if (!incident.trend) {
    out.reasons_against.emplace_back("what went before the burst was too short to tell whether the floor was rising");
  } else if (incident.trend->with_rise) {
    weigh_a_life(*incident.trend, out);
  } else {
    weigh_a_floor(*incident.trend, limit, out);
  }
  causes.push_back(std::move(out));
}

void judge_plateau(const std::string& figures, std::vector<JudgedCause>& causes) {
  JudgedCause out{Cause::kGrowthToPlateau,
                  0.7,
                  {"the floor rose and then ever slower: " + figures},
                  {"a plateau below the limit leaves open what was needed at last"}};
  causes.push_back(std::move(out));
  causes.push_back({Cause::kLeak, 0.35, {"the floor was still rising"}, {"it rose ever slower"}});
}

void judge_rise(const FloorTrend& trend, double part, const std::string& figures, std::vector<JudgedCause>& causes) {
  JudgedCause leak{
      Cause::kLeak,
      0.5 + std::min(0.2, part / 4),
      {"the floor rose steadily: " + figures + ", p = " + (trend.p_value < 0.001 ? "under 0.001" : "under 0.01")},
      {}};
  JudgedCause plateau{Cause::kGrowthToPlateau,
                      0.35,
                      {"what is needed after the start may still have been growing"},
                      {"the rise did not slow down"}};
  if (trend.falls >= kFallsThatTell) {
    leak.confidence += 0.2;
    leak.reasons_for.push_back("usage fell " + std::to_string(trend.falls) +
                               " times meanwhile, each time to a higher floor");
  } else {
    leak.confidence = std::min(leak.confidence, 0.55);
    leak.reasons_against.emplace_back(
        "usage never fell back meanwhile: a program that still fills what it needs looks the same");
    plateau.confidence = 0.45;
  }
  if (trend.window_ms < kShortMs) {
    leak.confidence = std::min(leak.confidence, 0.7);
    leak.reasons_against.push_back("only " + span_words(trend.window_ms) + " of history");
  }
  causes.push_back(std::move(leak));
  causes.push_back(std::move(plateau));
}

}  // namespace

std::vector<JudgedCause> judge_course(const Incident& incident) {
  std::vector<JudgedCause> out;
  const std::uint64_t limit = incident.limit.bytes.value_or(0);
  if (limit == 0) {
    return out;
  }
  judge_burst(incident, limit, out);
  const auto& trend = incident.trend;
  if (!trend || (!trend->rising && !trend->levelling) || (trend->with_rise && trend->window_ms < kVeryShortMs)) {
    return out;
  }
  const double part = risen_part(*trend, limit);
  if (part < kLeastPart) {
    return out;
  }
  const std::string figures =
      format_size(trend->first_bytes) + " → " + format_size(trend->last_bytes) + " in " + span_words(trend->window_ms);
  if (trend->levelling) {
    judge_plateau(figures, out);
  } else {
    judge_rise(*trend, part, figures, out);
  }
  return out;
}

}  // namespace memcrest
