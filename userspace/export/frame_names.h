// SPDX-License-Identifier: Apache-2.0
// What the frames of a stack are called in exports.
#pragma once

#include <cstdint>
#include <string>

#include "memcrest/event.h"

namespace memcrest {

class FrameNames {
 public:
  virtual ~FrameNames() = default;
  // Never empty; may hold any byte, since symbols come from programs.
  [[nodiscard]] virtual std::string user(const ProcessKey& process, std::uint64_t address) const = 0;
  [[nodiscard]] virtual std::string kernel(std::uint64_t address) const = 0;
};

// "0x55d0c0ffee10": where nothing is known of symbols.
[[nodiscard]] std::string hex_address(std::uint64_t address);

class AddressNames final : public FrameNames {
 public:
  [[nodiscard]] std::string user(const ProcessKey& /*process*/, std::uint64_t address) const override {
    return hex_address(address);
  }
  [[nodiscard]] std::string kernel(std::uint64_t address) const override { return hex_address(address); }
};

}  // namespace memcrest
