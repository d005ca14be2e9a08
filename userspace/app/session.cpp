// SPDX-License-Identifier: Apache-2.0
#include "app/session.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "app/exit_codes.h"
#include "probe/kallsyms.h"
#include "util/fd.h"

namespace memcrest {
namespace {

Host read_host(const SystemRoot& root, const Features& features) {
  Host host;
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) == 0) {
    host.name = name;
  }
  host.kernel = features.kernel;
  if (auto boot_id = read_file(root.proc + "/sys/kernel/random/boot_id")) {
    host.boot_id = boot_id->substr(0, boot_id->find('\n'));
  }
  return host;
}

std::optional<std::uint64_t> read_total_memory(const SystemRoot& root) {
  const auto text = read_file(root.proc + "/meminfo");
  constexpr std::string_view kKey = "MemTotal:";
  if (!text || !text->starts_with(kKey)) {
    return std::nullopt;
  }
  const char* at = text->data() + text->find_first_not_of(' ', kKey.size());
  std::uint64_t kib = 0;
  if (std::from_chars(at, text->data() + text->size(), kib).ec != std::errc{}) {
    return std::nullopt;
  }
  return kib * 1024;
}

std::string missing_privileges(const Features& features) {
  std::string out;
  for (const CapabilityStatus& one : features.capabilities) {
    if (one.required && !one.held) {
      out += (out.empty() ? "" : "; ") + one.name + " is missing: " + one.consequence;
    }
  }
  return out + ". Run it as root, or see 'memcrest check'";
}

}  // namespace

// BPF as far as the kernel allows it. The hooks are attached when this returns.
std::expected<void, Session::Failure> Session::open_probe(const TraceOptions& options) {
  const auto failed = [](Error error, int code) { return std::unexpected(Failure{std::move(error), code}); };
  LoadSettings load;
  load.step_bytes = options.step_bytes;
  load.critical_ring_bytes = options.critical_ring_bytes;
  load.bulk_ring_bytes = options.bulk_ring_bytes;
  load.tiers = {options.charge_tier, options.oom_tier};
  auto probe = LoadedProbe::load(load, features_);
  if (!probe) {
    return failed(probe.error(), kExitUnsupported);
  }
  LoadedProbe& loaded = **probe;
  auto source = RingSource::open(std::move(*probe), find_kernel_functions(root_.proc), clock_, root_);
  if (!source) {
    return failed(source.error(), kExitFailure);
  }
  if (auto attached = loaded.attach(features_); !attached) {
    return failed(attached.error(), kExitUnsupported);
  }
  sources_.push_back(std::move(*source));
  return {};
}

std::expected<void, Session::Failure> Session::open_sources(const TraceOptions& options) {
  const auto failed = [](Error error, int code) { return std::unexpected(Failure{std::move(error), code}); };
  if (auto chosen = choose_tiers(features_, {options.charge_tier, options.oom_tier}); !chosen) {
    return failed(chosen.error(), kExitUnsupported);
  }
  // Missing privileges are a mistake to be told, a kernel without BPF is a fact to live with.
  const bool asked = options.charge_tier && options.oom_tier;
  if (!features_.can_load() && features_.btf && !asked) {
    return failed({"attach to the kernel", "", 0, missing_privileges(features_)}, kExitUnsupported);
  }
  if (!features_.programs.empty()) {
    if (auto opened = open_probe(options); !opened) {
      return std::unexpected(opened.error());
    }
  }
  return {};
}

std::expected<std::unique_ptr<Session>, Session::Failure> Session::open(const TraceOptions& options,
                                                                        const CgroupTree& tree, Collector::Sink sink) {
  const auto failed = [](Error error, int code) { return std::unexpected(Failure{std::move(error), code}); };
  std::unique_ptr<Session> out(new Session());
  out->tree_ = std::make_unique<CgroupTree>(tree);
  out->features_ = probe_features(out->root_, {.btf_file = options.btf_file, .disabled = options.disabled_hooks});
  for (const std::string& name : options.disabled_hooks) {
    if (out->features_.hook(name) == nullptr) {
      return failed({"--disable-hook", name, 0, "no such hook; 'memcrest check' lists them"}, kExitUsage);
    }
  }
  if (auto opened = out->open_sources(options); !opened) {
    return std::unexpected(opened.error());
  }
  ResolverSettings resolver;
  resolver.docker_socket = options.docker_socket;
  out->resolver_ = std::make_unique<Resolver>(*out->tree_, out->clock_, resolver);
  out->resolver_->scan();

  CollectorSettings settings;
  settings.bursts.min_bytes = options.burst_min_bytes;
  settings.bursts.window = options.burst_window;
  settings.charge_tier = out->features_.charge.name;
  settings.oom_tier = out->features_.oom.name;
  settings.host = read_host(out->root_, out->features_);
  settings.host_memory_bytes = read_total_memory(out->root_);
  const Tier& charge = out->features_.charge;
  settings.falls_are_seen = charge.uses("on_page_counter_uncharge") || charge.uses("on_page_counter_uncharge_kprobe");
  out->source_ = std::make_unique<MergedSource>(std::move(out->sources_));
  out->collector_ = std::make_unique<Collector>(*out->source_, *out->resolver_, *out->tree_, out->clock_, out->root_,
                                                std::move(settings), std::move(sink));
  return out;
}

std::string describe_tiers(const Features& features) {
  return "charges " + features.charge.name + " · oom " + features.oom.name;
}

}  // namespace memcrest
