// SPDX-License-Identifier: Apache-2.0
#include "app/advise_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "app/filter_options.h"
#include "app/option_values.h"
#include "app/trace_options.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMostMargin = 400;
constexpr int kLiveWindows = 30;  // of a short look at the running machine

template <typename Value>
void add_choice(CLI::App& verb, const std::string& name, Value& target, const std::map<std::string, Value>& known,
                const std::string& type, const std::string& help) {
  verb.add_option_function<std::string>(
          name,
          [&target, known, name, type](const std::string& text) {
            const auto found = known.find(text);
            if (found == known.end()) {
              throw CLI::ValidationError(name, "must be one of " + type);
            }
            target = found->second;
          },
          help)
      ->type_name(type);
}

}  // namespace

CLI::App* add_advise(CLI::App& app, AdviseOptions& options) {
  CLI::App* verb = app.add_subcommand("advise", "Tell which memory limits fit: too small, fine, wasteful, missing");
  verb->add_option("file", options.paths, "Recordings, or directories of them")->type_name("FILE|DIR");
  add_duration(*verb, "--live", options.live, 1s, kYear, "Observe this machine so long instead; Ctrl-C ends it early");
  add_choice<AdviseFormat>(*verb, "--format", options.format,
                           {{"text", AdviseFormat::kText},
                            {"json", AdviseFormat::kJson},
                            {"docker", AdviseFormat::kDocker},
                            {"compose", AdviseFormat::kCompose},
                            {"kubernetes", AdviseFormat::kKubernetes}},
                           "text|json|docker|compose|kubernetes",
                           "text, json (docs/advise.schema.json), or lines to be used as they are");
  add_choice<SizingBy>(
      *verb, "--by", options.sizing.by,
      {{"container", SizingBy::kContainer}, {"image", SizingBy::kImage}, {"workload", SizingBy::kWorkload}},
      "container|image|workload",
      "Put together what is of one image, or of one Compose service or Kubernetes owner (default: "
      "container; with the formats compose and kubernetes: workload)");
  add_duration(*verb, "--window", options.sizing.window, 10ms, 24h,
               "Length of the windows that peaks are told of (default: 1min; with a short --live: a thirtieth of it)");
  verb->add_option("--margin", options.sizing.margin_percent, "Room above the peak in an advised limit (default: 20)")
      ->check(CLI::Range(std::uint32_t{0}, kMostMargin))
      ->type_name("PERCENT");
  verb->add_flag("--all", options.sizing.all, "Also cgroups that are no container, and pod sandboxes");
  add_filter(*verb, options.filter);
  add_trace(*verb, options.trace);
  verb->footer(
      "Recordings need no privileges, and work on any machine. PEAK is exact where the kernel's own mark rose while "
      "it\n"
      "was recorded, and '>=' else. \"At limits\" counts windows that were seen; it promises nothing of the next "
      "ones.\n"
      "Examples:\n"
      "  memcrest advise week.db\n"
      "  memcrest advise /var/lib/recordings --by workload --format kubernetes > limits.yaml\n"
      "  memcrest advise --live 10m --container 'shop-*' --margin 30");
  return verb;
}

void check_advise(const CLI::App& verb, AdviseOptions& options) {
  if (options.live && !options.paths.empty()) {
    throw CLI::ValidationError("--live", "observes this machine: it goes with no recording");
  }
  if (!options.live && options.paths.empty()) {
    throw CLI::ValidationError("advise", "give a recording, or --live DURATION");
  }
  check_trace(options.trace);
  if (verb.count("--by") == 0 &&
      (options.format == AdviseFormat::kCompose || options.format == AdviseFormat::kKubernetes)) {
    options.sizing.by = SizingBy::kWorkload;
  }
  if (options.format == AdviseFormat::kDocker && options.sizing.by != SizingBy::kContainer) {
    throw CLI::ValidationError("--by", "docker update names single containers: --format docker goes with container");
  }
  if (options.live && verb.count("--window") == 0) {
    const std::chrono::nanoseconds least = 1s;
    options.sizing.window = std::clamp(*options.live / kLiveWindows, least, options.sizing.window);
  }
}

}  // namespace memcrest
