// SPDX-License-Identifier: Apache-2.0
// What the running kernel's BTF says exists. Asked before any load: without CAP_SYS_ADMIN libbpf reports a missing
// target as EPERM, which would look like a missing privilege.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "util/result.h"

struct btf;

namespace memcrest {

class KernelBtf {
 public:
  // From <sys>/kernel/btf/vmlinux.
  [[nodiscard]] static Result<KernelBtf> load(const std::string& sys_root);
  // From a file: raw BTF, or an ELF file that carries it.
  [[nodiscard]] static Result<KernelBtf> load_file(const std::string& path);

  // BTF id of a function, of a raw tracepoint's prototype; nullopt when this kernel has none.
  [[nodiscard]] std::optional<std::uint32_t> function(const std::string& name) const;
  [[nodiscard]] std::optional<std::uint32_t> tracepoint(const std::string& name) const;
  [[nodiscard]] std::optional<std::uint32_t> structure(const std::string& type) const;
  [[nodiscard]] bool has_struct(const std::string& type) const { return structure(type).has_value(); }
  // Whether a struct has a member of this name, anonymous parts looked into.
  [[nodiscard]] bool has_member(const std::string& type, const std::string& member) const;
  // Whether argument `index` (from 0, the hidden context not counted) of a tracepoint is a pointer.
  [[nodiscard]] bool tracepoint_takes_pointer(const std::string& name, unsigned index) const;

 private:
  struct Deleter {
    void operator()(btf* handle) const;
  };
  std::unique_ptr<btf, Deleter> btf_;
};

}  // namespace memcrest
