// SPDX-License-Identifier: Apache-2.0
#include "vm/judge.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>

namespace memcrest::scenarios {
namespace {

// The peak may have grown after the incident was told, by what a dying task still charges.
constexpr std::uint64_t kPeakSlack = kMiB;
// What is held for so long cannot fall between two samples, on an emulated processor either.
constexpr double kSampled = 100;

std::string text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

class Check {
 public:
  explicit Check(const Json& incident) : incident_(incident) {}

  void wrong(const std::string& what) { wrong_.push_back(what); }
  void missing(const std::string& what, bool must) {
    (must ? wrong_ : missing_).push_back((must ? "must be delivered: " : "") + what);
  }
  void expect(bool holds, const std::string& what) {
    if (!holds) {
      wrong(what);
    }
  }
  // The field at a JSON pointer is `wanted`, or null where the rung need not know it.
  template <typename T>
  void field(const char* where, const T& wanted, bool must) {
    const Json value = at(where);
    if (value.is_null()) {
      missing(where, must);
    } else if (value != Json(wanted)) {
      wrong(std::string(where) + " is " + text(value) + ", not " + text(Json(wanted)));
    }
  }
  void bytes_near(const char* where, std::uint64_t wanted, std::uint64_t slack, bool must) {
    const Json value = at(where);
    if (!value.is_number()) {
      missing(where, must);
      return;
    }
    const auto number = value.get<std::uint64_t>();
    const std::uint64_t off = number > wanted ? number - wanted : wanted - number;
    if (off > slack) {
      wrong(std::string(where) + " is " + std::to_string(number) + ", not " + std::to_string(wanted));
    }
  }
  void known(const char* where, bool must) {
    if (at(where).is_null()) {
      missing(where, must);
    }
  }
  [[nodiscard]] Json at(const char* where) const {
    const Json::json_pointer pointer(where);
    return incident_.contains(pointer) ? incident_.at(pointer) : Json();
  }

  [[nodiscard]] Verdict verdict() const {
    std::string detail = joined(wrong_);
    if (!wrong_.empty()) {
      return {Result::kFailed, detail};
    }
    const bool complete = at("/evidence/complete") == Json(true);
    detail = missing_.empty() ? "" : "not known: " + joined(missing_);
    if (complete && !missing_.empty()) {
      return {Result::kFailed, "said to be complete, but " + detail};
    }
    if (complete) {
      return {Result::kExact, {}};
    }
    for (const Json& gap : at("/evidence/gaps")) {
      detail += (detail.empty() ? "" : "; ") + text(gap);
    }
    return {Result::kGaps, detail.empty() ? "incomplete, and no gap is named" : detail};
  }

 private:
  static std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) {
      out += (out.empty() ? "" : ", ") + word;
    }
    return out;
  }

  const Json& incident_;
  std::vector<std::string> wrong_;
  std::vector<std::string> missing_;
};

std::string path_of(const Json& incident, const char* pointer) {
  const Json::json_pointer where(pointer);
  return incident.contains(where) && incident.at(where).is_string() ? incident.at(where).get<std::string>() : "";
}

bool names_a_victim(const Json& incident, const Truth& truth) {
  return std::ranges::any_of(incident.value("victims", Json::array()), [&](const Json& victim) {
    return victim["pid"].is_number() && truth.killed.contains(victim["pid"].get<pid_t>());
  });
}

std::vector<Json> about(const Truth& truth, const std::vector<Json>& told, const char* kind) {
  std::vector<Json> out;
  std::ranges::copy_if(told, std::back_inserter(out),
                       [&](const Json& incident) { return incident["kind"] == kind && is_about(incident, truth); });
  return out;
}

std::string listed(const std::vector<Json>& incidents) {
  std::string out;
  for (const Json& incident : incidents) {
    out += (out.empty() ? "" : ", ") + text(incident["id"]) + " in " + path_of(incident, "/cgroup/path");
  }
  return out;
}

