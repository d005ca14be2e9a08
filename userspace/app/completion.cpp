// SPDX-License-Identifier: Apache-2.0
#include "app/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

namespace memcrest {
namespace {

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  auto out = app.get_subcommands([](const CLI::App*) { return true; });
  std::erase_if(out, [](const CLI::App* one) { return one->get_group().empty(); });  // hidden
  return out;
}

std::vector<const CLI::Option*> flags_of(const CLI::App& app) {
  auto out = app.get_options([](const CLI::Option*) { return true; });
  std::erase_if(out, [](const CLI::Option* one) {
    return one->get_group().empty() || (one->get_lnames().empty() && one->get_snames().empty());
  });
  return out;
}

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const std::string& name : option.get_snames()) {
    out.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    out.push_back("--" + name);
  }
  return out;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string value_of(const CLI::Option& option) { return option.get_type_name(); }

bool is_file(const CLI::Option& option) {
  const std::string value = value_of(option);
  return value == "FILE" || value == "DIR" || value == "PATH" || value.find("SOCKET") != std::string::npos;
}

// "oom|burst": one of these words.
std::vector<std::string> words_of(const CLI::Option& option) {
  std::vector<std::string> out;
  const std::string value = value_of(option);
  if (value.find('|') == std::string::npos || std::ranges::any_of(value, [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return out;
  }
  for (std::size_t from = 0; from <= value.size();) {
    const std::size_t end = std::min(value.find('|', from), value.size());
    out.push_back(value.substr(from, end - from));
    from = end + 1;
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, const char* by = " ") {
  std::string out;
  for (const std::string& word : words) {
    out += (out.empty() ? "" : by) + word;
  }
  return out;
}

// For between single quotes, in a shell.
std::string quoted(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += (special.find(c) != std::string_view::npos ? "\\" : "") + std::string(1, c == '\n' ? ' ' : c);
    }
  }
  return out;
}

std::string flag_words(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : flags_of(app)) {
    out += (out.empty() ? "" : " ") + joined(names_of(*option));
  }
  return out;
}

std::string bash_values(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : flags_of(app)) {
    if (!takes_value(*option)) {
      continue;
    }
    const auto words = words_of(*option);
    out += "      " + joined(names_of(*option), "|") + ") ";
    out += !words.empty()     ? "COMPREPLY=($(compgen -W '" + joined(words) + "' -- \"$cur\"))"
           : is_file(*option) ? "compopt -o default; COMPREPLY=()"
                              : "COMPREPLY=()";
    out += "; return ;;\n";
  }
  return out;
}

std::string bash(const CLI::App& app) {
  std::vector<std::string> verbs;
  std::string cases;
  for (const CLI::App* verb : verbs_of(app)) {
    verbs.push_back(verb->get_name());
    cases += "  " + verb->get_name() + ")\n";
    if (const std::string values = bash_values(*verb); !values.empty()) {
      cases += "    case $prev in\n" + values + "    esac\n";
    }
    cases += "    words='" + flag_words(*verb) + "' ;;\n";
  }
  return "# bash completion of memcrest: memcrest completion bash > /etc/bash_completion.d/memcrest\n"
         "_memcrest() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= words= i\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    case ${COMP_WORDS[i]} in -*) ;; *) verb=${COMP_WORDS[i]}; break ;; esac\n"
         "  done\n"
         "  case $verb in\n"
         "  '') words='" +
         joined(verbs) + " " + flag_words(app) + "' ;;\n" + cases +
         "  esac\n"
         "  case $cur in\n"
         "  -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
         "  *) if [ -z \"$verb\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"));\n"
         "    else compopt -o default; fi ;;\n"
         "  esac\n"
         "}\n"
         "complete -F _memcrest memcrest\n";
}

std::string zsh_flags(const CLI::App& app, const char* indent) {
  std::string out;
  for (const CLI::Option* option : flags_of(app)) {
    const auto words = words_of(*option);
    std::string value;
    if (takes_value(*option)) {
      value = ":" + quoted(value_of(*option), ":[]\\") + ":" +
              (!words.empty()     ? "(" + joined(words) + ")"
               : is_file(*option) ? "_files"
                                  : " ");
    }
    for (const std::string& name : names_of(*option)) {
      out +=
          std::string(indent) + "'*" + name + "[" + quoted(option->get_description(), ":[]\\") + "]" + value + "' \\\n";
    }
  }
  return out;
}

