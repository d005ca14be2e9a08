// SPDX-License-Identifier: Apache-2.0
#include "export/perfetto_stacks.h"

#include <functional>
#include <protozero/pbf_writer.hpp>
#include <utility>

#include "export/perfetto_fields.h"
#include "util/text.h"

namespace memcrest {
namespace {

using protozero::pbf_writer;
namespace interned_field = perfetto::interned;

constexpr std::uint64_t kUserMapping = 1;
constexpr std::uint64_t kKernelMapping = 2;
constexpr std::uint64_t kKernelStart = 1ULL << 63U;

std::size_t mix(std::size_t hash, std::uint64_t value) {
  return (hash ^ (value + 0x9e3779b97f4a7c15ULL + (hash << 6U) + (hash >> 2U))) * 0xff51afd7ed558ccdULL;
}

void interned_string(pbf_writer& writer, std::uint32_t field, std::uint64_t iid, const std::string& text) {
  pbf_writer inner(writer, field);
  inner.add_uint64(interned_field::kIid, iid);
  inner.add_bytes(interned_field::kString, to_valid_utf8(text));
}

}  // namespace

std::size_t PerfettoStacks::Hash::operator()(const Place& place) const {
  return mix(mix(place.process.tgid, place.process.start_ns), place.address);
}

std::size_t PerfettoStacks::Hash::operator()(const std::vector<std::uint64_t>& frames) const {
  std::size_t hash = frames.size();
  for (const std::uint64_t frame : frames) {
    hash = mix(hash, frame);
  }
  return hash;
}

void PerfettoStacks::forget() {
  mappings_told_ = false;
  names_.clear();
  frame_rows_.clear();
  callstacks_.clear();
}

void PerfettoStacks::tell_mappings(std::string& interned) {
  if (std::exchange(mappings_told_, true)) {
    return;
  }
  pbf_writer writer(interned);
  for (const auto& [iid, start, end, name] : {std::tuple(kUserMapping, std::uint64_t{0}, kKernelStart, "user"),
                                              std::tuple(kKernelMapping, kKernelStart, ~std::uint64_t{0}, "kernel")}) {
    interned_string(writer, interned_field::kMappingPaths, iid, name);
    pbf_writer mapping(writer, interned_field::kMappings);
    mapping.add_uint64(interned_field::kIid, iid);
    mapping.add_uint64(interned_field::kMappingStart, start);
    mapping.add_uint64(interned_field::kMappingEnd, end);
    mapping.add_uint64(interned_field::kMappingPath, iid);
  }
}

std::uint64_t PerfettoStacks::name_row(std::string name, std::string& interned) {
  const auto [found, is_new] = names_.try_emplace(std::move(name), names_.size() + 1);
  if (is_new) {
    pbf_writer writer(interned);
    interned_string(writer, interned_field::kFunctionNames, found->second, found->first);
  }
  return found->second;
}

std::uint64_t PerfettoStacks::frame(const ProcessKey& process, std::uint64_t address, bool kernel,
                                    std::string& interned) {
  const auto [found, is_new] =
      frame_rows_.try_emplace({kernel ? ProcessKey{} : process, address}, frame_rows_.size() + 1);
  if (is_new) {
    const std::uint64_t name = name_row(kernel ? frames_.kernel(address) : frames_.user(process, address), interned);
    pbf_writer writer(interned);
    pbf_writer inner(writer, interned_field::kFrames);
    inner.add_uint64(interned_field::kIid, found->second);
    inner.add_uint64(interned_field::kFrameName, name);
    inner.add_uint64(interned_field::kFrameMapping, kernel ? kKernelMapping : kUserMapping);
    inner.add_uint64(interned_field::kFramePc, address);
  }
  return found->second;
}

std::uint64_t PerfettoStacks::number_of(const StepEvent& step, std::string& interned) {
  if (step.user_stack.empty() && step.kernel_stack.empty()) {
    return 0;
  }
  tell_mappings(interned);
  std::vector<std::uint64_t> frames;  // outermost first
  for (const auto& [stack, kernel] : {std::pair(&step.user_stack, false), std::pair(&step.kernel_stack, true)}) {
    for (auto address = stack->rbegin(); address != stack->rend(); ++address) {
      frames.push_back(frame(step.task.process, *address, kernel, interned));
    }
  }
  const auto [found, is_new] = callstacks_.try_emplace(frames, callstacks_.size() + 1);
  if (is_new) {
    pbf_writer writer(interned);
    pbf_writer inner(writer, interned_field::kCallstacks);
    inner.add_uint64(interned_field::kIid, found->second);
    for (const std::uint64_t one : frames) {
      inner.add_uint64(interned_field::kCallstackFrame, one);
    }
  }
  return found->second;
}

}  // namespace memcrest
