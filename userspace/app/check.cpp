// SPDX-License-Identifier: Apache-2.0
// `memcrest check`: what this kernel and these privileges allow, hook by hook, and who tells the containers' names.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/exit_codes.h"
#include "app/name_sources.h"
#include "app/verbs.h"
#include "identity/cgroup_tree.h"
#include "probe/features.h"
#include "util/text.h"

namespace memcrest {
namespace {

using Json = nlohmann::ordered_json;

bool supported(const Features& features, const Result<CgroupTree>& tree) {
  // can_load comes first: without it the tiers are untested.
  // Missing privileges make watch fail; a kernel without BPF only takes it to the lowest rungs.
  return tree.has_value() && (features.can_load() || !features.btf);
}

Json tier_json(const Tier& tier) { return {{"name", tier.name}, {"programs", tier.programs}, {"misses", tier.misses}}; }

Json rungs_json(const std::vector<Tier>& rungs) {
  Json out = Json::array();
  for (const Tier& tier : rungs) {
    Json one = tier_json(tier);
    one["available"] = tier.unavailable.empty();
    one["reason"] = to_valid_utf8(tier.unavailable);
    out.push_back(std::move(one));
  }
  return out;
}

std::string as_json(const Features& features, const Result<CgroupTree>& tree, const std::vector<NameSource>& sources) {
  Json out;
  out["schema"] = "memcrest.check.v1";
  out["version"] = MEMCREST_VERSION;
  out["supported"] = supported(features, tree);
  out["kernel"] = to_valid_utf8(features.kernel);
  out["machine"] = to_valid_utf8(features.machine);
  out["btf"] = features.btf;
  out["btf_error"] = features.btf ? Json() : Json(to_valid_utf8(features.btf_error));
  out["lockdown"] = to_valid_utf8(features.lockdown);
  out["typed_loads"] = features.rdonly_cast;
  out["cgroup_version"] = tree ? Json(tree->version()) : Json();
  out["cgroup_mount"] = tree ? Json(to_valid_utf8(tree->mount_point())) : Json();
  out["charge_tier"] = tier_json(features.charge);
  out["oom_tier"] = tier_json(features.oom);
  out["charge_tiers"] = rungs_json(features.ladder.charge);
  out["oom_tiers"] = rungs_json(features.ladder.oom);
  out["hooks"] = Json::array();
  for (const Hook& hook : features.hooks) {
    out["hooks"].push_back({{"name", hook.program},
                            {"kind", hook.kind},
                            {"target", hook.target},
                            {"state", to_string(hook.state)},
                            {"reason", to_valid_utf8(hook.reason)},
                            {"shows", hook.purpose}});
  }
  out["capabilities"] = Json::array();
  for (const CapabilityStatus& one : features.capabilities) {
    out["capabilities"].push_back(
        {{"name", one.name}, {"held", one.held}, {"required", one.required}, {"consequence", one.consequence}});
  }
  out["name_sources"] = Json::array();
  for (const NameSource& one : sources) {
    out["name_sources"].push_back({{"name", one.name},
                                   {"state", to_string(one.state)},
                                   {"reason", to_valid_utf8(one.reason)},
                                   {"tells", one.tells}});
  }
  return out.dump();
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

void print_tier(const char* label, const Tier& tier) {
  std::cout << padded(label, 14) << tier.name << "\n";
  for (const std::string& miss : tier.misses) {
    std::cout << padded("", 14) << "misses: " << miss << "\n";
  }
}

void print_ladder(const char* option, const std::vector<Tier>& rungs, const Tier& chosen) {
  std::cout << "\n" << option << "\n";
  for (const Tier& tier : rungs) {
    const bool can = tier.unavailable.empty();
    std::cout << "  " << padded(tier.name == chosen.name ? "chosen" : can ? "possible" : "no", 11) << tier.name;
    if (!can) {
      std::cout << " (" << escape_terminal(tier.unavailable) << ")";
    }
    std::cout << "\n";
  }
}

// A daemon that is not there is no news: many machines have but one.
const char* word(NameSource::State state) {
  switch (state) {
    case NameSource::State::kWorks:
      return "works";
    case NameSource::State::kAbsent:
      return "absent";
    case NameSource::State::kFails:
      return "FAILS";
    case NameSource::State::kNotAsked:
      return "not asked";
  }
  return "not asked";
}

void print_sources(const std::vector<NameSource>& sources) {
  std::cout << "\nnames of containers\n";
  for (const NameSource& one : sources) {
    std::cout << "  " << padded(word(one.state), 11) << padded(one.name, 18) << one.tells;
    if (!one.reason.empty()) {
      std::cout << " (" << escape_terminal(one.reason) << ")";
    }
    std::cout << "\n";
  }
}

void print(const Features& features, const Result<CgroupTree>& tree, const std::vector<NameSource>& sources) {
  std::cout << padded("kernel", 14) << escape_terminal(features.kernel + " " + features.machine) << "\n";
  std::cout << padded("BTF", 14)
            << (!features.btf_file.empty() && features.btf ? "from a file"
                : features.btf                             ? "yes"
                                                           : escape_terminal(features.btf_error))
            << "\n";
  std::cout << padded("lockdown", 14) << escape_terminal(features.lockdown) << "\n";
  std::cout << padded("cgroup", 14)
            << (tree ? "v" + std::to_string(tree->version()) + " at " + escape_terminal(tree->mount_point())
                     : escape_terminal(tree.error().message()))
            << "\n";
  print_tier("charges", features.charge);
  print_tier("oom", features.oom);
  print_ladder("--charge-tier", features.ladder.charge, features.charge);
  print_ladder("--oom-tier", features.ladder.oom, features.oom);
  std::cout << "\nhooks\n";
  for (const Hook& hook : features.hooks) {
    std::cout << "  " << padded(to_string(hook.state), 11) << padded(hook.kind + "/" + hook.target, 41) << hook.purpose;
    if (!hook.reason.empty()) {
      std::cout << " (" << escape_terminal(hook.reason) << ")";
    }
    std::cout << "\n";
  }
  std::cout << "\ncapabilities\n";
  for (const CapabilityStatus& one : features.capabilities) {
    std::cout << "  "
              << padded(one.held       ? "held"
                        : one.required ? "MISSING"
                                       : "absent",
                        11)
              << (one.held ? one.name : padded(one.name, 18) + one.consequence) << "\n";
  }
  if (!sources.empty()) {
    print_sources(sources);
  }
  std::cout << "\n"
            << (supported(features, tree)
                    ? features.lower.bpf ? "memcrest watch works here.\n" : "memcrest watch works here, without BPF.\n"
                    : "memcrest watch does not work here, or it could not be tested.\n");
}

}  // namespace

int check(const CheckOptions& options) {
  const SystemRoot root;
  const auto tree = CgroupTree::open(root);
  const Features features = probe_features(root, {.btf_file = options.btf_file, .disabled = {}});
  const auto sources = tree ? try_name_sources(options.identity, *tree) : std::vector<NameSource>();
  if (options.json) {
    std::cout << as_json(features, tree, sources) << "\n";
  } else {
    print(features, tree, sources);
  }
  std::cout << std::flush;
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return supported(features, tree) ? kExitOk : kExitUnsupported;
}

}  // namespace memcrest
