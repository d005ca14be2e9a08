// SPDX-License-Identifier: Apache-2.0
#include "view/text_words.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "util/text.h"
#include "util/units.h"

namespace memcrest::view {

std::string percent(double part) {
  const double value = std::isfinite(part) ? std::clamp(part, 0.0, 1e6) * 100 : 0;
  // Rounding must not turn a small chance into none, nor a large one into certainty.
  if ((value > 0 && value < 0.5) || (value >= 99.5 && value < 100)) {
    return value < 0.5 ? "under 1 %" : "over 99 %";
  }
  return std::to_string(static_cast<std::uint64_t>(std::round(value))) + " %";
}

std::string bytes(std::uint64_t value) { return format_size(value); }

std::string change(std::int64_t value) {
  const auto size = static_cast<std::uint64_t>(value);
  return value < 0 ? "- " + bytes(std::uint64_t{0} - size) : "+ " + bytes(size);
}

std::string milliseconds(double ms) {
  const double ns = std::isfinite(ms) ? std::clamp(ms * 1e6, 0.0, 9e18) : 0;
  return format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
}

std::string seconds(std::uint64_t ms) {
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

std::string counted(std::uint64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string process(const std::string& comm, std::uint32_t pid) {
  return escape_terminal(comm) + "[" + std::to_string(pid) + "]";
}

std::string pid_words(std::uint32_t pid, std::uint32_t container_pid) {
  return "pid " + std::to_string(pid) +
         (container_pid != 0 && container_pid != pid ? " (" + std::to_string(container_pid) + " in the container)"
                                                     : std::string());
}

bool is_container(Runtime runtime) {
  return runtime != Runtime::kNone && runtime != Runtime::kUnknown && runtime != Runtime::kSystemd;
}

const char* noun(const Container& container) {
  if (is_container(container.runtime)) {
    return "container";
  }
  return container.runtime == Runtime::kSystemd ? "unit" : "cgroup";
}

std::string state_words(const RuntimeState& state) {
  std::string out = state.status;
  const auto add = [&](const std::string& more) { (out += out.empty() ? std::string_view() : kDot) += more; };
  if (state.exit_code) {
    add("exit code " + std::to_string(*state.exit_code));
  }
  if (state.oom_killed) {
    add(*state.oom_killed ? "OOMKilled true" : "OOMKilled false");
  }
  if (state.restart_count.value_or(0) > 0) {
    add("restarted " + counted(*state.restart_count, "time", "times"));
  }
  if (!state.error.empty()) {
    add("error: " + state.error);
  }
  if (state.finished_unix_ns) {
    add("ended " + format_time_of_day(*state.finished_unix_ns));
  }
  return out;
}

}  // namespace memcrest::view