void check_victims(Check& check, const Json& incident, const Truth& truth, bool must) {
  std::set<pid_t> named;
  for (const Json& victim : incident["victims"]) {
    const auto pid = victim["pid"].get<pid_t>();
    check.expect(named.insert(pid).second, "victim " + std::to_string(pid) + " is named twice");
    check.expect(truth.killed.contains(pid), std::to_string(pid) + " is named as a victim and was none");
    if (victim["comm"] != "hog") {
      check.missing("the name of victim " + std::to_string(pid), !victim["comm"].is_null() && victim["comm"] != "");
    }
  }
  if (named.empty()) {
    check.missing("victims", must);
  } else if (named.size() < truth.victims) {
    // Of processes that share memory the kernel log names one; of others every one must be named.
    check.missing(std::to_string(truth.victims - named.size()) + " of " + std::to_string(truth.victims) + " victims",
                  !truth.shared_memory);
  }
}

void check_limit(Check& check, const Truth& truth, bool must, bool at_once) {
  // The counts do not tell the machine's memory from a node's.
  const bool node = truth.scope == "cpuset" || truth.scope == "mempolicy";
  check.field("/scope", node && !at_once ? "host" : truth.scope, true);
  if (truth.limit_bytes) {
    check.field("/limit/bytes", *truth.limit_bytes, must);
    check.field("/limit/kind", truth.limit_kind, must);
    check.field("/limit/cgroup_path", truth.limit_path, must);
    // A sampler looks after the kill: what is in use then is not what was.
    if (at_once && (truth.limit_kind == "memory.max" || truth.limit_kind == "memory.limit_in_bytes")) {
      // Whoever lowers a limit is below it again when the kill comes; and a batch of charges may still be in hand.
      check.bytes_near("/usage_bytes", *truth.limit_bytes, truth.lowered ? truth.used : kMiB, false);
    }
  }
}

// The kernel's own memory makes no step there.
bool is_blind(const Truth& truth, const Rung& rung) { return rung.charge == "lru" && !truth.on_lru; }

// Which kind of memory it was is read from kernel stacks, which every rung has but the one that reads files.
void check_kind(Check& check, const Truth& truth, const Rung& rung) {
  if (truth.memory_kind.empty() || rung.charge == "sampled" || is_blind(truth, rung)) {
    return;
  }
  const Json kinds = check.at("/burst/kinds");
  const Json growth = check.at("/burst/growth_bytes");
  double right = 0;  // shares are of all that steps saw grow, some of which may have fallen in between
  for (const Json& one : kinds) {
    right += one["kind"] == truth.memory_kind ? one["bytes"].get<double>() : 0;
  }
  const double whole = growth.is_number() ? growth.get<double>() : 0;
  check.expect(right >= truth.kind_share * whole,
               "/burst/kinds has not enough " + truth.memory_kind + ": " + kinds.dump());
}

}  // namespace

bool is_about(const Json& incident, const Truth& truth) {
  return path_of(incident, "/cgroup/path") == truth.path ||
         (!truth.limit_path.empty() && path_of(incident, "/limit/cgroup_path") == truth.limit_path) ||
         names_a_victim(incident, truth);
}

Delivers delivers(const Rung& rung) {
  if (rung.oom == "mark_victim") {
    return {.order = false};
  }
  if (rung.oom == "kmsg") {
    return {.victims = true, .limit = false, .order = false, .lowered = false};
  }
  if (rung.oom == "polling") {
    return {
        .incident_for_host = false, .victims = false, .limit = false, .order = false, .sysrq = false, .lowered = false};
  }
  return {};
}

