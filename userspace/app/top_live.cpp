// SPDX-License-Identifier: Apache-2.0
// `memcrest top` on this machine: a session of its own, whose events go to a board beside the collector.
#include <algorithm>

#include "app/exit_codes.h"
#include "app/session.h"
#include "app/top_sources.h"
#include "collector/live_figures.h"
#include "identity/container_filter.h"
#include "live/usage_board.h"

namespace memcrest {
namespace {

using std::chrono::steady_clock;

constexpr auto kListEvery = std::chrono::seconds(10);  // although no event says that one came
constexpr auto kListLeast = std::chrono::seconds(2);   // although one came: builds and tests make many
constexpr std::size_t kRounds = 30;                    // looks within which every quiet container is read once
constexpr std::size_t kShownAtOnce = 12;               // of the quiet rows in sight, in a look
constexpr std::size_t kLeastOthers = 20;

class LiveTop final : public TopSource {
 public:
  LiveTop(const TopOptions& options, CgroupTree tree)
      : options_(options), tree_(std::move(tree)), figures_(tree_, options.all) {}
  ~LiveTop() override {
    if (session_) {
      ignore_result(session_->finish());
    }
  }
  LiveTop(const LiveTop&) = delete;
  LiveTop& operator=(const LiveTop&) = delete;

  [[nodiscard]] std::expected<void, TopFailure> open();
  [[nodiscard]] std::string name() const override { return "this machine"; }
  [[nodiscard]] Result<LiveSnapshot> look() override;
  [[nodiscard]] Result<std::optional<LiveDetail>> detail(std::uint64_t cgroup_id) override {
    return board_.detail(cgroup_id, clock_.boot_ns(), before_ns_);
  }
  [[nodiscard]] Result<std::vector<std::shared_ptr<const Incident>>> incidents() override { return board_.incidents(); }
  bool tend(std::chrono::milliseconds longest) override {
    return session_->collector().turn(longest) != EventSource::Status::kEnd;
  }
  void shown(const std::vector<std::uint64_t>& cgroup_ids) override { shown_ = cgroup_ids; }

 private:
  void read_figures();

  const TopOptions& options_;
  SystemClock clock_;
  CgroupTree tree_;
  UsageBoard board_;
  LiveFigures figures_;
  std::vector<std::uint64_t> shown_;
  std::size_t next_shown_ = 0;
  std::unordered_set<std::uint64_t> nameless_;  // a runtime is still being asked
  std::size_t known_ = 0;
  bool came_ = false;  // a cgroup, since they were listed
  steady_clock::time_point listed_;
  std::uint64_t last_ns_ = 0;    // of the last look
  std::uint64_t before_ns_ = 0;  // of the one before
  std::unique_ptr<Session> session_;
};

std::expected<void, TopFailure> LiveTop::open() {
  SessionHooks hooks;
  hooks.observe = [this](std::span<const Event> events) { board_.note(events); };
  auto session = Session::open(
      options_.trace, tree_,
      [this](const Incident& incident) {
        if (matches(options_.filter, incident.container, incident.cgroup.path)) {
          board_.note(incident);
        }
      },
      {}, hooks);
  if (!session) {
    Error error = session.error().error;
    error.detail += std::string(error.detail.empty() ? "" : ". ") +
                    "'memcrest top --agent URL' and 'memcrest top FILE' need no privileges";
    return std::unexpected(TopFailure{std::move(error), session.error().exit_code});
  }
  session_ = std::move(*session);
  return {};
}

void LiveTop::read_figures() {
  const UsageBoard::News news = board_.take_news();
  came_ = came_ || news.cgroups;
  if (steady_clock::now() - listed_ >= (came_ ? kListLeast : kListEvery)) {
    came_ = false;
    figures_.list();
    listed_ = steady_clock::now();
    board_.keep_only(figures_.running(), clock_.boot_ns());
    known_ = figures_.running().size();
  }
  std::unordered_set<std::uint64_t> wanted = news.moved;
  for (std::size_t i = 0; i < std::min(kShownAtOnce, shown_.size()); ++i) {
    wanted.insert(shown_[next_shown_++ % shown_.size()]);
  }
  wanted.insert(nameless_.begin(), nameless_.end());
  nameless_.clear();
  for (LiveFigures::Figures& one : figures_.read(wanted, std::max(kLeastOthers, known_ / kRounds))) {
    Identity identity = session_->resolver().find(one.cgroup.id);
    const Container& container = identity.container;
    if (identity.pending && nameless_.size() < 256) {
      nameless_.insert(one.cgroup.id);
    }
    const bool sandbox = container.pod && container.pod->sandbox;
    if ((!options_.all && (sandbox || container.id.empty())) || !matches(options_.filter, container, one.cgroup.path)) {
      continue;
    }
    board_.note({.kind = one.kind,
                 .cgroup = std::move(one.cgroup),
                 .container = std::move(identity.container),
                 .figures = std::move(one.memory)},
                clock_.boot_ns());
  }
}

Result<LiveSnapshot> LiveTop::look() {
  read_figures();
  LiveSnapshot out;
  out.boot_ns = clock_.boot_ns();
  out.unix_ns = clock_.unix_ns();
  before_ns_ = last_ns_;
  last_ns_ = out.boot_ns;
  const Features& features = session_->features();
  out.charge_tier = features.charge.name;
  out.oom_tier = features.oom.name;
  for (const Tier* tier : {&features.charge, &features.oom}) {
    out.notes.insert(out.notes.end(), tier->misses.begin(), tier->misses.end());
  }
  out.lost = session_->collector().loss();
  out.rows = board_.rows(out.boot_ns, before_ns_);
  return out;
}

}  // namespace

TopOpened open_live_top(const TopOptions& options) {
  auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    return std::unexpected(TopFailure{tree.error(), kExitUnsupported});
  }
  auto out = std::make_unique<LiveTop>(options, std::move(*tree));
  if (auto opened = out->open(); !opened) {
    return std::unexpected(opened.error());
  }
  return out;
}

}  // namespace memcrest
