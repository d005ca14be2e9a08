// SPDX-License-Identifier: Apache-2.0
#include "serve/live_feed.h"

#include <algorithm>
#include <cmath>

#include "export/json_line.h"
#include "export/live_json.h"
#include "util/units.h"

namespace memcrest {
namespace {

using std::chrono::steady_clock;

constexpr auto kFresh = std::chrono::milliseconds(300);
constexpr auto kPatience = std::chrono::milliseconds(30);  // of a request, while another reads: then as it was
constexpr auto kOwnPatience = std::chrono::milliseconds(2000);
constexpr std::uint64_t kRecentNs = 1'000'000'000;
constexpr BoardSettings kBoard{.max_cgroups = 4096, .max_points = 2048, .all_points = 50'000, .max_incidents = 32};

std::int64_t whole(double value) {
  return std::isfinite(value) ? static_cast<std::int64_t>(std::clamp(value, -9e15, 9e15)) : 0;
}

}  // namespace

LiveFeed::LiveFeed(const Clock& clock, Read read, Head head)
    : clock_(clock), read_(std::move(read)), head_(std::move(head)), board_(kBoard) {}

void LiveFeed::note(std::span<const Event> events) {
  const std::lock_guard lock(mutex_);
  board_.note(events);
}

void LiveFeed::note(const Incident& incident) {
  const std::lock_guard lock(mutex_);
  board_.note(incident);
}

void LiveFeed::refresh(std::chrono::milliseconds patience) {
  const std::unique_lock one(reading_, ever_read_ ? patience : kOwnPatience);
  if (!one || steady_clock::now() - read_at_ < kFresh) {
    return;
  }
  std::unique_lock lock(mutex_);
  const UsageBoard::News news = board_.take_news();
  lock.unlock();
  const std::uint64_t now = clock_.boot_ns();  // what steps tell from here on is newer than what is read
  FeedRound round = read_(news);
  lock.lock();
  if (round.running) {
    board_.keep_only(*round.running, now);
  }
  for (ContainerMemory& figures : round.figures) {
    board_.note(std::move(figures), now);
  }
  read_at_ = steady_clock::now();
  ever_read_ = true;
}

std::string LiveFeed::snapshot(std::uint64_t since_ns) {
  refresh(kPatience);
  LiveSnapshot snapshot = head_();
  snapshot.boot_ns = clock_.boot_ns();
  snapshot.unix_ns = clock_.unix_ns();
  std::unique_lock lock(mutex_);
  snapshot.rows = board_.rows(snapshot.boot_ns, since_ns);
  lock.unlock();
  std::string out = head_to_json(snapshot) + "\n";
  for (const LiveRow& row : snapshot.rows) {
    out += to_json(row, snapshot.unix_ns) + "\n";
  }
  return out;
}

std::optional<std::string> LiveFeed::detail(std::uint64_t cgroup_id, std::uint64_t since_ns) {
  refresh(kPatience);
  std::unique_lock lock(mutex_);
  const auto detail = board_.detail(cgroup_id, clock_.boot_ns(), since_ns);
  lock.unlock();
  return detail ? std::optional(to_json(*detail, clock_.unix_ns())) : std::nullopt;
}

std::string LiveFeed::tick() {
  refresh(kOwnPatience);
  const std::uint64_t now = clock_.boot_ns();
  // After a while without anybody who looks, the peaks of that while are none of now.
  const std::uint64_t recent = now - std::min(now, kRecentNs);
  std::unique_lock lock(mutex_);
  const auto rows = board_.rows(now, std::max(ticked_ns_, recent));
  lock.unlock();
  ticked_ns_ = now;
  std::unordered_map<std::uint64_t, std::string> told;
  std::string changed;
  bool others = false;  // a container came or went
  for (const LiveRow& row : rows) {
    const std::uint64_t id = row.memory.cgroup.id;
    std::string text = std::to_string(id) + "," + std::to_string(row.memory.figures.usage_bytes.value_or(0)) + "," +
                       std::to_string(row.peak_interval_bytes) + "," +
                       std::to_string(row.memory.figures.peak_bytes.value_or(0)) + "," +
                       std::to_string(whole(row.growth_bytes_per_s)) + "," + std::to_string(whole(row.stall_ms)) + "," +
                       std::to_string(row.memory.figures.oom_kills.value_or(0)) + "," + std::to_string(row.bursts) +
                       "," + (row.gone ? "1" : "0");
    const auto before = told_.find(id);
    others = others || before == told_.end();
    if (before == told_.end() || before->second != text) {
      changed += (changed.empty() ? "[" : ",[") + text + "]";
    }
    told.emplace(id, std::move(text));
  }
  others = others || told.size() != told_.size();
  told_ = std::move(told);
  JsonLine line;
  line.text("time", format_rfc3339(clock_.unix_ns())).number("boot_time_ns", now).flag("list_changed", others);
  line.raw("rows", "[" + changed + "]");
  return "event: usage\ndata: " + line.take() + "\n\n";
}

}  // namespace memcrest