// The causes that need a machine to spare: the corpus of the verdict has the others.
void check_cause(Check& check, const Truth& truth, const Rung& rung, bool sysrq_known, bool lowered_known) {
  static const std::map<std::string, std::string> of_scope{
      {"ancestor", "ancestor-limit"}, {"host", "host-exhausted"}, {"cpuset", "cpuset"}, {"mempolicy", "mempolicy"}};
  std::string cause = of_scope.contains(truth.scope) ? of_scope.at(truth.scope) : "";
  if (truth.sysrq) {
    cause = sysrq_known ? "asked-for" : "";
  } else if (truth.lowered) {
    cause = lowered_known ? "limit-lowered" : "";
  }
  // A counter tells of no constraint: then it must not be sure.
  const bool exhausted = truth.scope == "host" || truth.scope == "cpuset" || truth.scope == "mempolicy";
  if (rung.oom == "polling" && exhausted && !cause.empty()) {
    cause = "host-exhausted";
    const Json sure = check.at("/verdict/causes/0/confidence");
    check.expect(sure.is_number() && sure.get<double>() <= 0.6, "more sure than a counter can be: " + text(sure));
  }
  const Json first = check.at("/verdict/causes/0/cause");
  if (!cause.empty() && !check.at("/scope").is_null() && first != Json(cause)) {
    check.wrong("the first cause is " + text(first) + ", not " + cause);
  }
  if (truth.swap_full && !check.at("/swap/usage_bytes").is_null() && check.at("/swap/kind") == "memory.swap.max") {
    const Json causes = check.at("/verdict/causes");
    check.expect(std::ranges::any_of(causes, [](const Json& one) { return one["cause"] == "swap-full"; }),
                 "swap-full is no cause");
  }
}

Verdict judge_oom(const Truth& truth, const std::vector<Json>& told, const Rung& rung) {
  const Delivers must = delivers(rung);
  const std::vector<Json> incidents = about(truth, told, "oom");
  const bool host = truth.scope == "host" || truth.scope == "cpuset" || truth.scope == "mempolicy";
  if (incidents.empty()) {
    return host && !must.incident_for_host ? Verdict{Result::kNotPossible, "no counter tells of it on this rung"}
                                           : Verdict{Result::kFailed, "no incident"};
  }
  if (incidents.size() > 1) {
    return {Result::kFailed, std::to_string(incidents.size()) + " incidents: " + listed(incidents)};
  }
  if (const auto refused = about(truth, told, "charge_failure"); !refused.empty()) {
    return {Result::kFailed, "memory is said to be refused, and there was a kill: " + refused.front().dump()};
  }
  const Json& incident = incidents.front();
  Check check(incident);
  check.field("/cgroup/path", truth.path, true);
  check_victims(check, incident, truth, must.victims);
  check_limit(check, truth, must.limit, must.victims);
  if (must.order || !check.at("/oom/order").is_null()) {
    check.known("/oom/order", must.order);
    check.known("/oom/gfp_mask", must.order);
  } else {
    check.missing("/oom/order and gfp_mask", false);
  }
  // Never null: false is a statement as well.
  check.field("/oom/group_kill", truth.group, true);
  if (must.sysrq) {
    check.field("/oom/sysrq", truth.sysrq, true);
  }
  if (must.lowered) {
    check.field("/oom/limit_lowered", truth.lowered, true);
  }
  if (!must.victims && truth.kills && !check.at("/oom/kills").is_null()) {
    // The kernel counts one too many for a group; that is put right.
    check.field("/oom/kills", truth.group ? truth.victims : *truth.kills, true);
  }
  check_cause(check, truth, rung, must.sysrq, must.lowered);
  if (truth.peak) {
    check.bytes_near("/peak_bytes", *truth.peak, kPeakSlack, false);
  }
  if (truth.throttled) {
    const Json ms = check.at("/reclaim/throttle_ms");
    if (!ms.is_number()) {
      check.missing("/reclaim/throttle_ms", false);
    } else {
      check.expect(ms.get<double>() > 0, "no time held up by memory.high");
    }
  }
  if (truth.swap_full) {
    check.known("/swap/usage_bytes", false);
    check.known("/swap/limit_bytes", false);
  }
  if (truth.ranked) {
    const Json first = check.at("/ranking/by_usage/0/cgroup/path");
    if (first.is_null()) {
      check.missing("/ranking", must.limit);
    } else {
      check.expect(first == truth.path, "ranked first is " + text(first));
    }
  }
  return check.verdict();
}

