// SPDX-License-Identifier: Apache-2.0
#include "sizing/judge_size.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "incident/advice.h"
#include "incident/saturating.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kLeastLimit = 12 * kMebi;  // CRI-O takes none below, Docker none below 6 MiB
constexpr std::uint64_t kMostLimit = 1ULL << 50U;  // of a damaged recording
constexpr std::uint64_t kFullPercent = 95;         // of the limit
constexpr std::uint64_t kWasteful = 2;             // times what is advised
constexpr double kMostlyCache = 0.5;               // of the growth
constexpr double kLeakIsSure = 0.6;                // as advice.cpp
constexpr std::uint64_t kReclaimHurts = 1000;      // one part in so many of the time

std::string size(std::uint64_t bytes) { return format_size(bytes); }

std::string time_words(std::uint64_t ns) {
  return format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(ns, INT64_MAX))));
}

std::string percent_words(double share) {
  return std::to_string(std::lround(std::clamp(share, 0.0, 1.0) * 100)) + " %";
}

std::uint64_t percent_of(std::uint64_t bytes, std::uint64_t percent) {
  return saturating_add(bytes / 100 * percent, bytes % 100 * percent / 100);
}

std::string counted(std::uint64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

class Judge {
 public:
  Judge(SizedUsage usage, const SizingSettings& settings) : settings_(settings) { out_.usage = std::move(usage); }
  Sizing judge();

 private:
  const SizedUsage& usage() const { return out_.usage; }
  // The most that was ever in use, as far as the kernel told.
  std::uint64_t seen() const { return std::max(usage().peak_bytes, usage().mark_bytes); }
  bool mostly_cache() const { return usage().cache_share().value_or(0) >= kMostlyCache; }
  bool long_enough() const { return usage().peaks.windows() >= kLeastWindows; }
  bool full() const { return usage().limit_bytes && seen() >= percent_of(*usage().limit_bytes, kFullPercent); }
  // A later instance, or a higher limit, has shown the need that the kill had hidden.
  bool oom_is_past() const { return seen() > percent_of(usage().ooms.limit_bytes, 102); }
  bool oom_counts() const { return usage().ooms.own > 0 && !oom_is_past(); }
  bool leaks_surely() const { return usage().leak_confidence.value_or(0) >= kLeakIsSure; }

  void estimate_need();
  void classify();
  void classify_after_oom();
  void classify_leak();
  void explain_unlimited();
  void compare_with_limit();
  void say_too_short();
  void add_notes();
  void advise_limit();
  void compare_limits();
  std::optional<std::uint64_t> windows_above(std::uint64_t limit) const;
  void say(std::string reason) { out_.reasons.push_back(std::move(reason)); }

  const SizingSettings& settings_;
  Sizing out_;
  bool gives_limit_ = true;
};

void Judge::estimate_need() {
  const SizedOoms& ooms = usage().ooms;
  const std::uint64_t held = saturating_add(seen(), usage().slack_bytes);
  if (seen() == 0) {
    return;
  }
  if (!oom_counts()) {
    out_.needed_bytes = held;
  } else if (ooms.needed_bytes) {
    out_.needed_bytes = std::max(held, *ooms.needed_bytes);
    out_.needed_estimated = true;
  }
}

void Judge::classify_after_oom() {
  const SizedOoms& ooms = usage().ooms;
  say(counted(ooms.own, "OOM kill", "OOM kills") + " by its own limit of " + size(ooms.limit_bytes));
  out_.size_class = SizeClass::kTooSmall;
  if (out_.needed_estimated) {
    say("it had asked for about " + size(*out_.needed_bytes) + " (estimated: what was mapped at the kill)");
  } else if (ooms.guessed_bytes) {
    say("how much more it needs was never seen: the limit advised is a guess, look at the peak under it");
  } else {
    gives_limit_ = false;
    say("the verdict of the OOM names no limit that would help: memcrest why tells more");
  }
  if (ooms.cache_share.value_or(0) >= kMostlyCache) {
    say(percent_words(*ooms.cache_share) + " of what it held then was page cache");
  }
  if (usage().leak_confidence) {
    say("it may leak: then no limit helps");
  }
}

void Judge::classify_leak() {
  out_.size_class = SizeClass::kLeaking;
  gives_limit_ = false;
  out_.needed_bytes.reset();
  out_.needed_estimated = false;
  if (usage().ooms.own > 0) {
    say(counted(usage().ooms.own, "OOM kill", "OOM kills") + " by its own limit of " + size(usage().ooms.limit_bytes));
  }
  say(usage().leak_text + " No limit helps, it only takes longer");
}

void Judge::say_too_short() {
  say("seen for " + time_words(usage().observed_ns) + ", " + counted(usage().peaks.windows(), "window", "windows") +
      " of " + format_duration(settings_.window) + ": " + std::to_string(kLeastWindows) +
      " are needed before a limit can be called too large");
}

void Judge::explain_unlimited() {
  out_.size_class = SizeClass::kUnlimited;
  say("no limit of its own: it may take all that the machine, or a cgroup above, has");
  if (!long_enough()) {
    say_too_short();
    gives_limit_ = false;
  }
}

void Judge::compare_with_limit() {
  const std::uint64_t limit = *usage().limit_bytes;
  if (full() && mostly_cache()) {
    // Files fill whatever there is: the limit was reached, and nobody was harmed unless tasks had to wait.
    const bool hurts = usage().reclaim_ns / std::max<std::uint64_t>(1, usage().observed_ns / kReclaimHurts) > 0;
    out_.size_class = hurts ? SizeClass::kTight : SizeClass::kFine;
    gives_limit_ = false;
    out_.needed_bytes.reset();
    say("page cache fills the limit and is dropped when room is needed: no OOM, so usage is not need");
    if (hurts) {
      say("its tasks waited " + time_words(usage().reclaim_ns) + " for that");
    }
    return;
  }
  if (full()) {
    out_.size_class = SizeClass::kTooSmall;
    say("the peak of " + size(seen()) + " is " + std::to_string(kFullPercent) + " % of the limit or more");
    return;
  }
  const std::uint64_t needed = *out_.needed_bytes;
  if (limit < saturating_add(needed, percent_of(needed, settings_.margin_percent))) {
    out_.size_class = SizeClass::kTight;
    say("less than " + std::to_string(settings_.margin_percent) + " % above the peak of " + size(seen()));
  } else if (!long_enough()) {
    out_.size_class = SizeClass::kUnknown;
    gives_limit_ = false;
    say_too_short();
  } else if (limit / kWasteful >= std::max(kLeastLimit, round_limit(needed, settings_.margin_percent))) {
    out_.size_class = SizeClass::kWasteful;
    say("the limit is " + std::to_string(limit / std::max<std::uint64_t>(1, seen())) + " times the peak of " +
        size(seen()));
  } else {
    out_.size_class = SizeClass::kFine;
  }
}

void Judge::classify() {
  if (leaks_surely() && (oom_counts() || usage().ooms.own == 0)) {
    classify_leak();
  } else if (oom_counts()) {
    classify_after_oom();
  } else if (usage().peaks.windows() == 0 || seen() == 0) {
    out_.size_class = usage().limit_known && !usage().limit_bytes ? SizeClass::kUnlimited : SizeClass::kUnknown;
    gives_limit_ = false;
    out_.needed_bytes.reset();
    say("its usage crossed no level while it was observed, so that nothing is known of it");
  } else if (usage().limit_bytes) {
    compare_with_limit();
  } else if (usage().limit_known) {
    explain_unlimited();
  } else {
    gives_limit_ = false;
    say("whether it has a limit is not known");
  }
}

void Judge::add_notes() {
  const SizedOoms& ooms = usage().ooms;
  if (ooms.own > 0 && oom_is_past()) {
    say(counted(ooms.own, "OOM kill", "OOM kills") + " by an earlier limit, the highest of " + size(ooms.limit_bytes));
  }
  if (ooms.elsewhere > 0) {
    say(counted(ooms.elsewhere, "OOM kill", "OOM kills") +
        " that its own limit did not cause: memcrest why tells whose it was");
  }
  if (usage().peaks.windows() > 0 && !usage().peak_exact) {
    say(usage().mark_bytes > usage().peak_bytes
            ? "the kernel's mark of " + size(usage().mark_bytes) + " is from before: it has been needed, and counts"
            : "the peak is a lower bound");
  }
  if (mostly_cache() && out_.needed_bytes) {
    say(percent_words(*usage().cache_share()) +
        " of its growth was page cache, which the kernel can drop: less may do as well");
  }
  if (usage().limits_differ) {
    say("it had several limits: the last one is compared");
  }
}

void Judge::advise_limit() {
  if (!gives_limit_) {
    return;
  }
  if (out_.needed_bytes) {
    out_.advised_bytes = std::max(kLeastLimit, round_limit(*out_.needed_bytes, settings_.margin_percent));
  } else if (usage().ooms.guessed_bytes) {
    out_.advised_bytes = std::max(*usage().ooms.guessed_bytes, round_limit(seen(), settings_.margin_percent));
    out_.advised_guessed = true;
  }
  if (out_.advised_bytes.value_or(0) > kMostLimit) {
    out_.advised_bytes.reset();
    say("the figures cannot be true: no limit is advised");
  }
  if (!out_.advised_bytes) {
    return;
  }
  // What the scheduler reserves, so that it holds nearly always; the rest of the time the limit bounds what is taken.
  const std::uint64_t usual = usage().peaks.percentile(95);
  out_.request_bytes = std::min(*out_.advised_bytes, std::max(4 * kMebi, round_limit(usual, 0)));
  Container container = usage().container;
  container.memory_request_bytes = out_.request_bytes;
  out_.lines = limit_lines(container, *out_.advised_bytes);
}

std::optional<std::uint64_t> Judge::windows_above(std::uint64_t limit) const {
  const std::uint64_t above = usage().peaks.above(limit);
  if (!oom_counts()) {
    return above;
  }
  if (limit > usage().ooms.limit_bytes) {
    return std::nullopt;
  }
  // Where it was killed, usage ended just at the limit, and the need lay above it.
  return limit < usage().peaks.highest() ? above : std::min(usage().ooms.own, usage().peaks.windows());
}

void Judge::compare_limits() {
  if (usage().peaks.windows() == 0 || seen() == 0) {
    return;
  }
  using Kind = OtherLimit::Kind;
  const std::uint64_t base = out_.needed_bytes.value_or(seen());
  std::vector<OtherLimit>& all = out_.other_limits;
  for (std::uint64_t percent = 60; percent <= 120; percent += 10) {
    all.push_back({percent_of(base, percent), Kind::kStep, {}});
  }
  if (usage().limit_bytes) {
    all.push_back({*usage().limit_bytes, Kind::kCurrent, {}});
  }
  if (out_.advised_bytes) {
    all.push_back({*out_.advised_bytes, Kind::kAdvised, {}});
  }
  std::ranges::stable_sort(all, {}, &OtherLimit::bytes);
  for (OtherLimit& one : all) {
    one.windows_above = windows_above(one.bytes);
  }
}

Sizing Judge::judge() {
  estimate_need();
  classify();
  add_notes();
  advise_limit();
  compare_limits();
  return std::move(out_);
}

// What could be saved, or is at stake.
std::uint64_t stake(const Sizing& one) {
  if (one.size_class == SizeClass::kWasteful) {
    return saturating_sub(one.usage.limit_bytes.value_or(0), one.advised_bytes.value_or(0));
  }
  return std::max(one.usage.peak_bytes, one.usage.mark_bytes);
}

}  // namespace

