// SPDX-License-Identifier: Apache-2.0
// A limit in the words of the tools that set it. Names come from outside: each is quoted for where it goes.
#include <algorithm>
#include <string>
#include <vector>

#include "incident/advice.h"
#include "incident/saturating.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

// Valid UTF-8 without control characters: what a shell would be given is what a person saw.
std::string plain(const std::string& raw) { return escape_terminal(raw); }

// A YAML scalar in double quotes, which JSON's rules make safe.
std::string yaml_quote(const std::string& raw) {
  std::string out = "\"";
  for (const char c : plain(raw)) {
    out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return out + "\"";
}

// --memory-swap is memory and swap together: the same as --memory means no swap. What was unset meant as much swap
// again; known swap stays what it was.
std::uint64_t with_swap(const Container& container, std::uint64_t limit_bytes) {
  if (!container.swap_limit_bytes || !container.memory_limit_bytes || *container.swap_limit_bytes < 0) {
    return limit_bytes;
  }
  return saturating_add(limit_bytes, saturating_sub(static_cast<std::uint64_t>(*container.swap_limit_bytes),
                                                    *container.memory_limit_bytes));
}

std::string swap_option(const Container& container, std::uint64_t limit_bytes) {
  if (container.swap_limit_bytes == -1) {
    return "-1";
  }
  return std::to_string(with_swap(container, limit_bytes) / kMebi) + "m";
}

void add_engine(std::vector<AdviceLine>& out, const Container& container, std::uint64_t limit_bytes) {
  const std::string memory = std::to_string(limit_bytes / kMebi) + "m";
  const std::string swap = swap_option(container, limit_bytes);
  const std::string options = "--memory " + memory + " --memory-swap " + swap;
  const bool docker = container.runtime == Runtime::kDocker;
  const std::string tool = docker ? "docker" : "podman";
  const std::string name = shell_quote(container.name.empty() ? container.id.substr(0, 12) : container.name);
  out.push_back({tool + " update", tool + " update " + options + " " + name});
  out.push_back({tool + " run", tool + " run " + options + " ..."});
  if (docker) {
    const auto service = container.labels.find("com.docker.compose.service");
    const std::string key = service == container.labels.end() ? "SERVICE" : yaml_quote(service->second);
    out.push_back({"compose", "services:\n  " + key +
                                  ":\n    deploy:\n      resources:\n        limits:\n          memory: " + memory +
                                  "\n"});
    out.push_back(
        {"compose-v2", "services:\n  " + key + ":\n    mem_limit: " + memory + "\n    memswap_limit: " + swap + "\n"});
    if (container.labels.contains("com.amazonaws.ecs.task-definition-family")) {
      out.push_back({"ecs", "{\"memory\": " + std::to_string(limit_bytes / kMebi) + "}"});
    }
  } else {
    out.push_back({"quadlet", "[Container]\nPodmanArgs=--memory=" + memory + " --memory-swap=" + swap + "\n"});
  }
}

void add_kubernetes(std::vector<AdviceLine>& out, const Container& container, std::uint64_t limit_bytes) {
  const std::string memory = std::to_string(limit_bytes / kMebi) + "Mi";
  const std::uint64_t request = std::min(container.memory_request_bytes.value_or(limit_bytes), limit_bytes);
  const std::string resources =
      "requests:\n            memory: " + std::to_string(std::max<std::uint64_t>(1, request / kMebi)) +
      "Mi\n          limits:\n            memory: " + memory + "\n";
  out.push_back({"kubernetes", "spec:\n  template:\n    spec:\n      containers:\n      - name: " +
                                   yaml_quote(container.name) + "\n        resources:\n          " + resources});
}

}  // namespace

std::string shell_quote(const std::string& word) {
  const std::string clean = plain(word);
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '/' || c == '-' || c == ':' || c == '@';
  };
  if (!clean.empty() && clean.front() != '-' && std::ranges::all_of(clean, safe)) {
    return clean;
  }
  std::string out = "'";
  for (const char c : clean) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return (clean.starts_with('-') ? "-- " : "") + out + "'";
}

std::vector<AdviceLine> limit_lines(const Container& container, std::uint64_t limit_bytes) {
  std::vector<AdviceLine> out;
  if (container.pod && (container.runtime == Runtime::kContainerd || container.runtime == Runtime::kCrio ||
                        container.runtime == Runtime::kDocker)) {
    add_kubernetes(out, container, limit_bytes);
  } else if (container.runtime == Runtime::kDocker || container.runtime == Runtime::kPodman) {
    add_engine(out, container, limit_bytes);
  } else if (container.runtime == Runtime::kSystemd && !container.unit.empty()) {
    const std::string memory = std::to_string(limit_bytes / kMebi) + "M";
    out.push_back({"systemctl", "systemctl set-property " + shell_quote(container.unit) + " MemoryMax=" + memory});
    out.push_back({"systemd", "[Service]\nMemoryMax=" + memory + "\n"});
  }
  return out;
}

}  // namespace memcrest
