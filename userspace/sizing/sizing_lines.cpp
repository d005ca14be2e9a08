// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_lines.h"

#include <algorithm>
#include <map>
#include <set>

#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

constexpr std::string_view kServices = "services:\n";

// One line, whatever it holds: line ends are escaped.
std::string comment(const std::string& raw) { return "# " + escape_terminal(raw) + "\n"; }

const AdviceLine* line_of(const Sizing& one, LineFormat format) {
  const auto fits = [format](const AdviceLine& line) {
    switch (format) {
      case LineFormat::kDocker:
        return line.tool == "docker update" || line.tool == "podman update";
      case LineFormat::kCompose:
        return line.tool == "compose";
      case LineFormat::kKubernetes:
        return line.tool == "kubernetes";
    }
    return false;
  };
  const auto found = std::ranges::find_if(one.lines, fits);
  return found == one.lines.end() ? nullptr : &*found;
}

std::string words_of(const Sizing& one) {
  std::string out = one.usage.label + ": " + to_string(one.size_class);
  if (one.usage.limit_bytes) {
    out += ", limit " + format_size(*one.usage.limit_bytes);
  }
  if (one.usage.peaks.windows() > 0) {
    out += ", peak " + std::string(one.usage.peak_exact ? "" : "at least ") + format_size(one.usage.peak_bytes);
  }
  return one.advised_guessed ? out + "; a guess: the need was never seen" : out;
}

// What changes nothing is not in the document.
bool changes(const Sizing& one) {
  return one.advised_bytes && one.size_class != SizeClass::kFine && one.size_class != SizeClass::kUnknown;
}

std::string head(const SizingReport& report) {
  std::string out =
      comment("memcrest advise: peaks of windows of " + format_duration(report.settings.window) + ", margin " +
              std::to_string(report.settings.margin_percent) + " %; lost: " + describe(report.lost));
  for (const std::string& gap : report.gaps) {
    out += comment("not complete: " + gap);
  }
  return out;
}

std::string docker_lines(const std::vector<const Sizing*>& wanted) {
  std::string out;
  for (const Sizing* one : wanted) {
    out += comment(words_of(*one)) + line_of(*one, LineFormat::kDocker)->text + "\n";
  }
  return out;
}

std::string label(const Sizing& one, const char* key) {
  const auto found = one.usage.container.labels.find(key);
  return found == one.usage.container.labels.end() ? std::string() : found->second;
}

// One document for each project, and in it each service once, with the largest of its containers' limits.
std::string compose_lines(const std::vector<const Sizing*>& wanted) {
  std::map<std::string, std::map<std::string, const Sizing*>> projects;
  for (const Sizing* one : wanted) {
    const Sizing*& best =
        projects[label(*one, "com.docker.compose.project")][label(*one, "com.docker.compose.service")];
    best = best == nullptr || *best->advised_bytes < *one->advised_bytes ? one : best;
  }
  std::string out;
  for (const auto& [project, services] : projects) {
    out += (out.empty() ? "" : "---\n") + comment("Compose project " + project) + std::string(kServices);
    for (const auto& [service, one] : services) {
      const std::string& text = line_of(*one, LineFormat::kCompose)->text;
      out += "  " + comment(words_of(*one));
      out += text.starts_with(kServices) ? text.substr(kServices.size()) : text;
    }
  }
  return out;
}

// A strategic-merge patch for each container; of what one owner made the largest limit counts.
std::string kubernetes_lines(const std::vector<const Sizing*>& wanted) {
  std::map<std::string, const Sizing*> patches;
  for (const Sizing* one : wanted) {
    const Pod& pod = *one->usage.container.pod;
    const std::string of = pod.owner ? pod.owner->kind + " " + pod.name_space + "/" + pod.owner->name
                                     : "pod " + pod.name_space + "/" + pod.name + " (its owner is not known)";
    const Sizing*& best = patches["of " + of + ", container " + one->usage.container.name];
    best = best == nullptr || *best->advised_bytes < *one->advised_bytes ? one : best;
  }
  std::string out;
  for (const auto& [what, one] : patches) {
    out += (out.empty() ? "" : "---\n") + comment("patch " + what) + comment(words_of(*one)) +
           line_of(*one, LineFormat::kKubernetes)->text;
  }
  return out;
}

}  // namespace

std::string to_lines(const SizingReport& report, LineFormat format) {
  std::vector<const Sizing*> wanted;
  std::string without;
  for (const Sizing& one : report.sizings) {
    const AdviceLine* line = line_of(one, format);
    // A service that has no name cannot be written into a Compose file.
    const bool named = format != LineFormat::kCompose || !label(one, "com.docker.compose.service").empty();
    if (changes(one) && line != nullptr && named) {
      wanted.push_back(&one);
    } else if (changes(one)) {
      without +=
          comment("no line of this format for " + words_of(one) + ", advised " + format_size(*one.advised_bytes));
    } else if (one.size_class != SizeClass::kFine && one.size_class != SizeClass::kUnknown) {
      without += comment("no limit advised for " + words_of(one));
    }
  }
  std::string out = head(report);
  switch (format) {
    case LineFormat::kDocker:
      out += docker_lines(wanted);
      break;
    case LineFormat::kCompose:
      out += compose_lines(wanted);
      break;
    case LineFormat::kKubernetes:
      out += kubernetes_lines(wanted);
      break;
  }
  return out + without;
}

}  // namespace memcrest
