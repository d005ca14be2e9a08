// SPDX-License-Identifier: Apache-2.0
// Call stacks of a Perfetto trace, each told once and then named by number. For the sources of this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/frame_names.h"
#include "memcrest/event.h"

namespace memcrest {

class PerfettoStacks {
 public:
  PerfettoStacks(const FrameNames& frames, std::size_t max_frames, std::size_t max_stacks)
      : frames_(frames), max_frames_(max_frames), max_stacks_(max_stacks) {}

  // No room for another stack: the trace must say that numbers begin anew, and forget() be called.
  [[nodiscard]] bool full() const { return callstacks_.size() >= max_stacks_ || frame_rows_.size() >= max_frames_; }
  void forget();

  // The number of a step's stack, the kernel's frames within the user's; 0: it has none. Appends to `interned`, a
  // message InternedData, what has not been told yet.
  [[nodiscard]] std::uint64_t number_of(const StepEvent& step, std::string& interned);

 private:
  struct Place {
    ProcessKey process;  // none for the kernel
    std::uint64_t address;
    bool operator==(const Place&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Place& place) const;
    std::size_t operator()(const std::vector<std::uint64_t>& frames) const;
  };
  [[nodiscard]] std::uint64_t frame(const ProcessKey& process, std::uint64_t address, bool kernel,
                                    std::string& interned);
  [[nodiscard]] std::uint64_t mapping_row(const std::string& module, const std::string& build_id,
                                          std::string& interned);
  [[nodiscard]] std::uint64_t name_row(std::string name, std::string& interned);

  const FrameNames& frames_;
  std::size_t max_frames_;
  std::size_t max_stacks_;
  std::unordered_map<std::string, std::uint64_t> names_;
  std::unordered_map<std::string, std::uint64_t> mappings_;  // by module and build id
  std::unordered_map<Place, std::uint64_t, Hash> frame_rows_;
  std::unordered_map<std::vector<std::uint64_t>, std::uint64_t, Hash> callstacks_;  // by their frames
};

}  // namespace memcrest
