// SPDX-License-Identifier: Apache-2.0
// What is known of one container, from the moment back; and the story of an incident, in the words of view.
#include <algorithm>
#include <cmath>

#include "identity/container_filter.h"
#include "top/curve.h"
#include "top/top_page.h"
#include "util/text.h"
#include "util/units.h"
#include "view/layout.h"
#include "view/stacks_text.h"
#include "view/text.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

constexpr std::size_t kChartRows = 8;
constexpr std::size_t kStepsShown = 12;
constexpr std::size_t kGrowersShown = 8;
constexpr std::size_t kScaleColumns = 10;  // of the chart's labels

void append(std::vector<TopLine>& out, const std::string& coloured) {
  auto lines = lines_of(coloured);
  std::ranges::move(lines, std::back_inserter(out));
}

std::string share_words(std::uint64_t bytes, const std::optional<EffectiveLimit>& limit) {
  if (!limit || limit->bytes == 0) {
    return {};
  }
  return " (" + view::percent(static_cast<double>(bytes) / static_cast<double>(limit->bytes)) + ")";
}

void put_heading(Layout& page, const LiveRow& row, bool gone) {
  const Container& container = row.memory.container;
  page.heading();
  page.piece("", escape_terminal(name_of(row)), Tone::kBold);
  if (gone) {
    page.piece("   ", "GONE", Tone::kAlarm);
  }
  const std::string id = escape_terminal(container.id.substr(0, view::kShortId));
  page.piece("   ", id.empty() ? to_string(row.memory.kind) : std::string(to_string(container.runtime)) + " " + id);
  if (!container.image.empty()) {
    page.piece(view::kDot, escape_terminal(container.image));
  }
  if (const std::string group = group_of(row); !group.empty()) {
    page.piece(view::kDot, escape_terminal(group));
  }
}

void put_figures(Layout& page, const LiveRow& row) {
  const MemoryFigures& figures = row.memory.figures;
  page.row("in use");
  page.piece(
      "",
      view::bytes(figures.usage_bytes.value_or(0)) + share_words(figures.usage_bytes.value_or(0), figures.effective),
      Tone::kBold);
  if (const auto working = figures.working_set_bytes()) {
    page.piece(view::kDot, "working set " + view::bytes(*working));
  }
  if (!row.kind.empty()) {
    page.piece(view::kDot, "mostly " + escape_terminal(row.kind));
  }
  page.row("peak");
  page.piece("",
             std::string(row.peak_interval_exact ? "" : "at least ") + view::bytes(row.peak_interval_bytes) +
                 share_words(row.peak_interval_bytes, figures.effective) + " since the last look",
             Tone::kBold);
  if (figures.peak_bytes) {
    page.piece(view::kDot, view::bytes(*figures.peak_bytes) + " since it began");
  }
  page.row("limit");
  page.piece("",
             figures.limit_bytes   ? view::bytes(*figures.limit_bytes)
             : figures.limit_known ? "none of its own"
                                   : "?",
             Tone::kBold);
  if (figures.effective && figures.effective->cgroup_path != row.memory.cgroup.path) {
    page.piece(view::kDot,
               "effective " + view::bytes(figures.effective->bytes) + ", set by " +
                   escape_terminal(figures.effective->cgroup_path),
               Tone::kNotice);
  }
  if (figures.swap) {
    page.piece(view::kDot, "swap limit " + (figures.swap->limit_bytes ? view::bytes(*figures.swap->limit_bytes)
                                                                      : std::string("none")));
  }
  if (figures.oom_kills) {
    page.piece(view::kDot, view::counted(*figures.oom_kills, "process", "processes") + " killed for memory",
               *figures.oom_kills > 0 ? Tone::kAlarm : Tone::kPlain);
  }
  if (row.stall_ms >= 0.5) {
    page.row("stalled");
    page.piece("", view::milliseconds(row.stall_ms) + " in reclaim in the last minute, all tasks added up");
  }
}

void put_growth(Layout& page, const LiveDetail& detail) {
  if (detail.growers.empty() && detail.kinds.empty()) {
    return;
  }
  page.row("grew");
  for (const KindShare& one : detail.kinds) {
    page.piece(view::kDot, view::percent(one.share) + " " + to_string(one.kind) + " " + view::bytes(one.bytes));
  }
  for (std::size_t i = 0; i < std::min(kGrowersShown, detail.growers.size()); ++i) {
    const Contributor& one = detail.growers[i];
    page.row("");
    page.piece("", fitted(view::percent(one.share), 5, true) + "  " + view::process(one.comm, one.pid) + "  " +
                       view::bytes(one.bytes));
  }
}