Verdict judge_stuck(const Truth& truth, const std::vector<Json>& told, const Rung& /*rung*/) {
  const std::vector<Json> incidents = about(truth, told, "oom");
  if (std::ranges::any_of(incidents, [](const Json& one) { return one["stuck"].is_null(); })) {
    return {Result::kFailed, "a kill is told, and there was none: " + listed(incidents)};
  }
  if (incidents.size() != 2) {
    return {Result::kFailed, std::to_string(incidents.size()) + " incidents of tasks that hang, not 2"};
  }
  const Json& last = incidents[1];
  Check check(last);
  check.expect(incidents[0]["id"] == last["id"], "the two have different ids");
  check.expect(incidents[0]["stuck"]["ongoing"] == true && last["stuck"]["ongoing"] == false, "wrong order");
  check.expect(last["victims"].empty(), "victims, though nobody was killed");
  const bool named = std::ranges::any_of(incidents[0]["stuck"]["tasks"], [&](const Json& task) {
    return task["pid"].is_number() && truth.killed.contains(task["pid"].get<pid_t>());
  });
  check.expect(named, "who hangs is not named");
  check.expect(last["stuck"]["duration_ms"].is_number() && last["stuck"]["duration_ms"].get<double>() > 1000,
               "it lasted for more than a second");
  check.expect(incidents[0]["limit"]["bytes"] == truth.limit_bytes.value_or(0), "another limit is told");
  return check.verdict();
}

Verdict judge_refusals(const Truth& truth, const std::vector<Json>& told, const Rung& rung) {
  if (const auto kills = about(truth, told, "oom"); !kills.empty()) {
    return {Result::kFailed, "an OOM is told, and there was none: " + listed(kills)};
  }
  const std::vector<Json> incidents = about(truth, told, "charge_failure");
  if (incidents.empty()) {
    // Only the page counters tell that a limit is met, and with that when to look for refusals.
    return rung.charge.starts_with("page_counter") ? Verdict{Result::kFailed, "no incident"}
                                                   : Verdict{Result::kNotPossible, "not seen on this rung"};
  }
  // What goes on for long is told every 10 s, with the count since then.
  std::uint64_t count = 0;
  for (const Json& one : incidents) {
    const bool last = &one == &incidents.back();
    const Json& failure = one["charge_failure"];
    if (!failure["count"].is_number() || (!last && failure["duration_ms"].get<double>() < 9000)) {
      return {Result::kFailed, std::to_string(incidents.size()) + " incidents: " + listed(incidents)};
    }
    count += failure["count"].get<std::uint64_t>();
  }
  Check check(incidents.front());
  check.expect(count > 0, "count is 0");
  check.field("/charge_failure/errno", 12, false);
  check.known("/charge_failure/function", false);
  check.known("/charge_failure/bytes", false);
  check_limit(check, truth, true, false);
  check.expect(count <= 2 * truth.refusals, "count is " + std::to_string(count) + ", and hog was refused " +
                                                std::to_string(truth.refusals) + " times");
  Verdict verdict = check.verdict();
  verdict.detail += (verdict.detail.empty() ? "" : "; ") + std::to_string(count) + " seen, hog was refused " +
                    std::to_string(truth.refusals) + " times";
  return verdict;
}

