// SPDX-License-Identifier: Apache-2.0
#include "symbol/frame_finder.h"

#include "symbol/demangle.h"
#include "symbol/perf_map.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxNamesOfModule = 8192;

// Returns as it is given up, too: what it works on is its own.
struct Lookup {
  std::vector<FunctionAt> wanted;
  std::vector<bool> framed;  // in their order
  bool whole = true;
};

Lookup all_of(const std::set<std::uint64_t>& addresses) {
  Lookup out;
  for (const std::uint64_t address : addresses) {
    out.wanted.push_back({address, {}, 0});
  }
  return out;
}

}  // namespace

// Each file once, whatever the number of stacks.
bool FrameFinder::look_up(const std::vector<std::shared_ptr<const ProcessStack>>& stacks,
                          std::chrono::steady_clock::time_point until) {
  std::map<Module*, std::pair<std::shared_ptr<Module>, std::set<std::uint64_t>>> wanted;
  std::map<const Fd*, std::pair<std::shared_ptr<Fd>, std::set<std::uint64_t>>> jit;
  for (const auto& stack : stacks) {
    for (const CodePlace& place : stack != nullptr ? stack->placed.places : std::vector<CodePlace>()) {
      if (place.module && !place.module->names.contains(place.address)) {
        wanted[place.module.get()].first = place.module;
        wanted[place.module.get()].second.insert(place.address);
      } else if (!place.module && stack->perf_map) {
        jit[stack->perf_map.get()].first = stack->perf_map;
        jit[stack->perf_map.get()].second.insert(place.address);
      }
    }
  }
  bool whole = true;
  for (const auto& [key, one] : wanted) {
    whole = std::chrono::steady_clock::now() < until && name_module(one.first, one.second) && whole;
  }
  jit_names_.clear();
  for (const auto& [key, one] : jit) {
    whole = std::chrono::steady_clock::now() < until && name_jit(one.first, one.second) && whole;
  }
  return whole;
}

bool FrameFinder::name_module(const std::shared_ptr<Module>& module, const std::set<std::uint64_t>& addresses) {
  const auto found = patience_.run("file " + module->path, [module, lookup = all_of(addresses)]() mutable {
    if (module->debug_file) {
      lookup.whole = find_functions(module->debug_file.get(), module->debug_info, lookup.wanted);
    }
    lookup.whole = find_functions(module->file.get(), module->info, lookup.wanted) && lookup.whole;
    for (const FunctionAt& one : lookup.wanted) {
      lookup.framed.push_back(!one.name.empty() && begins_with_frame(*module, one.start));
    }
    return lookup;
  });
  if (!found) {
    return false;
  }
  if (module->names.size() > kMaxNamesOfModule) {
    module->names.clear();
  }
  for (std::size_t i = 0; i < found->wanted.size(); ++i) {
    const FunctionAt& one = found->wanted[i];
    module->names[one.address] = {one.name.empty() ? "" : demangle(one.name), found->framed[i]};
  }
  return found->whole;
}

bool FrameFinder::name_jit(const std::shared_ptr<Fd>& map, const std::set<std::uint64_t>& addresses) {
  const auto found = patience_.run("perf map", [map, lookup = all_of(addresses)]() mutable {
    lookup.whole = find_in_perf_map(map->get(), lookup.wanted);
    return lookup;
  });
  for (const FunctionAt& one : found ? found->wanted : std::vector<FunctionAt>()) {
    jit_names_[{map.get(), one.address}] = one.name;
  }
  return found && found->whole;
}

bool FrameFinder::innermost_framed(const PlacedStack& stack) {
  if (stack.places.empty() || !stack.places.front().module) {
    return true;
  }
  const auto& names = stack.places.front().module->names;
  const auto name = names.find(stack.places.front().address);
  return name != names.end() && name->second.framed;
}

std::vector<Frame> FrameFinder::frames_of(const ProcessStack& stack) const {
  std::vector<Frame> out;
  for (const CodePlace& place : stack.placed.places) {
    Frame frame;
    if (place.module) {
      const auto name = place.module->names.find(place.address);
      frame.name = name == place.module->names.end() ? "" : name->second.text;
      frame.module = place.module->path;
      frame.build_id = place.module->info.build_id;
      frame.offset = place.address;
    } else {
      const auto name = jit_names_.find({stack.perf_map.get(), place.address});
      frame.name = name == jit_names_.end() ? "" : name->second;
      frame.module = place.label;
    }
    out.push_back(std::move(frame));
  }
  return out;
}

}  // namespace memcrest