void add_chart(std::vector<TopLine>& out, const LiveDetail& detail, const LiveSnapshot& moment, std::size_t columns) {
  if (detail.points.empty() || columns < kScaleColumns + 20) {
    return;
  }
  const std::uint64_t to = std::max(moment.boot_ns, detail.points.back().time_ns);
  const std::uint64_t from = to > kLiveSeconds * kSecond ? to - kLiveSeconds * kSecond : 0;
  std::uint64_t highest = 1;
  for (const LivePoint& one : detail.points) {
    highest = one.time_ns >= from ? std::max(highest, one.high_bytes) : highest;
  }
  const auto& limit = detail.row.memory.figures.effective;
  const bool near = limit && limit->bytes / 4 <= highest;  // else the curve would lie flat
  const std::uint64_t scale = near ? std::max(limit->bytes, highest) : highest;
  const auto lines = chart(detail.points, from, to, scale, columns - kScaleColumns - 2, kChartRows);
  out.emplace_back("");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string label = i == 0 ? view::bytes(scale) : i + 1 == lines.size() ? "0" : "";
    TopLine line(fitted(label, kScaleColumns, true) + " ", Tone::kDim);
    out.push_back(line.add(lines[i], i == 0 && near ? Tone::kNotice : Tone::kPlain));
  }
  const std::string left = "60 s ago";
  const std::size_t width = columns - kScaleColumns - 2;
  out.emplace_back(std::string(kScaleColumns + 1, ' ') + left +
                       std::string(width > left.size() + 3 ? width - left.size() - 3 : 1, ' ') + "now",
                   Tone::kDim);
}

void add_steps(std::vector<TopLine>& out, const LiveDetail& detail, const LiveSnapshot& moment) {
  if (detail.points.empty()) {
    return;
  }
  out.emplace_back("");
  out.push_back(TopLine("  steps", Tone::kDim)
                    .add("      " + std::to_string(detail.points.size()) + " remembered" +
                         (detail.cut ? ", older ones were forgotten" : "") + "; the last:"));
  const std::size_t from = detail.points.size() > kStepsShown ? detail.points.size() - kStepsShown : 0;
  for (std::size_t i = detail.points.size(); i-- > from;) {
    const LivePoint& one = detail.points[i];
    const std::int64_t unix_ns = moment.unix_ns - static_cast<std::int64_t>(moment.boot_ns - one.time_ns);
    std::string text = "             " + (moment.unix_ns > 0 ? format_time_of_day(unix_ns) : std::string()) + "  " +
                       fitted(view::bytes(one.usage_bytes), 9, true);
    if (i > 0) {
      const auto by =
          static_cast<std::int64_t>(one.usage_bytes) - static_cast<std::int64_t>(detail.points[i - 1].usage_bytes);
      text += "  " + fitted(view::change(by), 11, true);
    }
    if (one.high_bytes > one.usage_bytes) {
      text += "  reached " + view::bytes(one.high_bytes) + " before";
    }
    out.emplace_back(std::move(text));
  }
}

// What programs were told to take, beside what they may.
void put_settings(Layout& page, const Incident& incident) {
  for (const RuntimeSetting& one : incident.settings) {
    page.row(&one == &incident.settings.front() ? "settings" : "");
    page.piece("", view::process(one.comm, one.pid));
    page.piece("  ", escape_terminal(one.name) + " " + escape_terminal(one.value), Tone::kBold);
    if (one.bytes && incident.limit.bytes && *incident.limit.bytes > 0) {
      page.piece("  ", view::percent(static_cast<double>(*one.bytes) / static_cast<double>(*incident.limit.bytes)) +
                           " of the limit");
    }
  }
}

}  // namespace

std::vector<TopLine> story_lines(const Incident& incident, std::size_t columns) {
  const TextStyle style{.color = true, .columns = columns};
  Incident whole = incident;
  whole.update.clear();  // its last telling, in full
  std::vector<TopLine> out;
  append(out, to_text(whole, style));
  append(out, stacks_text(incident, style));
  Layout page(columns, true);
  put_settings(page, incident);
  append(out, page.finish());
  if (incident.advice && !incident.advice->lines.empty()) {
    for (const AdviceLine& line : incident.advice->lines) {
      out.emplace_back("# " + escape_terminal(line.tool), Tone::kDim);
      std::string_view rest = line.text;
      while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        out.emplace_back(escape_terminal(rest.substr(0, end)));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
  }
  return out;
}

std::vector<TopLine> detail_lines(const LiveDetail& detail, bool gone, const LiveSnapshot& moment,
                                  std::size_t columns) {
  std::vector<TopLine> out;
  Layout page(columns, true);
  put_heading(page, detail.row, gone);
  put_figures(page, detail.row);
  put_growth(page, detail);
  append(out, page.finish());
  add_chart(out, detail, moment, columns);
  add_steps(out, detail, moment);
  for (const auto& one : detail.incidents) {
    out.emplace_back("");
    // The newest in full; of the others one line would not do, and all of them would hide it.
    if (one == detail.incidents.front()) {
      out.emplace_back("last incident of " + std::to_string(detail.incidents.size()) + ":", Tone::kDim);
      auto story = story_lines(*one, columns);
      std::ranges::move(story, std::back_inserter(out));
      break;
    }
  }
  return out;
}

}  // namespace memcrest
