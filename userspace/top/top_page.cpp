// SPDX-License-Identifier: Apache-2.0
#include "top/top_page.h"

#include <algorithm>
#include <cmath>

#include "export/incident_reader.h"
#include "top/curve.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"
#include "view/text_words.h"

namespace memcrest {
namespace {

constexpr double kNearlyFull = 0.9;
constexpr std::size_t kNameLeast = 16;
constexpr std::size_t kNameMost = 48;
constexpr std::size_t kMark = 2;  // columns in front of each row

enum class Field {
  kName,
  kUse,
  kPeak,
  kMost,
  kLimit,
  kEffective,
  kPercent,
  kBar,
  kMinute,
  kGrowth,
  kOoms,
  kStall,
  kKind,
  kGroup
};

struct Column {
  Field field;
  const char* head;
  std::size_t width;
  bool right;
  unsigned rank;  // the highest goes first where there is no room; 0: stays
  std::optional<TopOrder> order;
};

std::string percent_of(const std::optional<double>& share) {
  if (!share) {
    return {};
  }
  const double value = std::isfinite(*share) ? std::clamp(*share * 100, 0.0, 9999.0) : 0;
  return value > 0 && value < 0.5 ? "<1 %" : std::to_string(std::lround(value)) + " %";
}

std::string rate_of(double bytes_per_s) {
  if (!std::isfinite(bytes_per_s) || std::fabs(bytes_per_s) < 1) {
    return {};
  }
  const auto size = static_cast<std::uint64_t>(std::min(std::fabs(bytes_per_s), 1e18));
  return (bytes_per_s < 0 ? "-" : "+") + view::bytes(size) + "/s";
}

std::string stall_of(double ms) { return ms < 0.5 || !std::isfinite(ms) ? std::string() : view::milliseconds(ms); }

bool limits_differ(const TopModel& model) {
  return std::ranges::any_of(model.rows(), [](const LiveRow& row) {
    const auto& figures = row.memory.figures;
    return figures.effective && figures.effective->cgroup_path != row.memory.cgroup.path;
  });
}

// What fits, and how wide: first columns that matter less go, then name, bar and minute share what is left.
std::vector<Column> columns_for(const TopModel& model, std::size_t columns) {
  const bool differ = limits_differ(model);
  std::vector<Column> all = {
      {Field::kName, "NAME", kNameLeast, false, 0, TopOrder::kName},
      {Field::kUse, "USE", 8, true, 0, TopOrder::kUse},
      {Field::kPeak, "PEAK", 9, true, 0, TopOrder::kPeak},
      {Field::kMost, "MAX", 8, true, 3, TopOrder::kMost},
      {Field::kLimit, "LIMIT", 8, true, differ ? 4U : 0U, differ ? std::nullopt : std::optional(TopOrder::kLimit)},
      {Field::kEffective, "EFFECTIVE", 10, true, differ ? 0U : 8U,
       differ ? std::optional(TopOrder::kLimit) : std::nullopt},
      {Field::kPercent, "%", 5, true, 0, TopOrder::kPercent},
      {Field::kBar, "USE┃PEAK", 9, false, 1, std::nullopt},
      {Field::kMinute, "LAST MIN", 10, false, 0, std::nullopt},
      {Field::kGrowth, "GROWTH", 11, true, 5, TopOrder::kGrowth},
      {Field::kOoms, "OOM", 3, true, 0, TopOrder::kOoms},
      {Field::kStall, "STALL", 7, true, 7, TopOrder::kStall},
      {Field::kKind, "KIND", 6, false, 6, std::nullopt},
      {Field::kGroup, "OF", 20, false, 9, std::nullopt},
  };
  const auto taken = [&] {
    std::size_t sum = kMark;
    for (const Column& one : all) {
      sum += one.width + 1;
    }
    return sum - 1;
  };
  while (taken() > columns) {
    const auto least = std::ranges::max_element(all, {}, &Column::rank);
    if (least->rank == 0) {
      break;
    }
    all.erase(least);
  }
  const auto widen = [&](Field field, std::size_t most) {
    const auto found = std::ranges::find(all, field, &Column::field);
    if (found != all.end() && columns > taken()) {
      found->width = std::min(most, found->width + (columns - taken()));
    }
  };
  std::size_t longest = kNameLeast;
  for (const LiveRow& row : model.rows()) {
    longest =
        std::max(longest, std::min(kNameMost, display_width(escape_terminal(name_of(row))) + (model.tree() ? 2 : 0)));
  }
  widen(Field::kMinute, 15);
  widen(Field::kName, longest);
  widen(Field::kBar, 20);
  widen(Field::kMinute, 60);
  widen(Field::kGroup, 40);
  return all;
}

struct Shown {
  std::string text;
  Tone tone = Tone::kPlain;
};

Shown size_of(const std::optional<std::uint64_t>& value) {
  return value ? Shown{view::bytes(*value)} : Shown{"?", Tone::kDim};
}

Shown limit_of(const MemoryFigures& figures) {
  if (!figures.limit_known) {
    return {"?", Tone::kDim};
  }
  return figures.limit_bytes ? Shown{view::bytes(*figures.limit_bytes)} : Shown{"none", Tone::kNotice};
}

Shown effective_of(const MemoryFigures& figures) {
  if (figures.effective) {
    return {(figures.effective_known || figures.limit_known ? "" : "<= ") + view::bytes(figures.effective->bytes)};
  }
  return {"none", Tone::kNotice};
}

// The height of a full character: the limit, where that is not so far off that nothing could be seen.
std::uint64_t scale_of(const LiveRow& row) {
  std::uint64_t highest = 1;
  for (const std::uint64_t value : row.history) {
    highest = std::max(highest, value);
  }
  const auto& effective = row.memory.figures.effective;
  return effective && effective->bytes > 0 && effective->bytes / 16 <= highest ? std::max(effective->bytes, highest)
                                                                               : highest;
}

Shown shown(const Column& column, const LiveRow& row, bool indent) {
  const MemoryFigures& figures = row.memory.figures;
  const auto share = peak_share(row);
  const bool full = share && *share >= kNearlyFull;
  switch (column.field) {
    case Field::kName:
      return {(indent ? "  " : "") + escape_terminal(name_of(row)), row.gone ? Tone::kDim : Tone::kBold};
    case Field::kUse:
      return size_of(figures.usage_bytes);
    case Field::kPeak:
      return {(row.peak_interval_exact ? "" : "~") + view::bytes(row.peak_interval_bytes),
              full ? Tone::kAlarm : Tone::kPlain};
    case Field::kMost:
      return size_of(figures.peak_bytes);
    case Field::kLimit:
      return limit_of(figures);
    case Field::kEffective:
      return effective_of(figures);
    case Field::kPercent:
      return {percent_of(use_share(row)), full ? Tone::kAlarm : Tone::kPlain};
    case Field::kBar:
      return share ? Shown{share_bar(*use_share(row), *share, column.width), full ? Tone::kAlarm : Tone::kPlain}
                   : Shown{};
    case Field::kMinute:
      return {minute_line(row.history, scale_of(row), column.width), full ? Tone::kAlarm : Tone::kPlain};
    case Field::kGrowth:
      return {rate_of(row.growth_bytes_per_s), row.growth_bytes_per_s > 0 ? Tone::kNotice : Tone::kDim};
    case Field::kOoms:
      return figures.oom_kills
                 ? Shown{std::to_string(*figures.oom_kills), *figures.oom_kills > 0 ? Tone::kAlarm : Tone::kPlain}
                 : Shown{"?", Tone::kDim};
    case Field::kStall:
      return {stall_of(row.stall_ms), Tone::kNotice};
    case Field::kKind:
      return {escape_terminal(row.kind)};
    case Field::kGroup:
      return {escape_terminal(group_of(row)), Tone::kDim};
  }
  return {};
}

TopLine head_of(const TopModel& model, const std::vector<Column>& columns) {
  TopLine out;
  out.bar = true;
  out.add(std::string(kMark, ' '));
  for (const Column& one : columns) {
    std::string head = one.head;
    if (one.order && *one.order == model.order()) {
      head += model.reversed() != (model.order() == TopOrder::kName) ? "▲" : "▼";
    }
    out.add(fitted(head, std::max(one.width, std::size_t{1}), one.right) + (&one == &columns.back() ? "" : " "));
  }
  return out;
}

TopLine row_line(const LiveRow& row, const std::vector<Column>& columns, bool selected, bool indent) {
  const auto share = peak_share(row);
  const bool alarm = (share && *share >= kNearlyFull) || row.memory.figures.oom_kills.value_or(0) > 0;
  TopLine out;
  out.selected = selected;
  out.add(selected ? ">" : " ", Tone::kBold);
  out.add(row.gone ? "x" : alarm ? "!" : " ", alarm ? Tone::kAlarm : Tone::kDim);
  for (const Column& column : columns) {
    const Shown text = shown(column, row, indent);
    std::string cell = column.field == Field::kName ? truncate_middle(text.text, column.width) : text.text;
    cell = fitted(cell, column.width, column.right);
    out.add(std::move(cell), row.gone ? Tone::kDim : text.tone);
    if (&column != &columns.back()) {
      out.add(" ");
    }
  }
  return out;
}

TopLine group_line(const TopModel& model, const TopItem& item, bool selected) {
  std::uint64_t use = 0;
  for (const LiveRow& row : model.rows()) {
    if (group_of(row) == item.group) {
      use += row.memory.figures.usage_bytes.value_or(0);
    }
  }
  TopLine out;
  out.selected = selected;
  out.add(selected ? "> " : "  ", Tone::kBold);
  out.add(item.folded ? "+ " : "- ");
  out.add(item.group.empty() ? "(alone)" : escape_terminal(item.group), Tone::kBold);
  out.add("   " + view::counted(item.members, "container", "containers") + ", " + view::bytes(use) + " in use",
          Tone::kDim);
  return out;
}

TopLine item_line(const TopModel& model, const std::vector<Column>& columns, std::size_t index) {
  const TopItem& item = model.items()[index];
  const bool selected = index == model.selected();
  return item.row ? row_line(model.rows()[*item.row], columns, selected, model.tree())
                  : group_line(model, item, selected);
}

std::string lost_words(const LossCount& lost) { return "lost: " + describe(lost); }

TopLine title(const TopModel& model, std::size_t columns) {
  const LiveSnapshot& moment = model.snapshot();
  std::string left = "memcrest top · " + escape_terminal(model.source()) + " · " +
                     view::counted(model.rows().size(), "container", "containers");
  if (model.filtered() > 0) {
    left += " (" + std::to_string(model.filtered()) + " hidden)";
  }
  const std::string right = moment.unix_ns > 0 ? format_time_of_day(moment.unix_ns) : std::string();
  const std::string middle = " · charges " + escape_terminal(moment.charge_tier) + " · oom " +
                             escape_terminal(moment.oom_tier) + " · " + lost_words(moment.lost);
  if (display_width(left + middle) + 2 + right.size() <= columns) {
    left += middle;
  } else if (!(moment.lost == LossCount{})) {
    left += " · " + lost_words(moment.lost);
  }
  const std::size_t room = columns > right.size() + 1 ? columns - right.size() - 1 : 0;
  TopLine out;
  out.bar = true;
  out.add(fitted(left, room) + " " + right, Tone::kBold);
  return out;
}

std::string kind_words(const Incident& one) {
  switch (one.kind) {
    case IncidentKind::kOom:
      return one.stuck && one.victims.empty() ? "STUCK" : "OOM KILL";
    case IncidentKind::kBurst:
      return "BURST";
    case IncidentKind::kKill:
      return "KILL";
    case IncidentKind::kChargeFailure:
      return "REFUSED";
    case IncidentKind::kBreakpoint:
      return "BREAKPOINT";
  }
  return "";
}

std::string whom(const Incident& one) {
  if (!one.container.name.empty()) {
    return one.container.name;
  }
  return one.container.id.empty()
             ? (one.cgroup.path.empty() ? "cgroup " + std::to_string(one.cgroup.id) : one.cgroup.path)
             : one.container.id.substr(0, view::kShortId);
}

// One line: what grew from where to where, who died.
std::string gist(const Incident& one) {
  std::string out;
  if (!one.victims.empty()) {
    out += "killed " + view::process(one.victims.front().comm, one.victims.front().pid);
    if (one.victims.size() > 1) {
      out += " and " + std::to_string(one.victims.size() - 1) + " more";
    }
  }
  if (one.burst) {
    out += (out.empty() ? "" : " · ") + view::bytes(one.burst->base_bytes) + " → " +
           view::bytes(one.burst->peak_bytes) + " in " + view::milliseconds(one.burst->duration_ms);
  }
  if (one.end) {
    out += (out.empty() ? "" : " · ") + view::process(one.end->comm, one.end->pid);
  }
  return out;
}

bool is_alarm(const Incident& one) { return one.kind != IncidentKind::kBurst && !is_no_alarm(one); }

// The last incident; of a recording, where one stands in it.
TopLine second_line(const TopModel& model, std::size_t columns) {
  if (const auto& travel = model.travel()) {
    const double whole = std::max(1.0, static_cast<double>(travel->end_ns - travel->begin_ns));
    const auto part = [&](std::uint64_t ns) {
      return std::clamp(static_cast<double>(ns - std::min(ns, travel->begin_ns)) / whole, 0.0, 1.0);
    };
    const std::string left = std::string(model.playing() ? "playing" : "stopped") + " at " +
                             format_duration(std::chrono::nanoseconds(travel->now_ns - travel->begin_ns)) + " of " +
                             format_duration(std::chrono::nanoseconds(travel->end_ns - travel->begin_ns)) + " ";
    const std::size_t width = columns > display_width(left) + 4 ? columns - display_width(left) - 1 : 4;
    std::vector<std::string> strip(width, "─");
    for (const auto& one : model.incidents()) {
      strip[static_cast<std::size_t>(part(one->boot_ns) * static_cast<double>(width - 1))] = is_alarm(*one) ? "!" : "^";
    }
    const auto now = static_cast<std::size_t>(part(travel->now_ns) * static_cast<double>(width - 1));
    TopLine out(left);
    std::string before;
    std::string after;
    for (std::size_t i = 0; i < width; ++i) {
      if (i != now) {
        (i < now ? before : after) += strip[i];
      }
    }
    out.add(before, Tone::kDim).add("█", Tone::kBold).add(after, Tone::kDim);
    return out;
  }
  if (!model.incidents().empty()) {
    const Incident& last = *model.incidents().front();
    TopLine out("last: " + format_time_of_day(last.unix_ns).substr(0, 8) + " ");
    out.add(kind_words(last), is_alarm(last) ? Tone::kAlarm : Tone::kNotice);
    out.add("  " + escape_terminal(whom(last)), Tone::kBold).add("  " + gist(last));
    return out;
  }
  return TopLine("no incident since the watch began", Tone::kDim);
}

TopLine foot(const TopModel& model, std::size_t columns) {
  TopLine out;
  switch (model.prompt()) {
    case TopPrompt::kFilter:
      return out.add("show only: " + escape_terminal(model.typed()) + "_   Enter keeps it, Esc shows all", Tone::kBold);
    case TopPrompt::kSearch:
      return out.add("search: " + escape_terminal(model.typed()) + "_   Enter, then n and N", Tone::kBold);
    case TopPrompt::kColumn:
      return out.add("sort by: % percent  u use  p peak  m max  l limit  g growth  o oom  s stall  n name",
                     Tone::kBold);
    case TopPrompt::kNone:
      break;
  }
  if (!model.trouble().empty()) {
    return out.add(escape_terminal(model.trouble()), Tone::kAlarm);
  }
  if (!model.message().empty()) {
    return out.add(escape_terminal(model.message()), Tone::kNotice);
  }
  if (model.view() != TopView::kList) {
    return out.add("Esc back   ↑ ↓ move" +
                       std::string(model.view() == TopView::kIncidents ? "   Enter the full story" : "") +
                       (model.travel() ? "   [ ] second  { } minute  ( ) incident" : "") + "   h help",
                   Tone::kDim);
  }
  std::string text = std::string(model.held() ? "HELD, Space goes on   " : "") +
                     "Enter detail  i incidents  / search  f filter" +
                     (model.filter().empty() ? "" : ": " + escape_terminal(model.filter())) +
                     "  s sort: " + to_string(model.order()) + "  t tree  h help  q quit";
  if (!model.snapshot().notes.empty() && display_width(text) + 10 < columns) {
    text += "   note: " + escape_terminal(model.snapshot().notes.front());
  }
  return out.add(std::move(text), model.held() ? Tone::kNotice : Tone::kDim);
}

std::vector<TopLine> help_lines(const TopModel& model) {
  std::vector<TopLine> out;
  out.emplace_back("Keys", Tone::kBold);
  for (const TopHelp& one : top_help()) {
    if (!one.recording || model.travel()) {
      out.push_back(TopLine("  " + fitted(one.keys, 24), Tone::kBold).add(one.does));
    }
  }
  out.emplace_back("");
  out.emplace_back("Columns", Tone::kBold);
  static constexpr const char* kWords[][2] = {
      {"USE", "all that is charged now: what the limit is compared with"},
      {"PEAK", "highest since the refresh before, however short; ~ at most one step too low"},
      {"MAX", "highest since the container's cgroup exists: the kernel's own mark"},
      {"LIMIT", "its own; EFFECTIVE the lowest of its own and those around it"},
      {"%", "use of the effective limit"},
      {"██▒┃··", "use, and the peak of the interval, as parts of that limit"},
      {"LAST MIN", "the last minute: the highest of each second, or of a few"},
      {"GROWTH", "over the last ten seconds"},
      {"OOM", "processes that the OOM killer took"},
      {"STALL", "time in the last minute that tasks waited for reclaim, summed up"},
      {"KIND", "what most of it is: anon, file, shmem (tmpfs), kernel"},
      {"! x", "in front: near its limit or killed in; gone"}};
  for (const auto& [name, words] : kWords) {
    out.push_back(TopLine("  " + fitted(name, 24), Tone::kBold).add(words));
  }
  return out;
}

TopLine incident_line(const Incident& one, bool selected, std::size_t columns) {
  TopLine out;
  out.selected = selected;
  out.add(selected ? "> " : "  ", Tone::kBold).add(format_time_of_day(one.unix_ns) + "  ");
  out.add(fitted(kind_words(one), 9), is_alarm(one) ? Tone::kAlarm : Tone::kNotice);
  out.add(fitted(truncate_middle(escape_terminal(whom(one)), columns / 4), columns / 4) + "  ", Tone::kBold);
  return out.add(gist(one));
}

void add_body(TopModel& model, std::vector<TopLine>& out, std::size_t columns, std::size_t room) {
  model.set_first_line(out.size());
  if (model.view() == TopView::kIncidents) {
    if (model.incidents().empty()) {
      out.emplace_back("  no incident yet", Tone::kDim);
    }
    const std::size_t from = model.scroll_list(room, model.incidents().size(), model.selected_incident());
    for (std::size_t i = from; i < model.incidents().size() && i < from + room; ++i) {
      out.push_back(incident_line(*model.incidents()[i], i == model.selected_incident(), columns));
    }
    return;
  }
  std::vector<TopLine> text;
  if (model.view() == TopView::kHelp) {
    text = help_lines(model);
  } else if (model.view() == TopView::kStory && model.story() != nullptr) {
    text = story_lines(*model.story(), columns);
  } else if (model.detail()) {
    text = detail_lines(*model.detail(), model.detail_gone(), model.snapshot(), columns);
  }
  const std::size_t from = model.scroll_text(room, text.size());
  for (std::size_t i = from; i < text.size() && i < from + room; ++i) {
    out.push_back(std::move(text[i]));
  }
}

}  // namespace

std::vector<TopLine> top_page(TopModel& model, std::size_t columns, std::size_t rows) {
  std::vector<TopLine> out;
  out.push_back(title(model, columns));
  out.push_back(second_line(model, columns));
  const std::size_t foot_lines = 1;
  if (model.view() == TopView::kList) {
    const auto fields = columns_for(model, columns);
    out.push_back(head_of(model, fields));
    model.set_first_line(out.size());
    const std::size_t room = rows > out.size() + foot_lines ? rows - out.size() - foot_lines : 1;
    const std::size_t from = model.scroll_list(room, model.items().size(), model.selected());
    for (std::size_t i = from; i < model.items().size() && i < from + room; ++i) {
      out.push_back(item_line(model, fields, i));
    }
    if (model.items().empty()) {
      out.emplace_back(model.filtered() > 0 ? "  none matches" : "  no container runs here", Tone::kDim);
    }
  } else {
    add_body(model, out, columns, rows > out.size() + foot_lines ? rows - out.size() - foot_lines : 1);
  }
  out.resize(rows > 0 ? rows - 1 : 0);
  out.push_back(foot(model, columns));
  for (TopLine& line : out) {
    line = cut(std::move(line), columns);
  }
  return out;
}

std::string top_once(const TopModel& model, std::size_t columns, bool color) {
  const auto fields = columns_for(model, columns);
  std::string out;
  const auto put = [&](const TopLine& line) {
    std::string text;
    for (const TopPiece& piece : line.pieces) {
      text += in_tone(piece.text, piece.tone, color);
    }
    while (text.ends_with(' ')) {
      text.pop_back();
    }
    out += text + "\n";
  };
  put(head_of(model, fields));
  for (const LiveRow& row : model.rows()) {
    put(row_line(row, fields, false, false));
  }
  return out;
}

}  // namespace memcrest
