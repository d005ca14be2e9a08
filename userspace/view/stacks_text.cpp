// SPDX-License-Identifier: Apache-2.0
#include "view/stacks_text.h"

#include <cstdio>
#include <string_view>

#include "util/text.h"
#include "util/units.h"
#include "view/layout.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

std::string place_in_file(const Frame& frame) {
  char offset[32] = "";
  if (frame.offset != 0) {
    std::snprintf(offset, sizeof(offset), "+0x%llx", static_cast<unsigned long long>(frame.offset));
  }
  return escape_terminal(frame.module) + offset;
}

// Never cut: who asks for this wants to look it up elsewhere.
std::string line_of(const Frame& frame, const TextStyle& style) {
  std::string out = "    " + (frame.name.empty() ? std::string("?") : escape_terminal(frame.name));
  if (frame.line != 0) {
    out += "  " + escape_terminal(frame.file) + ":" + std::to_string(frame.line);
  }
  return out + in_tone(frame.inlined ? "  (inlined)" : "  " + place_in_file(frame), Tone::kDim, style.color) + "\n";
}

}  // namespace

std::string stacks_text(const Incident& incident, const TextStyle& style) {
  if (!incident.burst || incident.burst->stacks.empty()) {
    return {};
  }
  const std::string& name = incident.container.name.empty() ? incident.cgroup.path : incident.container.name;
  std::string out = in_tone(format_rfc3339(incident.unix_ns), Tone::kBold, style.color) + "  " +
                    to_string(incident.kind) + (name.empty() ? "" : "  " + escape_terminal(name)) + "  " +
                    escape_terminal(incident.id) + "\n";
  for (const GrowthStack& stack : incident.burst->stacks) {
    out += "  " + view::percent(stack.share) + "  " + format_size(stack.bytes) + "  " + to_string(stack.kind) + "\n";
    for (const Frame& frame : stack.frames) {
      out += line_of(frame, style);
    }
    if (!stack.gap.empty()) {
      out += in_tone("    (" + escape_terminal(stack.gap) + ")", Tone::kDim, style.color) + "\n";
    }
  }
  return out + "\n";
}

}  // namespace memcrest
