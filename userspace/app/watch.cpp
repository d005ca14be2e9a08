// SPDX-License-Identifier: Apache-2.0
// `memcrest watch`: incidents to stdout as they happen; banner, log and summary to stderr.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "app/exit_codes.h"
#include "app/output.h"
#include "app/plural.h"
#include "app/recording_text.h"
#include "app/session.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "export/json.h"
#include "identity/container_filter.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"
#include "view/text.h"

namespace memcrest {
namespace {

constexpr int kDrainMs = 2000;

TextStyle terminal_style() {
  const Terminal terminal = terminal_of_stdout();
  TextStyle style;
  style.color = terminal.color;
  style.columns = terminal.columns.value_or(style.columns);
  return style;
}

class Watch {
 public:
  explicit Watch(const WatchOptions& options) : options_(options), style_(terminal_style()), output_(STDOUT_FILENO) {}

  int run();

 private:
  void tell(const Incident& incident);
  void print(const Incident& incident);
  void follow_recording(const Session& session);
  void banner(const Session& session, const CgroupTree& tree) const;
  void summary(Session& session, std::chrono::nanoseconds elapsed) const;

  const WatchOptions& options_;
  TextStyle style_;
  Output output_;
  std::uint64_t ooms_ = 0;
  std::uint64_t killed_ = 0;
  std::uint64_t bursts_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t filtered_ = 0;
  std::uint64_t incomplete_ = 0;
  std::uint64_t told_files_ = 0;
  std::string told_stopped_;
};

void Watch::tell(const Incident& incident) {
  if (!matches(options_.filter, incident.container, incident.cgroup.path)) {
    filtered_ += incident.update.empty() ? 1 : 0;
    return;
  }
  if (!incident.update.empty()) {
    print(incident);
    return;  // counted when it was told first
  }
  if (incident.kind == IncidentKind::kOom) {
    // Tasks that hang are told of twice: when it is noticed and when it is over.
    ooms_ += incident.stuck && !incident.stuck->ongoing ? 0 : 1;
    killed_ += incident.victims.size();
    killed_ += incident.victims.empty() && incident.oom ? incident.oom->kills.value_or(0) : 0;
  } else if (incident.kind == IncidentKind::kChargeFailure) {
    ++refused_;
  } else if (incident.kind == IncidentKind::kBurst) {
    ++bursts_;
  }
  incomplete_ += incident.evidence.complete ? 0 : 1;
  print(incident);
}

void Watch::print(const Incident& incident) {
  if (!options_.silent) {
    output_.write(options_.json ? to_json(incident) + "\n" : to_text(incident, style_));
  }
}

// At once, since it may be the middle of the night: watching goes on.
void Watch::follow_recording(const Session& session) {
  const auto status = session.recording();
  if (!status) {
    return;
  }
  if (status->files > told_files_) {
    told_files_ = status->files;
    spdlog::info("recording {}", escape_terminal(status->path));
  }
  if (status->stopped != told_stopped_) {
    told_stopped_ = status->stopped;
    if (!told_stopped_.empty()) {
      spdlog::error("recording is in trouble, watching goes on: {}", escape_terminal(told_stopped_));
    }
  }
}

void Watch::banner(const Session& session, const CgroupTree& tree) const {
  spdlog::info("watching · {} · cgroup v{} · kernel {}", describe_tiers(session.features()), tree.version(),
               escape_terminal(session.features().kernel));
  if (!session.features().lower.bpf) {
    spdlog::info("note: without BPF: {}",
                 escape_terminal(session.features().btf ? session.features().lower.no_bpf_reason
                                                        : session.features().btf_error + "; --btf FILE gives it"));
  }
  if (options_.trace.unwind && !session.features().stack_copies) {
    spdlog::info("note: {}", kCannotUnwind);
  }
  for (const Tier* tier : {&session.features().charge, &session.features().oom}) {
    for (const std::string& miss : tier->misses) {
      spdlog::info("note: {}", miss);
    }
  }
}

void Watch::summary(Session& session, std::chrono::nanoseconds elapsed) const {
  std::string text = fmt::format("seen {} ({} killed), {} in {}", plural(ooms_, "OOM", "OOMs"),
                                 plural(killed_, "process", "processes"), plural(bursts_, "burst", "bursts"),
                                 format_duration(elapsed));
  if (refused_ > 0) {
    text += fmt::format("; memory refused without a kill {}", plural(refused_, "time", "times"));
  }
  if (const auto unseen = session.unseen_kills(); unseen.value_or(0) > 0) {
    text += fmt::format("; {} counted by the machine and shown by no cgroup", plural(*unseen, "kill", "kills"));
  }
  if (filtered_ > 0) {
    text += fmt::format("; {} elsewhere, not shown", filtered_);
  }
  if (incomplete_ > 0) {
    text += fmt::format("; {} with incomplete evidence", incomplete_);
  }
  if (output_.dropped() > 0) {
    text += fmt::format("; {} could not be written", output_.dropped());
  }
  for (const std::string& trouble : stream_troubles(session.resolver().streams())) {
    text += "; " + escape_terminal(trouble);
  }
  if (const auto kubernetes = session.resolver().kubernetes(); kubernetes && is_away(*kubernetes)) {
    text += "; the pods of Kubernetes are not followed: " + escape_terminal(kubernetes->why_not);
  }
  spdlog::info("{}; lost: {}", text, describe(session.collector().loss()));
}

int Watch::run() {
  using std::chrono::steady_clock;
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    spdlog::error("{}", escape_terminal(tree.error().message()));
    return kExitUnsupported;
  }
  auto session =
      Session::open(options_.trace, *tree, [this](const Incident& incident) { tell(incident); }, options_.record);
  if (!session) {
    spdlog::error("{}", escape_terminal(session.error().error.message()));
    return session.error().exit_code;
  }
  banner(**session, *tree);
  follow_recording(**session);

  const auto begin = steady_clock::now();
  while (!stop_requested() && output_.error() == 0) {
    auto longest = std::chrono::milliseconds(100);
    if (options_.duration) {
      const auto left = *options_.duration - (steady_clock::now() - begin);
      if (left <= std::chrono::nanoseconds::zero()) {
        break;
      }
      longest = std::min(longest, std::chrono::ceil<std::chrono::milliseconds>(left));
    }
    if ((*session)->collector().turn(longest) == EventSource::Status::kEnd) {
      break;
    }
    follow_recording(**session);
  }
  ignore_result((*session)->collector().turn(std::chrono::milliseconds(0)));
  const auto recorded = (*session)->finish();
  output_.close(kDrainMs);
  summary(**session, steady_clock::now() - begin);
  if (!recorded) {
    spdlog::error("the recording could not be ended: {}", escape_terminal(recorded.error().message()));
  }
  if (const auto status = (*session)->recording(); status && (!describe_recording(*status) || !recorded)) {
    return kExitFailure;
  }
  if (const int error = output_.error(); error != 0) {
    spdlog::error("standard output could not be written: {}", std::strerror(error));
    return kExitOutput;
  }
  const bool matched =
      (options_.fail_on != FailOn::kNothing && ooms_ > 0) || (options_.fail_on == FailOn::kBurst && bursts_ > 0);
  return matched ? kExitMatched : kExitOk;
}

}  // namespace

int watch(const WatchOptions& options) {
  install_stop_signals();
  return Watch(options).run();
}

}  // namespace memcrest
