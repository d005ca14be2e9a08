// SPDX-License-Identifier: Apache-2.0
// The names of frames that a recording holds. One thread; bounded.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>

#include "export/frame_names.h"
#include "store/recording_reader.h"

namespace memcrest {

class RecordedNames final : public FrameNames {
 public:
  // `reader` outlives it.
  explicit RecordedNames(const RecordingReader& reader) : reader_(reader) {}

  [[nodiscard]] Frame at(const ProcessKey* process, std::uint64_t address) const override;

 private:
  using Key = std::pair<ProcessKey, std::uint64_t>;
  struct Hash {
    std::size_t operator()(const Key& key) const {
      const std::size_t hash = key.first.start_ns * 0x9e3779b97f4a7c15ULL ^ key.first.tgid;
      return (hash ^ (hash >> 29U)) * 0xbf58476d1ce4e5b9ULL ^ key.second;
    }
  };
  const RecordingReader& reader_;
  mutable std::unordered_map<Key, Frame, Hash> known_;  // bounded
};

// How a recording says that its stacks are addresses; empty: they have names.
[[nodiscard]] std::string words_of_missing_names(const RecordingReader& reader);

}  // namespace memcrest
