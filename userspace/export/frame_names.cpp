// SPDX-License-Identifier: Apache-2.0
#include "export/frame_names.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace memcrest {

std::string hex_address(std::uint64_t address) {
  std::array<char, 2 + 16> text{'0', 'x'};
  const auto end = std::to_chars(text.data() + 2, text.data() + text.size(), address, 16).ptr;
  return {text.data(), end};
}

std::string label_of(const Frame& frame, std::uint64_t address) {
  if (!frame.name.empty()) {
    return frame.name;
  }
  if (frame.module.empty()) {
    return hex_address(address);
  }
  const std::string file = frame.module.substr(frame.module.rfind('/') + 1);
  return (file.empty() ? frame.module : file) + "+" + hex_address(frame.offset != 0 ? frame.offset : address);
}

std::string FrameNames::user(const ProcessKey& process, std::uint64_t address) const {
  return label_of(at(&process, address), address);
}

std::string FrameNames::kernel(std::uint64_t address) const { return label_of(at(nullptr, address), address); }

void FrameNames::trim(StepEvent& step) const {
  const auto end = std::ranges::find_if(
      step.user_stack, [&](std::uint64_t address) { return at(&step.task.process, address).module == kNoCode; });
  step.user_stack.erase(end, step.user_stack.end());
}

}  // namespace memcrest
