// SPDX-License-Identifier: Apache-2.0
// Sizes and durations on the command line, with errors that name the option. For the sources that define options.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "util/units.h"

namespace memcrest {

inline constexpr std::uint64_t kMaxSize = 1ULL << 46U;  // 64 TiB
inline constexpr std::uint64_t kPage = 4096;
inline constexpr auto kYear = std::chrono::hours(24 * 365);

// Binds an option to a size; the error of a bad one names the option and the accepted forms.
template <typename Target>
CLI::Option* add_size(CLI::App& app, const std::string& name, Target& target, std::uint64_t least, std::uint64_t most,
                      const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&target, least, most, name](const std::string& text) {
            const auto size = parse_size(text);
            if (!size) {
              throw CLI::ValidationError(name, size.error().message());
            }
            if (*size < least || *size > most) {
              throw CLI::ValidationError(name, "must lie between " + format_size(least) + " and " + format_size(most));
            }
            target = *size;
          },
          help)
      ->type_name("SIZE");
}

template <typename Target>
CLI::Option* add_duration(CLI::App& app, const std::string& name, Target& target, std::chrono::nanoseconds least,
                          std::chrono::nanoseconds most, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&target, least, most, name](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration) {
              throw CLI::ValidationError(name, duration.error().message());
            }
            if (*duration < least || *duration > most) {
              throw CLI::ValidationError(
                  name, "must lie between " + format_duration(least) + " and " + format_duration(most));
            }
            target = *duration;
          },
          help)
      ->type_name("DURATION");
}

}  // namespace memcrest
