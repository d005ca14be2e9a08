// SPDX-License-Identifier: Apache-2.0
#include "report/recorded_names.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxKnown = 16384;

}  // namespace

Frame RecordedNames::at(const ProcessKey* process, std::uint64_t address) const {
  const Key key{process == nullptr ? ProcessKey{} : *process, address};
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  if (known_.size() >= kMaxKnown) {
    known_.clear();
  }
  return known_.emplace(key, reader_.frame_at(process, address).value_or(Frame{})).first->second;
}

std::string words_of_missing_names(const RecordingReader& reader) {
  return reader.has_code_names()
             ? std::string()
             : "it was recorded by a version that kept no names: its stacks are addresses of processes and of its "
               "kernel, which addr2line -e PROGRAM and the System.map of that kernel can name";
}

}  // namespace memcrest
