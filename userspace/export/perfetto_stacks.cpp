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

constexpr const char* kUser = "user";  // a file that is not known
constexpr const char* kKernel = "kernel";
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
  mappings_.clear();
  names_.clear();
  frame_rows_.clear();
  callstacks_.clear();
}

// One for each file. Only of the kernel and of what is not known the addresses are those of the frames.
std::uint64_t PerfettoStacks::mapping_row(const std::string& module, const std::string& build_id,
                                          std::string& interned) {
  const auto [found, is_new] = mappings_.try_emplace(module + '\0' + build_id, mappings_.size() + 1);
  if (is_new) {
    const bool kernel = module == kKernel;
    pbf_writer writer(interned);
    interned_string(writer, interned_field::kMappingPaths, found->second, module);
    if (!build_id.empty()) {
      interned_string(writer, interned_field::kBuildIds, found->second, build_id);
    }
    pbf_writer mapping(writer, interned_field::kMappings);
    mapping.add_uint64(interned_field::kIid, found->second);
    if (!build_id.empty()) {
      mapping.add_uint64(interned_field::kMappingBuildId, found->second);
    }
    mapping.add_uint64(interned_field::kMappingStart, kernel ? kKernelStart : 0);
    mapping.add_uint64(interned_field::kMappingEnd, kernel ? ~std::uint64_t{0} : kKernelStart);
    mapping.add_uint64(interned_field::kMappingPath, found->second);
  }
  return found->second;
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
    const Frame known = frames_.at(kernel ? nullptr : &process, address);
    const std::uint64_t name = name_row(label_of(known, address), interned);
    const std::string module = kernel ? kKernel : known.module.empty() ? kUser : known.module;
    const std::uint64_t mapping = mapping_row(module, known.build_id, interned);
    pbf_writer writer(interned);
    pbf_writer inner(writer, interned_field::kFrames);
    inner.add_uint64(interned_field::kIid, found->second);
    inner.add_uint64(interned_field::kFrameName, name);
    inner.add_uint64(interned_field::kFrameMapping, mapping);
    inner.add_uint64(interned_field::kFramePc, known.offset != 0 ? known.offset : address);
  }
  return found->second;
}

std::uint64_t PerfettoStacks::number_of(const StepEvent& step, std::string& interned) {
  if (step.user_stack.empty() && step.kernel_stack.empty()) {
    return 0;
  }
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