const char* to_string(SizingBy by) {
  switch (by) {
    case SizingBy::kContainer:
      return "container";
    case SizingBy::kImage:
      return "image";
    case SizingBy::kWorkload:
      return "workload";
  }
  return "container";
}

const char* to_string(SizeClass size_class) {
  switch (size_class) {
    case SizeClass::kTooSmall:
      return "too-small";
    case SizeClass::kLeaking:
      return "leaking";
    case SizeClass::kTight:
      return "tight";
    case SizeClass::kUnlimited:
      return "unlimited";
    case SizeClass::kWasteful:
      return "wasteful";
    case SizeClass::kUnknown:
      return "unknown";
    case SizeClass::kFine:
      return "fine";
  }
  return "unknown";
}

const char* to_string(OtherLimit::Kind kind) {
  switch (kind) {
    case OtherLimit::Kind::kStep:
      return "step";
    case OtherLimit::Kind::kCurrent:
      return "current";
    case OtherLimit::Kind::kAdvised:
      return "advised";
  }
  return "step";
}

Sizing judge_size(SizedUsage usage, const SizingSettings& settings) {
  return Judge(std::move(usage), settings).judge();
}

void sort_by_urgency(std::vector<Sizing>& sizings) {
  std::ranges::stable_sort(sizings, [](const Sizing& a, const Sizing& b) {
    return std::tuple(a.size_class, stake(b), a.usage.label) < std::tuple(b.size_class, stake(a), b.usage.label);
  });
}

}  // namespace memcrest
