// SPDX-License-Identifier: Apache-2.0
#include "incident/runtime_settings.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>

namespace memcrest {
namespace {

constexpr std::size_t kMaxSettings = 16;
constexpr std::size_t kLongestValue = 24;
constexpr std::size_t kMaxWords = 256;

// Where half of the memory (-XX:MinRAMPercentage) is less than its own default of 124.8 MiB, a JVM takes that half and
// does not look at -XX:MaxRAMPercentage: seen with OpenJDK 17 at 128 MiB.
constexpr std::uint64_t kLeastForPercentage = 250ULL << 20U;

enum class Unit { kSize, kMebibytes, kPercent, kCount, kHexSize };

struct Known {
  std::string_view program;  // what the first word's file name begins with
  std::string_view option;   // the value follows at once, after '=' or as the next word
  std::string_view name;
  Unit unit;
};

constexpr Known kKnown[] = {
    {"java", "-Xmx", "-Xmx", Unit::kSize},
    {"java", "-XX:MaxHeapSize=", "-XX:MaxHeapSize", Unit::kSize},
    {"java", "-XX:MaxRAMPercentage=", "-XX:MaxRAMPercentage", Unit::kPercent},
    {"java", "-XX:MaxDirectMemorySize=", "-XX:MaxDirectMemorySize", Unit::kSize},
    {"java", "-XX:MaxMetaspaceSize=", "-XX:MaxMetaspaceSize", Unit::kSize},
    {"node", "--max-old-space-size=", "--max-old-space-size", Unit::kMebibytes},
    {"node", "--max_old_space_size=", "--max-old-space-size", Unit::kMebibytes},
    {"gunicorn", "--workers=", "workers", Unit::kCount},
    {"gunicorn", "--workers", "workers", Unit::kCount},
    {"gunicorn", "-w", "workers", Unit::kCount},
    {"uwsgi", "--processes=", "workers", Unit::kCount},
    {"uwsgi", "--processes", "workers", Unit::kCount},
    {"uwsgi", "-p", "workers", Unit::kCount},
    {"postgres", "shared_buffers=", "shared_buffers", Unit::kSize},
    {"postgres", "work_mem=", "work_mem", Unit::kSize},
    {"postgres", "max_connections=", "max_connections", Unit::kCount},
};

constexpr std::string_view kCompiled = "(compiled)";  // who reads a variable: anything but kInterpreters
constexpr std::string_view kAny = "";

struct Variable {
  std::string_view name;
  std::string_view read_by;
  std::string_view options_of = {};  // a program of kKnown: the value is a list of its options
  Unit unit = Unit::kCount;          // otherwise
};

constexpr Variable kVariables[] = {
    {"JAVA_TOOL_OPTIONS", "java", "java"},
    {"JDK_JAVA_OPTIONS", "java", "java"},
    {"_JAVA_OPTIONS", "java", "java"},
    {"NODE_OPTIONS", "node", "node"},
    {"GUNICORN_CMD_ARGS", "gunicorn", "gunicorn"},
    {"WEB_CONCURRENCY", "gunicorn", {}, Unit::kCount},
    {"GOMEMLIMIT", kCompiled, {}, Unit::kSize},
    {"GOGC", kCompiled, {}, Unit::kPercent},
    {"MALLOC_ARENA_MAX", kAny, {}, Unit::kCount},
    {"DOTNET_GCHeapHardLimit", kCompiled, {}, Unit::kHexSize},
};

constexpr std::string_view kInterpreters[] = {"java", "node",    "python",   "perl",     "ruby",
                                              "php",  "sh",      "bash",     "dash",     "zsh",
                                              "ksh",  "busybox", "gunicorn", "postgres", "nginx"};

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty() && out.size() < kMaxWords) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) {
      break;
    }
    line.remove_prefix(begin);
    out.push_back(line.substr(0, line.find(' ')));
    line.remove_prefix(out.back().size());
  }
  return out;
}

bool is_plain(std::string_view value, Unit unit = Unit::kCount) {
  if (unit == Unit::kHexSize) {
    const std::string_view digits = value.substr(value.starts_with("0x") ? 2 : 0);
    return !digits.empty() && digits.size() <= 16 &&
           digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  }
  return !value.empty() && value.size() <= kLongestValue && value.find_first_of("0123456789") == 0 &&
         std::ranges::all_of(value, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
         });
}

