// SPDX-License-Identifier: Apache-2.0
// Any bytes as an answer of Docker's or Podman's API, and each line of them as an event. Checks what the readers
// promise whatever they read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "identity/cgroup_path.h"
#include "identity/docker_json.h"
#include "identity/label_facts.h"
#include "identity/line_reader.h"
#include "identity/runtime_event_json.h"

namespace {

constexpr std::size_t kMaxText = 4096;

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

void check(const memcrest::Container& container) {
  require(!container.name.empty() && container.name.size() <= kMaxText && container.image.size() <= kMaxText);
  require(container.labels.size() <= memcrest::kMaxLabels);
  std::size_t bytes = 0;
  for (const auto& [key, value] : container.labels) {
    require(value.size() <= memcrest::kMaxLabelBytes);
    bytes += key.size() + value.size();
  }
  // A key that comes twice counts twice, and is kept once.
  require(bytes <= memcrest::kMaxAllLabelBytes);
  require(!container.init_pid || (*container.init_pid > 0 && *container.init_pid <= 1U << 22U));
  require(!container.memory_limit_bytes || *container.memory_limit_bytes > 0);
  require(!container.state || (!container.state->status.empty() && container.state->error.size() <= kMaxText));
  require(!container.pod || (!container.pod->uid.empty() && container.pod->name.size() <= kMaxText));
  memcrest::ignore_result(memcrest::compose_of(container.labels));
  memcrest::ignore_result(memcrest::ecs_of(container.labels));
  memcrest::Container labelled = container;
  memcrest::apply_kubernetes_labels(labelled);
  require(!labelled.name.empty());
}

// The id that the answer itself gives first, so that mutations of it still get past the question "is it about that
// one?".
std::string id_in(std::string_view text) {
  constexpr std::size_t kDigits = 64;
  std::size_t run = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool digit = (text[at] >= '0' && text[at] <= '9') || (text[at] >= 'a' && text[at] <= 'f');
    run = digit ? run + 1 : 0;
    if (run == kDigits) {
      return std::string(text.substr(at + 1 - kDigits, kDigits));
    }
  }
  return std::string(kDigits, '0');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string id = id_in(text);
  if (const auto one = memcrest::read_docker_inspect(text, id)) {
    check(*one);
  }
  if (const auto listed = memcrest::read_docker_list(text, id); listed && *listed) {
    check(**listed);
  }
  require(memcrest::read_docker_message(text).size() <= 512);

  memcrest::LineReader lines(kMaxText * 4);
  int events = 0;  // more of the same would only cost time
  lines.feed(text, [&](std::string_view line) {
    require(!line.empty() && line.size() <= kMaxText * 4);
    if (!line.starts_with('{') || ++events > 8) {
      return;
    }
    if (const auto event = memcrest::read_runtime_event(line); event && *event) {
      require(memcrest::is_container_id((*event)->container_id));
      require((*event)->name.size() <= kMaxText && (*event)->unix_ns >= 0);
      require(!(*event)->exit_code || (*event)->action == memcrest::RuntimeEvent::Action::kDie);
    }
  });
  return 0;
}
