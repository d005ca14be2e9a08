// SPDX-License-Identifier: Apache-2.0
#include "app/trace_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>

#include "app/option_values.h"
#include "probe/tiers.h"

namespace memcrest {
namespace {

void add_ring(CLI::App& app, const std::string& name, std::uint64_t& target, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&target, name](const std::string& text) {
           const auto size = parse_size(text);
           if (!size || !std::has_single_bit(*size) || *size < kPage || *size > (1ULL << 30U)) {
             throw CLI::ValidationError(name, "must be a power of two between 4 KiB and 1 GiB");
           }
           target = *size;
         },
         help)
      ->type_name("SIZE")
      ->group("Advanced");
}

template <std::size_t N>
void add_tier(CLI::App& app, const std::string& name, std::optional<std::string>& target, const char* const (&tiers)[N],
              const std::string& help) {
  std::string names;
  for (const char* tier : tiers) {
    names += (names.empty() ? "" : ", ") + std::string(tier);
  }
  app.add_option_function<std::string>(
         name,
         [&target, &tiers, name, names](const std::string& text) {
           if (std::ranges::find(tiers, text) == std::end(tiers)) {
             throw CLI::ValidationError(name, "must be one of: " + names);
           }
           target = text;
         },
         help + ": " + names)
      ->type_name("TIER")
      ->group("Advanced");
}

}  // namespace

void add_btf(CLI::App& app, std::string& target) {
  app.add_option("--btf", target, "The kernel's types from this file, where the kernel offers none (raw BTF or ELF)")
      ->type_name("FILE")
      ->group("Advanced");
}

void add_trace(CLI::App& app, TraceOptions& trace) {
  using namespace std::chrono_literals;
  add_size(app, "--step", trace.step_bytes, kPage, kMaxSize,
           "Growth between two records of a cgroup (default: limit / 128, at least 1 MiB)")
      ->group("Detection");
  add_size(app, "--burst-min", trace.burst_min_bytes, kPage, kMaxSize,
           "Smallest rise that is a burst (default: 5 % of the limit, at least 16 MiB)")
      ->group("Detection");
  add_duration(app, "--burst-window", trace.burst_window, 1ms, 1min, "Time within which it must rise (default: 1s)")
      ->group("Detection");
  add_identity(app, trace.identity);
  app.add_flag_callback(
         "--redact-cmdline", [&trace] { trace.cmdlines = CmdlineDetail::kProgramOnly; },
         "Show programs without their arguments (default: only what looks like a secret becomes ***)")
      ->group("Privacy");
  app.add_option_function<std::string>(
         "--unwind",
         [&trace](const std::string& how) {
           if (how != "eh-frame" && how != "frame-pointers") {
             throw CLI::ValidationError("--unwind", "must be frame-pointers or eh-frame");
           }
           trace.unwind = how == "eh-frame";
         },
         "How callers are found (default: frame-pointers): eh-frame also where code keeps none, for up to 8 KiB of "
         "each "
         "step's stack (x86-64, Linux 5.15)")
      ->type_name("HOW")
      ->group("Detection");
  add_ring(app, "--critical-ring", trace.critical_ring_bytes, "Ring buffer for OOM, kill and lifecycle records");
  add_ring(app, "--bulk-ring", trace.bulk_ring_bytes, "Ring buffer for usage steps");
  app.add_option("--disable-hook", trace.disabled_hooks, "Do without this program (names: memcrest check); repeatable")
      ->type_name("NAME")
      ->group("Advanced");
  add_tier(app, "--charge-tier", trace.charge_tier, kChargeTiers, "See charges this way (default: the best there is)");
  add_tier(app, "--oom-tier", trace.oom_tier, kOomTiers, "See OOM kills this way (default: the best there is)");
  add_btf(app, trace.btf_file);
}

void check_trace(const TraceOptions& trace) {
  if (trace.step_bytes && trace.burst_min_bytes && *trace.burst_min_bytes < *trace.step_bytes) {
    throw CLI::ValidationError("--burst-min", "is smaller than --step: such a burst could not be seen");
  }
}

}  // namespace memcrest