std::optional<std::uint64_t> size_of(std::string_view value, Unit unit) {
  std::uint64_t number = 0;
  if (unit == Unit::kHexSize && value.starts_with("0x")) {
    value.remove_prefix(2);
  }
  const int base = unit == Unit::kHexSize ? 16 : 10;
  const auto [end, wrong] = std::from_chars(value.data(), value.data() + value.size(), number, base);
  if (wrong != std::errc{} || number > (1ULL << 40U)) {
    return std::nullopt;
  }
  const std::string_view letters(end, static_cast<std::size_t>(value.data() + value.size() - end));
  if (unit == Unit::kMebibytes && letters.empty()) {
    return number << 20U;
  }
  if (unit == Unit::kHexSize && letters.empty()) {
    return number;
  }
  if (unit != Unit::kSize || letters.size() > 3) {
    return std::nullopt;
  }
  switch (letters.empty() ? '\0' : letters.front()) {
    case '\0':
    case 'B':
      return number;
    case 'k':
    case 'K':
      return number << 10U;
    case 'm':
    case 'M':
      return number < (1ULL << 40U) ? std::optional(number << 20U) : std::nullopt;
    case 'g':
    case 'G':
      return number < (1ULL << 30U) ? std::optional(number << 30U) : std::nullopt;
    default:
      return std::nullopt;
  }
}

// The program itself, or what an interpreter runs: "python3 /usr/bin/gunicorn".
bool runs(const std::vector<std::string_view>& words, std::string_view program) {
  return std::ranges::any_of(words.begin(),
                             words.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, words.size())),
                             [&](std::string_view word) { return file_name(word).starts_with(program); });
}

// The file is `program`, or a version of it: "python3.11" is python, "node_exporter" is not node.
bool is_program(std::string_view path, std::string_view program) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) {
    path.remove_suffix(kDeleted.size());
  }
  const std::string_view name = file_name(path);
  return name.starts_with(program) &&
         (name.size() == program.size() || (name[program.size()] >= '0' && name[program.size()] <= '9'));
}

bool is_interpreter(std::string_view path) {
  return std::ranges::any_of(kInterpreters, [&](std::string_view one) { return is_program(path, one); });
}

const Variable* find_variable(std::string_view name) {
  const auto* const found = std::ranges::find(kVariables, name, &Variable::name);
  return found == std::end(kVariables) ? nullptr : found;
}

// Go's way to switch a limit off.
bool is_value(const Variable& variable, std::string_view value) {
  return is_plain(value, variable.unit) || (variable.name.starts_with("GO") && value == "off");
}

// The options of `known` among these words. A value that stands apart is the next word.
template <typename Found>
void find_options(const std::vector<std::string_view>& words, std::string_view program, Found found) {
  for (const Known& known : kKnown) {
    if (known.program != program) {
      continue;
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!words[i].starts_with(known.option)) {
        continue;
      }
      std::string_view value = words[i].substr(known.option.size());
      const bool apart = value.empty() && !known.option.ends_with('=') && i + 1 < words.size();
      value = apart ? words[i + 1] : value;
      if (is_plain(value)) {
        found(known, value);
      }
    }
  }
}

void add(std::vector<RuntimeSetting>& out, RuntimeSetting setting) {
  if (out.size() < kMaxSettings) {
    out.push_back(std::move(setting));
  }
}

}  // namespace

std::vector<RuntimeSetting> settings_of(std::string_view cmdline) {
  std::vector<RuntimeSetting> out;
  const auto words = words_of(cmdline);
  std::string_view last;
  for (const Known& known : kKnown) {
    if (known.program != last && runs(words, known.program)) {
      find_options(words, known.program, [&](const Known& option, std::string_view value) {
        add(out, {0, {}, std::string(option.name), std::string(value), size_of(value, option.unit), {}});
      });
    }
    last = known.program;
  }
  return out;
}

std::string memory_environment(std::string_view raw) {
  std::string out;
  std::size_t kept = 0;
  const auto keep = [&](std::string_view name, std::string_view word) {
    if (kept++ < kMaxSettings) {
      out += (out.empty() ? "" : " ") + std::string(name) + "=" + std::string(word);
    }
  };
  while (!raw.empty()) {
    const std::string_view entry = raw.substr(0, raw.find('\0'));
    raw.remove_prefix(std::min(raw.size(), entry.size() + 1));
    const std::size_t sign = entry.find('=');
    const Variable* const variable = sign == std::string_view::npos ? nullptr : find_variable(entry.substr(0, sign));
    if (variable == nullptr) {
      continue;
    }
    const std::string_view value = entry.substr(sign + 1);
    if (!variable->options_of.empty()) {
      find_options(words_of(value), variable->options_of, [&](const Known& option, std::string_view number) {
        const char* const between = option.option.starts_with("--") && !option.option.ends_with('=') ? "=" : "";
        keep(variable->name, std::string(option.option) + between + std::string(number));
      });
    } else if (is_value(*variable, value)) {
      keep(variable->name, value);
    }
  }
  return out;
}