Verdict judge_burst(const Truth& truth, const std::vector<Json>& told, const Rung& rung) {
  if (const auto kills = about(truth, told, "oom"); !kills.empty()) {
    return {Result::kFailed, "an OOM is told, and there was none: " + listed(kills)};
  }
  const std::vector<Json> incidents = about(truth, told, "burst");
  if (incidents.empty() && is_blind(truth, rung)) {
    return {Result::kNotPossible, "the kernel's own memory makes no step on this rung"};
  }
  if (incidents.empty()) {
    return rung.charge == "sampled" && truth.held_ms < kSampled ? Verdict{Result::kGaps, "fell between two samples"}
                                                                : Verdict{Result::kFailed, "no incident"};
  }
  if (incidents.size() > 1) {
    return {Result::kFailed, std::to_string(incidents.size()) + " incidents: " + listed(incidents)};
  }
  Check check(incidents.front());
  const Json peak = check.at("/burst/peak_bytes");
  const std::uint64_t seen = peak.is_number() ? peak.get<std::uint64_t>() : 0;
  const bool exact = check.at("/burst/peak_exact") == Json(true);
  const std::uint64_t wanted = truth.peak.value_or(truth.used);
  // Without a watermark the truth is what hog took, and its own few pages are on top of that.
  const std::uint64_t slack = truth.peak && exact ? 0 : truth.peak ? 2 * kMiB : 3 * kMiB;
  const bool may_be_less = !exact && (is_blind(truth, rung) || (rung.charge == "sampled" && truth.held_ms < kSampled));
  if (seen > wanted + slack || (!may_be_less && seen + slack < wanted)) {
    check.wrong("/burst/peak_bytes is " + std::to_string(seen) + ", not " + std::to_string(wanted));
  }
  check_kind(check, truth, rung);
  Verdict verdict = check.verdict();
  verdict.detail = "peak " + std::to_string(seen) + " of " + std::to_string(wanted) + (exact ? ", exact" : "") +
                   (verdict.detail.empty() ? "" : "; " + verdict.detail);
  return verdict;
}

// Beyond a line may lie what each CPU keeps in stock (64 pages), once for the cgroup and once for another that drains,
// a batch, and a huge page.
Verdict judge_break(const Truth& truth, const std::vector<Json>& /*told*/, const Rung& rung) {
  const bool late = rung.charge == "sampled";
  std::vector<Json> hits;
  for (const Json& incident : truth.own) {
    if (incident["kind"] == "breakpoint" && incident["update"].is_null()) {
      hits.push_back(incident);
    }
  }
  if (hits.empty() && late) {
    return {Result::kGaps, "over before usage was read"};
  }
  if (hits.size() != 1) {
    return {Result::kFailed, std::to_string(hits.size()) + " hits: " + listed(hits)};
  }
  Check check(hits.front());
  check.expect(check.at("/breakpoint/line_bytes") == Json(truth.line), "/breakpoint/line_bytes");
  check.expect(check.at("/breakpoint/late") == Json(late), "/breakpoint/late");
  check.expect(check.at("/cgroup/path") == Json(truth.path), "/cgroup/path");
  const Json beyond = check.at("/breakpoint/overshoot_bytes");
  if (late) {
    Verdict verdict = check.verdict();
    verdict.result = verdict.result == Result::kFailed ? verdict.result : Result::kGaps;
    verdict.detail = "late" + (verdict.detail.empty() ? "" : "; " + verdict.detail);
    return verdict;
  }
  const auto stock = static_cast<std::uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN)) * 2 * 64 *
                     static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  check.expect(beyond.is_number() && beyond.get<std::uint64_t>() <= stock + (truth.huge_pages ? 2 : 1) * kMiB,
               "overshoot is " + text(beyond));
  check.expect(truth.kills.value_or(0) == 0, "an OOM kill came first");
  check.expect(truth.ended_well, "it did not end as its action has it");
  check.expect(truth.stood_still || check.at("/breakpoint/signal") == Json("SIGKILL"), "it did not stand still");
  Verdict verdict = check.verdict();
  verdict.detail = "beyond by " + text(beyond) + (verdict.detail.empty() ? "" : "; " + verdict.detail);
  return verdict;
}

}  // namespace memcrest::scenarios
