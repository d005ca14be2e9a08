// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_names.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "identity/cgroup_path.h"

namespace memcrest::cgroup_names {
namespace {

constexpr std::size_t kIdDigits = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_lower_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

bool strip_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

bool strip_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) {
    return false;
  }
  text.remove_suffix(suffix.size());
  return true;
}

// What stands between the two; nothing when that is empty.
std::optional<std::string_view> between(std::string_view text, std::string_view prefix, std::string_view suffix) {
  if (!strip_prefix(text, prefix) || !strip_suffix(text, suffix) || text.empty()) {
    return std::nullopt;
  }
  return text;
}

// Lower-case hexadecimal digits in groups of these sizes, dashes between them.
bool is_hex_groups(std::string_view text, std::initializer_list<std::size_t> groups) {
  bool first = true;
  for (const std::size_t size : groups) {
    if (!std::exchange(first, false) && !strip_prefix(text, "-")) {
      return false;
    }
    if (text.size() < size || !std::ranges::all_of(text.substr(0, size), is_lower_hex)) {
      return false;
    }
    text.remove_prefix(size);
  }
  return text.empty();
}

bool is_dashed_uid(std::string_view text) { return is_hex_groups(text, {8, 4, 4, 4, 12}); }

struct Prefix {
  std::string_view text;
  Runtime runtime;
  bool monitor = false;
  bool in_service = false;
};

constexpr std::array kPrefixes = {
    Prefix{"docker", Runtime::kDocker},
    Prefix{"cri-containerd", Runtime::kContainerd},
    Prefix{"nerdctl", Runtime::kContainerd},
    Prefix{"crio", Runtime::kCrio},
    Prefix{"crio-conmon", Runtime::kCrio, true},
    Prefix{"libpod", Runtime::kPodman},
    Prefix{"libpod-payload", Runtime::kPodman, false, true},
    Prefix{"libpod-conmon", Runtime::kPodman, true},
};

int hex_value(char c) {
  if (is_digit(c)) {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// "qemu\x2d1\x2dNAME": libvirt's driver, the domain's number, its name.
bool is_libvirt_scope(std::string_view escaped) {
  constexpr std::string_view kDash = "\\x2d";
  if (!strip_prefix(escaped, "qemu") && !strip_prefix(escaped, "lxc")) {
    return false;
  }
  if (!strip_prefix(escaped, kDash)) {
    return false;
  }
  const std::size_t digits = static_cast<std::size_t>(std::ranges::find_if_not(escaped, is_digit) - escaped.begin());
  escaped.remove_prefix(digits);
  return digits > 0 && escaped.size() > kDash.size() && escaped.starts_with(kDash);
}

}  // namespace

std::optional<RuntimeName> match_runtime(std::string_view name) {
  strip_suffix(name, ".scope");
  if (name.size() <= kIdDigits + 1) {
    return std::nullopt;
  }
  RuntimeName match{.id = name.substr(name.size() - kIdDigits)};
  name.remove_suffix(kIdDigits);
  const char separator = name.back();
  if (!is_container_id(match.id) || (separator != '-' && separator != ':')) {
    return std::nullopt;
  }
  name.remove_suffix(1);
  if (separator == ':') {
    const std::size_t colon = name.rfind(':');
    if (colon == std::string_view::npos) {
      return std::nullopt;
    }
    match.slice = name.substr(0, colon);
    name.remove_prefix(colon + 1);
  }
  const auto* const known = std::ranges::find(kPrefixes, name, &Prefix::text);
  if (known == kPrefixes.end()) {
    return std::nullopt;
  }
  match.runtime = known->runtime;
  match.monitor = known->monitor;
  match.in_service = known->in_service;
  return match;
}

std::optional<std::string_view> match_docker_build_step(std::string_view name) {
  if (strip_suffix(name, ".scope")) {
    return strip_prefix(name, "docker-") && is_buildkit_id(name) ? std::optional(name) : std::nullopt;
  }
  constexpr std::string_view kMiddle = ".slice:docker:";
  const std::size_t at = name.find(kMiddle);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  name.remove_prefix(at + kMiddle.size());
  return is_buildkit_id(name) ? std::optional(name) : std::nullopt;
}

bool is_buildkit_id(std::string_view text) {
  constexpr std::size_t kDigits = 25;
  return text.size() == kDigits && std::ranges::any_of(text, is_digit) &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || is_lower(c); });
}

std::optional<std::string> match_pod(std::string_view text) {
  constexpr std::size_t kShortest = 8;
  constexpr std::size_t kLongest = 64;
  if (!strip_prefix(text, "pod") || text.size() < kShortest || text.size() > kLongest) {
    return std::nullopt;
  }
  std::string uid(text);
  std::ranges::replace(uid, '_', '-');
  const bool plausible = std::ranges::all_of(uid, [](char c) { return is_lower_hex(c) || c == '-'; });
  return plausible ? std::optional(std::move(uid)) : std::nullopt;
}