std::vector<RuntimeSetting> settings_of_environment(std::string_view line, std::string_view cmdline,
                                                    std::string_view exe) {
  std::vector<RuntimeSetting> out;
  std::vector<std::string_view> program = words_of(cmdline);
  program.resize(std::min<std::size_t>(program.size(), 2));
  const std::string_view first = program.empty() ? std::string_view() : program.front();
  const auto reads = [&](const Variable& variable) {
    if (variable.read_by == kAny) {
      return true;
    }
    if (variable.read_by == kCompiled) {
      return !is_interpreter(exe) && !is_interpreter(first);
    }
    // What an interpreter runs is the second word: "python3 /usr/bin/gunicorn".
    return is_program(exe, variable.read_by) || is_program(first, variable.read_by) ||
           (program.size() > 1 && is_program(first, "python") && is_program(program[1], variable.read_by));
  };
  for (const std::string_view word : words_of(line)) {
    const std::size_t sign = word.find('=');
    const Variable* const variable = sign == std::string_view::npos ? nullptr : find_variable(word.substr(0, sign));
    if (variable == nullptr || !reads(*variable)) {
      continue;
    }
    const std::string_view value = word.substr(sign + 1);
    const std::string from(variable->name);
    if (!variable->options_of.empty()) {
      const std::string_view option = value;
      find_options({option}, variable->options_of, [&](const Known& known, std::string_view number) {
        add(out, {0, {}, std::string(known.name), std::string(number), size_of(number, known.unit), from});
      });
    } else if (is_value(*variable, value)) {
      add(out, {0, {}, from, std::string(value), size_of(value, variable->unit), from});
    }
  }
  return out;
}

std::vector<RuntimeSetting> effective_settings(std::string_view cmdline, std::string_view environment,
                                               std::string_view exe) {
  // Later ones win: variables, the command line, and of Java one variable more.
  std::vector<RuntimeSetting> all = settings_of(cmdline);
  std::ranges::move(settings_of_environment(environment, cmdline, exe), std::back_inserter(all));
  const auto rank = [](const RuntimeSetting& one) {
    if (one.from.empty()) {
      return 2;
    }
    return one.from == "_JAVA_OPTIONS" ? 3 : one.from == "JAVA_TOOL_OPTIONS" || one.from == "WEB_CONCURRENCY" ? 0 : 1;
  };
  std::ranges::stable_sort(all, {}, rank);
  const auto thing = [](const RuntimeSetting& one) {
    return one.name == "-XX:MaxHeapSize" ? std::string("-Xmx") : one.name == "WEB_CONCURRENCY" ? "workers" : one.name;
  };
  std::vector<RuntimeSetting> out;
  for (RuntimeSetting& one : all) {
    std::erase_if(out, [&](const RuntimeSetting& other) { return thing(other) == thing(one); });
    out.push_back(std::move(one));
  }
  if (std::ranges::find(out, "-Xmx", thing) != out.end()) {
    std::erase_if(out, [](const RuntimeSetting& one) { return one.name == "-XX:MaxRAMPercentage"; });
  }
  return out;
}

const RuntimeSetting* heap_above(const std::vector<RuntimeSetting>& settings, std::uint64_t limit) {
  const auto found = std::ranges::find_if(settings, [&](const RuntimeSetting& one) {
    if (one.name == "-XX:MaxRAMPercentage") {
      return limit >= kLeastForPercentage && std::strtod(one.value.c_str(), nullptr) >= 85;
    }
    if (one.name == "GOMEMLIMIT") {  // all that Go's runtime takes, not its heap alone
      return one.bytes.value_or(0) >= limit;
    }
    const bool heap = one.name == "-Xmx" || one.name == "-XX:MaxHeapSize" || one.name == "--max-old-space-size" ||
                      one.name == "shared_buffers" || one.name == "DOTNET_GCHeapHardLimit";
    return heap && one.bytes.value_or(0) >= limit / 10 * 9;
  });
  return found == settings.end() ? nullptr : &*found;
}

}  // namespace memcrest
