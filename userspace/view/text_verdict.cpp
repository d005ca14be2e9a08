// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

constexpr std::size_t kCausesShown = 3;
constexpr std::size_t kSettingsShown = 6;
constexpr double kWorthSaying = 0.3;

std::string sure(double confidence) { return percent(std::isfinite(confidence) ? confidence : 0) + " sure"; }

}  // namespace

void put_settings(Layout& page, const Incident& incident) {
  if (incident.settings.empty()) {
    return;
  }
  page.row("settings");
  const std::size_t shown = std::min(kSettingsShown, incident.settings.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const RuntimeSetting& one = incident.settings[i];
    const std::string between = one.name.ends_with("Xmx") ? "" : " ";
    const std::string from = one.from.empty() || one.from == one.name ? "" : " (" + escape_terminal(one.from) + ")";
    page.piece(i == 0 ? "" : kDot, escape_terminal(one.name) + between + escape_terminal(one.value) + from);
  }
  if (shown < incident.settings.size()) {
    page.piece(kDot, std::to_string(incident.settings.size() - shown) + " more", Tone::kDim);
  }
}

void put_why(Layout& page, const Incident& incident) {
  if (!incident.verdict || incident.verdict->causes.empty()) {
    return;
  }
  const auto& causes = incident.verdict->causes;
  page.row("why");
  page.words("", escape_terminal(incident.verdict->text));
  page.row("");
  page.piece("", to_string(causes.front().cause), Tone::kBold);
  page.piece(kDot, sure(causes.front().confidence));
  for (std::size_t i = 1; i < std::min(kCausesShown, causes.size()); ++i) {
    if (causes[i].confidence >= kWorthSaying) {
      page.piece(kDot, "or " + std::string(to_string(causes[i].cause)) + ", " + sure(causes[i].confidence), Tone::kDim);
    }
  }
  for (const std::string& reason : causes.front().reasons_against) {
    page.row("");
    page.words("", "- but " + escape_terminal(reason));
  }
}

// The first of the lines; all are in the JSON form.
void put_do(Layout& page, const Incident& incident) {
  if (!incident.advice || incident.advice->text.empty()) {
    return;
  }
  page.row("do");
  page.words("", escape_terminal(incident.advice->text));
  for (const AdviceLine& line : incident.advice->lines) {
    if (line.text.find('\n') == std::string::npos) {
      page.row("");
      page.words("", escape_terminal(line.text), Tone::kBold);
      return;
    }
  }
}

}  // namespace memcrest::view
