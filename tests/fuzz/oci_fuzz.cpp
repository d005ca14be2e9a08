// SPDX-License-Identifier: Apache-2.0
// Any bytes as a bundle's config.json, as Docker's record of a container and as the storage's list of names. Checks
// what their readers promise whatever they read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "identity/container_storage.h"
#include "identity/docker_config.h"
#include "identity/oci_json.h"

namespace {

using namespace memcrest;

constexpr std::size_t kMaxText = 4096;

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

void check(const Container& container) {
  require(container.name.size() <= kMaxText && container.image.size() <= kMaxText);
  std::size_t bytes = 0;
  for (const auto& [key, value] : container.labels) {
    bytes += key.size() + value.size();
  }
  require(container.labels.size() <= 512 && bytes <= (256U << 10U));
  require(!container.memory_limit_bytes || *container.memory_limit_bytes > 0);
  require(!container.swap_limit_bytes || *container.swap_limit_bytes >= -1);
}

void check_config(std::string_view json) {
  const auto config = read_oci_config(json);
  if (!config) {
    require(config.error().code == EPROTO && config.error().message().size() < 1000);
    return;
  }
  require(config->cgroups_path.size() <= kMaxText && config->hostname_file.size() <= kMaxText);
  const std::string id(64, 'a');
  for (const char* const space : {"moby", "k8s.io"}) {
    if (const auto container = container_from_oci(*config, id, BundleKind::kTask, space)) {
      check(*container);
    }
  }
  if (const auto container = container_from_oci(*config, id, BundleKind::kStorage, {})) {
    check(*container);
  }
  ignore_result(match_cgroup(config->cgroups_path, "/docker/" + id));
  ignore_result(match_cgroup(json.substr(0, 300), "/system.slice/docker-" + id + ".scope"));
}

void check_list(std::string_view json, std::string_view id) {
  std::string_view rest = json;
  const auto names = read_storage_list(
      [&](std::span<char> piece) {
        const std::size_t count = std::min({rest.size(), piece.size(), std::size_t{977}});
        std::memcpy(piece.data(), rest.data(), count);
        rest.remove_prefix(count);
        return static_cast<long>(count);
      },
      std::string(id));
  require(!names || !*names || ((*names)->name.size() <= kMaxText && (*names)->image.size() <= kMaxText));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_config(text);
  std::string docker_id;  // the sample's
  while (docker_id.size() < 64) {
    docker_id += "1f";
  }
  if (const auto container = read_docker_config(text, docker_id)) {
    check(*container);
  }
  const std::size_t at = text.find("\"id\":\"");
  check_list(text, at == std::string_view::npos ? "x" : text.substr(at + 6, 64));
  return 0;
}
