// SPDX-License-Identifier: Apache-2.0
// `memcrest ps`: the containers that run now, what they use and what they may use. No BPF, no hooks: cgroup files and
// what the runtimes tell. The list goes to stdout, what is missing to stderr.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>

#include "app/exit_codes.h"
#include "app/filter_options.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "collector/memory_figures.h"
#include "export/ps_json.h"
#include "identity/resolver.h"
#include "util/text.h"
#include "view/ps_text.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMostCgroups = 65536;
constexpr std::size_t kReasonsTold = 3;

// Texts that several containers share, told once.
class Reasons {
 public:
  void add(const std::string& reason) {
    if (!reason.empty()) {
      ++counts_[reason];
    }
  }
  // Does one of them hold this text?
  [[nodiscard]] bool mention(const std::string& text) const {
    return std::ranges::any_of(counts_, [&](const auto& one) { return one.first.find(text) != std::string::npos; });
  }
  // "WHAT: REASON (3 containers)", the most frequent first, at most kReasonsTold.
  void tell(const char* what) const {
    std::vector<std::pair<std::string, std::size_t>> sorted(counts_.begin(), counts_.end());
    std::ranges::stable_sort(sorted, std::ranges::greater(), [](const auto& one) { return one.second; });
    for (std::size_t i = 0; i < sorted.size() && i < kReasonsTold; ++i) {
      spdlog::info("note: {}: {}{}", what, escape_terminal(sorted[i].first),
                   sorted[i].second > 1 ? fmt::format(" ({} times)", sorted[i].second) : "");
    }
    if (sorted.size() > kReasonsTold) {
      spdlog::info("note: {}: {} more reasons; --json gives each", what, sorted.size() - kReasonsTold);
    }
  }

 private:
  std::map<std::string, std::size_t> counts_;
};

class Ps {
 public:
  Ps(const PsOptions& options, const CgroupTree& tree) : options_(options), tree_(tree) {}

  int run();

 private:
  void read_figures(const std::vector<ListedCgroup>& listed);
  void select();
  [[nodiscard]] std::string render();
  void notes() const;

  const PsOptions& options_;
  const CgroupTree& tree_;
  SystemClock clock_;
  std::int64_t unix_ns_ = 0;  // when the figures were read
  std::vector<ContainerMemory> rows_;
  std::size_t filtered_ = 0;
  std::size_t sandboxes_ = 0;
  bool cut_ = false;  // there were more cgroups than were looked at
  std::vector<std::string> omitted_;
  std::vector<EngineStream> streams_;
};

void Ps::read_figures(const std::vector<ListedCgroup>& listed) {
  MemoryReader reader(tree_, tree_.whole_hierarchy());
  unix_ns_ = clock_.unix_ns();
  for (const ListedCgroup& one : listed) {
    if (auto figures = reader.read(one.cgroup.path, one.inner)) {
      rows_.push_back({.kind = one.kind,
                       .cgroup = {.id = one.cgroup.id, .path = one.cgroup.path},
                       .container = {},
                       .figures = std::move(*figures)});
    }
  }
}

// Asks for all names first and reads the figures while the runtimes answer.
int Ps::run() {
  const auto entries = tree_.scan(kMostCgroups);
  cut_ = entries.size() >= kMostCgroups;
  MemoryReader limits(tree_, true);
  const auto listed =
      list_cgroups(entries, options_.all, [&](const std::string& path) { return limits.limit_of(path).has_value(); });
  auto settings = resolver_settings(options_.identity);
  if (!settings) {
    spdlog::error("{}", escape_terminal(settings.error().message()));
    return kExitUsage;
  }
  settings->follow_events = true;  // to know who answers
  Resolver resolver(tree_, clock_, *settings);
  const auto deadline = steady_clock::now() + options_.wait;
  for (const ListedCgroup& one : listed) {
    resolver.appeared(one.cgroup.id, one.cgroup.path);
  }
  read_figures(listed);
  for (const ContainerMemory& row : rows_) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    ignore_result(resolver.wait(row.cgroup.id, std::max(left, milliseconds(0)), true));
  }
  // Once more, now that the time is over: of some only the name was there when they were asked for.
  for (ContainerMemory& row : rows_) {
    row.container = resolver.find(row.cgroup.id).container;
  }
  streams_ = resolver.streams();
  select();
  sort_by(options_.order, rows_);
  std::cout << render() << std::flush;
  notes();
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return kExitOk;
}

void Ps::select() {
  const auto unwanted = [&](const ContainerMemory& row) {
    if (!matches(options_.filter, row.container, row.cgroup.path)) {
      ++filtered_;
      return true;
    }
    const bool sandbox = row.container.pod && row.container.pod->sandbox && !options_.all;
    sandboxes_ += sandbox ? 1 : 0;
    return sandbox;
  };
  std::erase_if(rows_, unwanted);
}

std::string Ps::render() {
  std::string out;
  if (options_.json) {
    for (const ContainerMemory& row : rows_) {
      out += to_json(row, unix_ns_) + "\n";
    }
    return out;
  }
  const Terminal terminal = terminal_of_stdout();
  constexpr std::size_t kUsualColumns = 80;
  PsStyle style{.color = terminal.color, .columns = std::nullopt, .cgroup_version = tree_.version()};
  if (terminal.present) {
    style.columns = terminal.columns.value_or(kUsualColumns);
  }
  PsText text = to_text(rows_, style);
  omitted_ = std::move(text.omitted);
  return std::move(text.text);
}

void Ps::notes() const {
  Reasons unknown;
  Reasons pods;
  Reasons gaps;
  for (const ContainerMemory& row : rows_) {
    const Container& container = row.container;
    unknown.add(row.kind == CgroupKind::kContainer ? container.unknown_reason : std::string());
    pods.add(container.pod && !unknown.mention(container.pod->unknown_reason) ? container.pod->unknown_reason : "");
    std::ranges::for_each(row.figures.gaps, [&](const std::string& gap) { gaps.add(gap); });
  }
  unknown.tell("not known");
  pods.tell("labels, owners or memory requests of pods not known");
  for (const EngineStream& stream : streams_) {
    const bool concerns = std::ranges::any_of(rows_, [&](const ContainerMemory& row) {
      return !stream_gap({stream}, row.container, row.cgroup.path).empty();
    });
    if (concerns && !unknown.mention(stream.state.last_error)) {  // else that has told it
      spdlog::info("note: {} does not answer: {}", stream.engine, escape_terminal(stream.state.last_error));
    }
  }
  gaps.tell("not read");
  if (!omitted_.empty()) {
    spdlog::info("note: no room for {}; a wider terminal, a pipe or --json shows all", fmt::join(omitted_, ", "));
  }
  if (sandboxes_ > 0) {
    spdlog::info("note: {} left out that only hold a pod together; --all shows them", sandboxes_);
  }
  if (cut_) {
    spdlog::info("note: only the first {} cgroups were looked at", kMostCgroups);
  }
  if (!rows_.empty()) {
    return;
  }
  if (filtered_ > 0) {
    spdlog::info("none of {} matches", filtered_);
  } else {
    spdlog::info("no container runs here{}", options_.all ? "" : "; --all shows other cgroups");
  }
}

}  // namespace

int ps(const PsOptions& options) {
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    spdlog::error("{}", escape_terminal(tree.error().message()));
    return kExitUnsupported;
  }
  return Ps(options, *tree).run();
}

}  // namespace memcrest
