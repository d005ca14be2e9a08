// SPDX-License-Identifier: Apache-2.0
#include "probe/btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

namespace memcrest {
namespace {

std::optional<std::uint32_t> positive(int id) {
  if (id <= 0) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(id);
}

bool has_member_in(const btf* types, const btf_type* type, const std::string& name, int depth) {
  for (__u32 i = 0; depth > 0 && i < btf_vlen(type); ++i) {
    const btf_member& member = btf_members(type)[i];
    const char* own = btf__name_by_offset(types, member.name_off);
    if (own != nullptr && name == own) {
      return true;
    }
    const int inner = own != nullptr && *own == '\0' ? btf__resolve_type(types, member.type) : -1;
    const btf_type* inner_type = inner > 0 ? btf__type_by_id(types, static_cast<__u32>(inner)) : nullptr;
    if (inner_type != nullptr && btf_is_composite(inner_type) && has_member_in(types, inner_type, name, depth - 1)) {
      return true;
    }
  }
  return false;
}

}  // namespace

void KernelBtf::Deleter::operator()(btf* handle) const { btf__free(handle); }

Result<KernelBtf> KernelBtf::load(const std::string& sys_root) { return load_file(sys_root + "/kernel/btf/vmlinux"); }

Result<KernelBtf> KernelBtf::load_file(const std::string& path) {
  btf* handle = btf__parse(path.c_str(), nullptr);
  if (handle == nullptr) {
    return fail_errno("read BTF", path);
  }
  KernelBtf out;
  out.btf_.reset(handle);
  return out;
}

std::optional<std::uint32_t> KernelBtf::function(const std::string& name) const {
  return positive(btf__find_by_name_kind(btf_.get(), name.c_str(), BTF_KIND_FUNC));
}

std::optional<std::uint32_t> KernelBtf::tracepoint(const std::string& name) const {
  return positive(btf__find_by_name_kind(btf_.get(), ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF));
}

std::optional<std::uint32_t> KernelBtf::structure(const std::string& type) const {
  return positive(btf__find_by_name_kind(btf_.get(), type.c_str(), BTF_KIND_STRUCT));
}

bool KernelBtf::has_member(const std::string& type, const std::string& member) const {
  const auto id = positive(btf__find_by_name_kind(btf_.get(), type.c_str(), BTF_KIND_STRUCT));
  return id && has_member_in(btf_.get(), btf__type_by_id(btf_.get(), *id), member, 4);
}

bool KernelBtf::tracepoint_takes_pointer(const std::string& name, unsigned index) const {
  const auto id = tracepoint(name);
  if (!id) {
    return false;
  }
  // typedef -> pointer -> function prototype, whose first parameter is the hidden context
  const btf_type* type = btf__type_by_id(btf_.get(), *id);
  type = btf__type_by_id(btf_.get(), type->type);
  if (type == nullptr || !btf_is_ptr(type)) {
    return false;
  }
  type = btf__type_by_id(btf_.get(), type->type);
  if (type == nullptr || !btf_is_func_proto(type) || btf_vlen(type) <= index + 1) {
    return false;
  }
  const int resolved = btf__resolve_type(btf_.get(), btf_params(type)[index + 1].type);
  return resolved > 0 && btf_is_ptr(btf__type_by_id(btf_.get(), static_cast<__u32>(resolved)));
}

}  // namespace memcrest