bool is_uid(std::string_view text) { return is_dashed_uid(text) || is_hex_groups(text, {32}); }

std::optional<std::string_view> match_libpod_pod(std::string_view name) {
  constexpr std::string_view kMiddle = "-libpod_pod_";
  if (!strip_suffix(name, ".slice") || name.size() <= kMiddle.size() + kIdDigits) {
    return std::nullopt;
  }
  const std::string_view id = name.substr(name.size() - kIdDigits);
  name.remove_suffix(kIdDigits);
  return name.ends_with(kMiddle) && is_container_id(id) ? std::optional(id) : std::nullopt;
}

std::optional<LxcName> match_lxc(std::string_view parent, std::string_view name) {
  if (parent == "lxc" || parent == "lxc.payload") {
    return LxcName{.name = name};
  }
  if (parent == "lxc.monitor") {
    return LxcName{.monitor = true, .name = name};
  }
  LxcName match;
  if (strip_prefix(name, "lxc.monitor.")) {
    match.monitor = true;
  } else if (!strip_prefix(name, "lxc.payload.")) {
    return std::nullopt;
  }
  match.name = name;
  return name.empty() ? std::nullopt : std::optional(match);
}

bool may_be_lxc_retry(std::string_view name) {
  constexpr std::size_t kMostDigits = 3;  // LXC tries a thousand times
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) {
    return false;
  }
  name.remove_prefix(dash + 1);
  return !name.empty() && name.size() <= kMostDigits && name.front() != '0' && std::ranges::all_of(name, is_digit);
}

bool is_garden_handle(std::string_view text) { return is_hex_groups(text, {8, 4, 4, 4, 4}) || is_dashed_uid(text); }

std::optional<NomadTask> match_nomad(std::string_view parent, std::string_view name) {
  const bool v2 = parent == "nomad.slice" || parent == "share.slice" || parent == "reserve.slice";
  const bool v1 = parent == "nomad" || parent == "share" || parent == "reserve";
  if ((!v1 && !v2) || (v2 && !strip_suffix(name, ".scope"))) {
    return std::nullopt;
  }
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot + 1 == name.size() || !is_dashed_uid(name.substr(0, dot))) {
    return std::nullopt;
  }
  return NomadTask{.id = name, .task = name.substr(dot + 1)};
}

bool is_fargate_id(std::string_view parent, std::string_view name) {
  constexpr std::size_t kMostDigits = 20;
  return is_uid(parent) && strip_prefix(name, parent) && strip_prefix(name, "-") && !name.empty() &&
         name.size() <= kMostDigits && std::ranges::all_of(name, is_digit);
}

std::optional<std::string> match_machine(std::string_view name, bool in_machine_slice) {
  if (name.starts_with('_')) {
    name.remove_prefix(1);
  }
  // The unit passes its instance's name on as it is, so nothing in it is escaped.
  if (const auto machine = between(name, "systemd-nspawn@", ".service")) {
    return std::string(*machine);
  }
  for (const std::string_view suffix : {".libvirt-qemu", ".libvirt-lxc"}) {
    if (const auto machine = between(name, "", suffix)) {
      return std::string(*machine);
    }
  }
  const auto machine = between(name, "machine-", ".scope");
  if (!machine || (!in_machine_slice && !is_libvirt_scope(*machine))) {
    return std::nullopt;
  }
  return decode_unit(*machine);
}

std::string_view match_unit(std::string_view name) {
  constexpr std::array<std::string_view, 6> kSuffixes = {".service", ".scope", ".slice", ".mount", ".socket", ".swap"};
  if (name.size() > 1 && name.front() == '_') {
    name.remove_prefix(1);
  }
  const bool unit = std::ranges::any_of(
      kSuffixes, [name](std::string_view suffix) { return name.size() > suffix.size() && name.ends_with(suffix); });
  return unit ? name : std::string_view();
}

std::string decode_unit(std::string_view text) {
  constexpr std::size_t kEscape = 4;  // \xNN
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text.size() >= kEscape && text.starts_with("\\x")) {
      const int high = hex_value(text[2]);
      const int low = hex_value(text[3]);
      const int byte = high * 16 + low;
      if (high >= 0 && low >= 0 && byte != 0 && byte != '/') {
        out += static_cast<char>(byte);
        text.remove_prefix(kEscape);
        continue;
      }
    }
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

bool is_containerd_identifier(std::string_view text) {
  constexpr std::size_t kLongest = 76;
  bool letter_before = false;
  for (const char c : text) {
    const bool letter = is_digit(c) || is_lower(static_cast<char>(c | 0x20));
    if (!letter && (!letter_before || (c != '.' && c != '_' && c != '-'))) {
      return false;
    }
    letter_before = letter;
  }
  return letter_before && text.size() <= kLongest;
}

}  // namespace memcrest::cgroup_names