std::string zsh(const CLI::App& app) {
  std::string verbs;
  std::string cases;
  for (const CLI::App* verb : verbs_of(app)) {
    verbs += "    '" + verb->get_name() + ":" + quoted(verb->get_description(), ":\\") + "'\n";
    cases += "    " + verb->get_name() + ")\n      _arguments \\\n" + zsh_flags(*verb, "        ") +
             "        '*:file:_files' ;;\n";
  }
  return "#compdef memcrest\n"
         "# zsh completion of memcrest: memcrest completion zsh > \"${fpath[1]}/_memcrest\"\n"
         "_memcrest() {\n"
         "  local -a verbs\n"
         "  verbs=(\n" +
         verbs +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe 'command' verbs\n"
         "    return\n"
         "  fi\n"
         "  local verb=${words[2]}\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $verb in\n" +
         cases +
         "  esac\n"
         "}\n"
         "_memcrest \"$@\"\n";
}

std::string fish_flags(const CLI::App& app, const std::string& when) {
  std::string out;
  for (const CLI::Option* option : flags_of(app)) {
    out += "complete -c memcrest -n '" + when + "'";
    for (const std::string& name : option->get_snames()) {
      out += " -s " + name;
    }
    for (const std::string& name : option->get_lnames()) {
      out += " -l " + name;
    }
    if (takes_value(*option)) {
      const auto words = words_of(*option);
      out += !words.empty() ? " -x -a '" + joined(words) + "'" : is_file(*option) ? " -r -F" : " -x";
    }
    out += " -d '" + quoted(option->get_description(), "\\") + "'\n";
  }
  return out;
}

std::string fish(const CLI::App& app) {
  std::string out =
      "# fish completion of memcrest: memcrest completion fish > ~/.config/fish/completions/memcrest.fish\n";
  for (const CLI::App* verb : verbs_of(app)) {
    out += "complete -c memcrest -n __fish_use_subcommand -f -a " + verb->get_name() + " -d '" +
           quoted(verb->get_description(), "\\") + "'\n";
  }
  out += fish_flags(app, "__fish_use_subcommand");
  for (const CLI::App* verb : verbs_of(app)) {
    out += fish_flags(*verb, "__fish_seen_subcommand_from " + verb->get_name());
  }
  return out;
}

// Text for roff: nothing at a line's beginning is a request, no hyphen becomes a dash.
std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) {
      out += "\\&";
    }
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    line_begins = c == '\n';
  }
  return out;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

std::string roff_options(const CLI::App& app) {
  std::vector<std::string> order;
  std::map<std::string, std::string> groups;
  for (const CLI::Option* option : flags_of(app)) {
    auto& group = groups[option->get_group()];
    if (group.empty()) {
      order.push_back(option->get_group());
    }
    group += ".TP\n.B " + roff(joined(names_of(*option), ", ")) + "\n";
    if (takes_value(*option) && !value_of(*option).empty()) {
      group.pop_back();
      group = group + " " + roff(value_of(*option)) + "\n";
    }
    group += roff(option->get_description()) + "\n";
  }
  std::string out;
  for (const std::string& name : order) {
    out += ".SH " + roff(upper(name)) + "\n" + groups[name];
  }
  return out;
}

std::string roff_footer(const CLI::App& app) {
  const std::string text = app.get_footer();
  return text.empty() ? std::string() : ".SH NOTES\n.nf\n" + roff(text) + "\n.fi\n";
}

}  // namespace

std::string completion_script(const CLI::App& app, Shell shell) {
  switch (shell) {
    case Shell::kBash:
      return bash(app);
    case Shell::kZsh:
      return zsh(app);
    case Shell::kFish:
      return fish(app);
  }
  return {};
}

std::string manual_page(const CLI::App& app, const CLI::App* verb) {
  const std::string name = verb == nullptr ? "memcrest" : "memcrest-" + verb->get_name();
  const CLI::App& shown = verb == nullptr ? app : *verb;
  std::string out = ".TH " + roff(upper(name)) + " 1 \"\" \"memcrest " MEMCREST_VERSION "\" \"memcrest\"\n.SH NAME\n" +
                    roff(name) + " \\- " + roff(shown.get_description()) + "\n.SH SYNOPSIS\n.B memcrest";
  if (verb != nullptr) {
    out += " " + roff(verb->get_name()) + "\n[OPTIONS]";
    for (const CLI::Option* one :
         verb->get_options([](const CLI::Option* option) { return option->get_positional(); })) {
      const std::string what = one->get_name(true);
      out += " " + roff(one->get_required() ? what : "[" + what + "]");
    }
    out += "\n";
  } else {
    out += "\nCOMMAND [OPTIONS]\n.SH COMMANDS\n";
    for (const CLI::App* one : verbs_of(app)) {
      out += ".TP\n.BR memcrest\\-" + roff(one->get_name()) + " (1)\n" + roff(one->get_description()) + "\n";
    }
  }
  if (verb != nullptr) {
    for (const CLI::Option* one :
         verb->get_options([](const CLI::Option* option) { return option->get_positional(); })) {
      out += ".SH " + roff(upper(one->get_name(true))) + "\n" + roff(one->get_description()) + "\n";
    }
  }
  return out + roff_options(shown) + roff_footer(shown);
}

}  // namespace memcrest
