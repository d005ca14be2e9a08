// SPDX-License-Identifier: Apache-2.0
// `memcrest top`: a source, the model and the screen, in one loop.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "app/exit_codes.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "app/top_sources.h"
#include "app/verbs.h"
#include "export/live_json.h"
#include "top/top_model.h"
#include "top/top_page.h"
#include "top/top_screen.h"
#include "util/text.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kWork{40};     // between two looks at the keyboard, while events come in
constexpr milliseconds kNotice{200};  // that it should stop

class Top {
 public:
  Top(const TopOptions& options, TopSource& source)
      : options_(options), source_(source), model_(source.name(), options.order) {}

  int once();
  int run();

 private:
  void look();
  void look_at_detail();
  void draw(TopScreen& screen);
  void obey(const TopCommand& command);
  void play();

  const TopOptions& options_;
  TopSource& source_;
  TopModel model_;
  bool quit_ = false;
  bool wants_look_ = true;
};

void Top::look_at_detail() {
  if (const auto id = model_.detail_id()) {
    if (auto detail = source_.detail(*id)) {
      model_.set(std::move(*detail));
    }
  }
}

void Top::look() {
  auto snapshot = source_.look();
  if (!snapshot) {
    model_.set_trouble(snapshot.error().message());
    return;
  }
  model_.set_trouble({});
  model_.set(source_.travel());
  model_.set(std::move(*snapshot));
  if (auto incidents = source_.incidents()) {
    model_.set(std::move(*incidents));
  }
  look_at_detail();
}

int Top::once() {
  // Recordings stand still; of this machine nothing is known before the first interval is over.
  const auto end = steady_clock::now() + options_.interval;
  look();
  while (!source_.travel() && !stop_requested() && steady_clock::now() < end) {
    source_.tend(std::chrono::ceil<milliseconds>(std::min<steady_clock::duration>(end - steady_clock::now(), kNotice)));
    if (!options_.agent.url.empty()) {  // nothing to be tended here
      std::this_thread::sleep_for(std::min<steady_clock::duration>(end - steady_clock::now(), kNotice));
    }
  }
  auto snapshot = source_.look();
  if (!snapshot) {
    spdlog::error("{}", escape_terminal(snapshot.error().message()));
    return kExitFailure;
  }
  const std::int64_t unix_ns = snapshot->unix_ns;
  model_.set(std::move(*snapshot));
  if (options_.json) {
    for (const LiveRow& row : model_.rows()) {
      std::cout << to_json(row, unix_ns) << "\n";
    }
  } else {
    constexpr std::size_t kPipe = 200;
    const Terminal terminal = terminal_of_stdout();
    std::cout << top_once(model_, terminal.present ? terminal.columns.value_or(80) : kPipe,
                          terminal.color && !options_.no_color);
  }
  std::cout << std::flush;
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return kExitOk;
}

void Top::draw(TopScreen& screen) {
  std::vector<std::uint64_t> ids;
  screen.draw(top_page(model_, screen.columns(), screen.rows()));
  const std::size_t room = screen.rows();
  const std::size_t from = model_.selected() > room / 2 ? model_.selected() - room / 2 : 0;
  for (std::size_t i = from; i < model_.items().size() && ids.size() < room; ++i) {
    if (const auto row = model_.items()[i].row) {
      ids.push_back(model_.rows()[*row].memory.cgroup.id);
    }
  }
  source_.shown(ids);
}

void Top::obey(const TopCommand& command) {
  quit_ = command.quit;
  if (command.go_to) {
    source_.go_to(*command.go_to);
  }
  wants_look_ = wants_look_ || command.look;
}

// A recording goes on by itself at the speed at which it was made.
void Top::play() {
  const auto travel = source_.travel();
  if (!travel || !model_.playing()) {
    return;
  }
  source_.go_to(travel->now_ns + static_cast<std::uint64_t>(options_.interval.count()));
}

int Top::run() {
  const Terminal terminal = terminal_of_stdout();
  auto screen = TopScreen::open(terminal.color && !options_.no_color);
  if (!screen) {
    spdlog::error("{}", escape_terminal(screen.error().message()));
    return kExitUsage;
  }
  spdlog::set_level(spdlog::level::off);  // nothing else may write on the screen
  const bool works = source_.travel() == std::nullopt && options_.agent.url.empty();
  auto next = steady_clock::now();
  while (!quit_ && !stop_requested()) {
    const auto now = steady_clock::now();
    bool dirty = false;
    if (now >= next || wants_look_) {
      if (now >= next) {
        play();
        next = now + options_.interval;
      }
      wants_look_ = false;
      look();
      dirty = true;
    }
    for (auto input = (*screen)->read(milliseconds(0)); input && !quit_; input = (*screen)->read(milliseconds(0))) {
      obey(model_.handle(*input));
      dirty = true;
    }
    if (wants_look_ || quit_) {
      continue;
    }
    if (dirty) {
      draw(**screen);
    }
    const auto left = std::chrono::ceil<milliseconds>(std::max<steady_clock::duration>(next - steady_clock::now(), {}));
    if (works) {
      if (!source_.tend(std::min(left, kWork))) {
        break;
      }
    } else if (auto input = (*screen)->read(std::min(left, kNotice))) {
      obey(model_.handle(*input));
      draw(**screen);
    }
  }
  screen->reset();
  spdlog::set_level(spdlog::level::info);
  return kExitOk;
}

}  // namespace

int top(const TopOptions& options) {
  install_stop_signals();
  auto source = !options.agent.url.empty() ? open_agent_top(options)
                : !options.path.empty()    ? open_recorded_top(options)
                                           : open_live_top(options);
  if (!source) {
    spdlog::error("{}", escape_terminal(source.error().error.message()));
    return source.error().exit_code;
  }
  Top verb(options, **source);
  return options.once || options.json ? verb.once() : verb.run();
}

}  // namespace memcrest
