// SPDX-License-Identifier: Apache-2.0
// What the frames of a stack are called in exports and reports.
#pragma once

#include <cstdint>
#include <string>

#include "memcrest/event.h"
#include "memcrest/stack.h"

namespace memcrest {

class FrameNames {
 public:
  virtual ~FrameNames() = default;
  // What is known of this address of a process, or of the kernel (nullptr). May hold any byte: symbols come from
  // programs.
  [[nodiscard]] virtual Frame at(const ProcessKey* process, std::uint64_t address) const = 0;

  // In one word, never empty: the function, else its place in its file, else the address.
  [[nodiscard]] std::string user(const ProcessKey& process, std::uint64_t address) const;
  [[nodiscard]] std::string kernel(std::uint64_t address) const;
  // Takes off what is no code: where the kernel read something else for a return address, and what it thought to lie
  // beyond. Addresses of which nothing is known stay.
  void trim(StepEvent& step) const;
};

// "0x55d0c0ffee10": where nothing is known of symbols.
[[nodiscard]] std::string hex_address(std::uint64_t address);

// The label of a frame, as FrameNames::user.
[[nodiscard]] std::string label_of(const Frame& frame, std::uint64_t address);

class AddressNames final : public FrameNames {
 public:
  [[nodiscard]] Frame at(const ProcessKey* /*process*/, std::uint64_t /*address*/) const override { return {}; }
};

}  // namespace memcrest
