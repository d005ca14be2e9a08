// SPDX-License-Identifier: Apache-2.0
#include "top/top_model.h"
#include "util/units.h"

#include <algorithm>
#include <map>

namespace memcrest {
namespace {

constexpr std::size_t kMaxTyped = 200;

}  // namespace

// --- what is shown

void TopModel::set(LiveSnapshot snapshot) {
  if (held_) {
    return;
  }
  all_ = std::move(snapshot.rows);
  snapshot.rows = std::move(snapshot_.rows);  // until arrange() knows what is under the mark
  snapshot_ = std::move(snapshot);
  arrange();
}

void TopModel::set(std::optional<LiveDetail> detail) {
  detail_gone_ = !detail || detail->row.gone;
  if (detail) {
    detail_ = std::move(detail);
  }
}

void TopModel::set(std::vector<std::shared_ptr<const Incident>> incidents) {
  const std::string at = incident_ < incidents_.size() ? incidents_[incident_]->id : std::string();
  incidents_ = std::move(incidents);
  const auto same = std::ranges::find_if(incidents_, [&](const auto& one) { return one->id == at; });
  incident_ = view_ == TopView::kIncidents && same != incidents_.end()
                  ? static_cast<std::size_t>(same - incidents_.begin())
                  : std::min(incident_, incidents_.empty() ? 0 : incidents_.size() - 1);
  if (story_) {  // it may have been told again, with more
    const auto again = std::ranges::find_if(incidents_, [&](const auto& one) { return one->id == story_->id; });
    story_ = again == incidents_.end() ? story_ : *again;
  }
}

void TopModel::arrange() {
  std::optional<std::uint64_t> cgroup;
  std::string group;
  if (selected_ < items_.size()) {
    const TopItem& item = items_[selected_];
    group = item.group;
    if (item.row) {
      cgroup =
          snapshot_.rows.size() > *item.row ? std::optional(snapshot_.rows[*item.row].memory.cgroup.id) : std::nullopt;
    }
  }
  snapshot_.rows.clear();
  for (const LiveRow& row : all_) {
    if (filter_.empty() || holds(row, filter_)) {
      snapshot_.rows.push_back(row);
    }
  }
  filtered_ = all_.size() - snapshot_.rows.size();
  sort_rows(snapshot_.rows, order_, reversed_);
  items_.clear();
  if (!tree_) {
    for (std::size_t i = 0; i < snapshot_.rows.size(); ++i) {
      items_.push_back({.row = i, .group = {}});
    }
  } else {
    std::vector<std::string> order;  // groups by their first row
    std::map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < snapshot_.rows.size(); ++i) {
      const std::string name = group_of(snapshot_.rows[i]);
      auto& members = groups[name];
      if (members.empty()) {
        order.push_back(name);
      }
      members.push_back(i);
    }
    for (const std::string& name : order) {
      const auto& members = groups[name];
      const bool folded = folded_.contains(name);
      items_.push_back({.row = std::nullopt, .group = name, .members = members.size(), .folded = folded});
      for (std::size_t i = 0; !folded && i < members.size(); ++i) {
        items_.push_back({.row = members[i], .group = name});
      }
    }
  }
  select_again(cgroup, group);
}

// What was under the mark stays there, wherever it is now.
void TopModel::select_again(std::optional<std::uint64_t> cgroup, const std::string& group) {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const TopItem& item = items_[i];
    const bool same = cgroup ? item.row && snapshot_.rows[*item.row].memory.cgroup.id == *cgroup
                             : !item.row && !group.empty() && item.group == group;
    if (same) {
      // At the top of the list a person watches the top, not a name.
      selected_ = selected_ == 0 && scroll_ == 0 && cgroup && !tree_ ? 0 : i;
      return;
    }
  }
  selected_ = std::min(selected_, items_.empty() ? 0 : items_.size() - 1);
}

std::optional<std::uint64_t> TopModel::detail_id() const {
  const bool open = view_ == TopView::kDetail || std::ranges::find(before_, TopView::kDetail) != before_.end();
  return open && detail_id_ != 0 ? std::optional(detail_id_) : std::nullopt;
}

std::size_t TopModel::scroll_list(std::size_t room, std::size_t count, std::size_t selected) {
  room_ = std::max<std::size_t>(1, room);
  if (selected < scroll_) {
    scroll_ = selected;
  } else if (selected >= scroll_ + room_) {
    scroll_ = selected + 1 - room_;
  }
  scroll_ = count <= room_ ? 0 : std::min(scroll_, count - room_);
  return scroll_;
}

std::size_t TopModel::scroll_text(std::size_t room, std::size_t count) {
  room_ = std::max<std::size_t>(1, room);
  text_scroll_ = count <= room_ ? 0 : std::min(text_scroll_, count - room_);
  return text_scroll_;
}

// --- keys

void TopModel::move(std::ptrdiff_t by) {
  std::size_t& at = is_text() ? text_scroll_ : view_ == TopView::kIncidents ? incident_ : selected_;
  const std::size_t most = is_text() ? static_cast<std::size_t>(-1) / 4 : count() == 0 ? 0 : count() - 1;
  if (by < 0) {
    at -= std::min(at, static_cast<std::size_t>(-by));
  } else {
    at = std::min(most, at + static_cast<std::size_t>(by));
  }
}

void TopModel::search(int direction, bool from_here) {
  if (searched_.empty() || items_.empty()) {
    return;
  }
  const std::size_t count = items_.size();
  for (std::size_t i = from_here ? 0 : 1; i <= count; ++i) {
    const std::size_t at = (selected_ + (direction > 0 ? i : count - i % count)) % count;
    const TopItem& item = items_[at];
    if (item.row && holds(snapshot_.rows[*item.row], searched_)) {
      selected_ = at;
      return;
    }
  }
  message_ = "nothing holds \"" + searched_ + "\"";
}

TopCommand TopModel::type(const TopInput& input) {
  if (prompt_ == TopPrompt::kColumn) {
    prompt_ = TopPrompt::kNone;
    static constexpr std::pair<char32_t, TopOrder> kLetters[] = {
        {U'%', TopOrder::kPercent}, {U'u', TopOrder::kUse},   {U'p', TopOrder::kPeak},
        {U'm', TopOrder::kMost},    {U'l', TopOrder::kLimit}, {U'g', TopOrder::kGrowth},
        {U'o', TopOrder::kOoms},    {U's', TopOrder::kStall}, {U'n', TopOrder::kName}};
    for (const auto& [letter, order] : kLetters) {
      if (input.key == TopKey::kChar && input.character == letter) {
        order_ = order;
        arrange();
      }
    }
    return {};
  }
  if (input.key == TopKey::kEscape) {
    if (prompt_ == TopPrompt::kFilter) {
      filter_.clear();
      arrange();
    }
    prompt_ = TopPrompt::kNone;
    return {};
  }
  if (input.key == TopKey::kEnter) {
    if (prompt_ == TopPrompt::kSearch) {
      searched_ = typed_;
      prompt_ = TopPrompt::kNone;
      search(1, true);
    }
    prompt_ = TopPrompt::kNone;
    return {};
  }
  if (input.key == TopKey::kBackspace) {
    while (!typed_.empty() && (static_cast<unsigned char>(typed_.back()) & 0xc0U) == 0x80U) {
      typed_.pop_back();
    }
    if (!typed_.empty()) {
      typed_.pop_back();
    }
  } else if (input.key == TopKey::kChar && input.character >= 0x20 && typed_.size() < kMaxTyped) {
    typed_ += utf8_of(input.character);
  }
  if (prompt_ == TopPrompt::kFilter) {
    filter_ = typed_;
    arrange();
  }
  return {};
}

TopCommand TopModel::back() {
  if (before_.empty()) {
    if (!filter_.empty()) {
      filter_.clear();
      arrange();
    }
    return {};
  }
  view_ = before_.back();
  before_.pop_back();
  text_scroll_ = 0;
  return {.look = true};
}

TopCommand TopModel::open_detail() {
  if (selected_ >= items_.size() || !items_[selected_].row || view_ != TopView::kList) {
    return {};
  }
  detail_id_ = snapshot_.rows[*items_[selected_].row].memory.cgroup.id;
  detail_ = LiveDetail{};
  detail_->row = snapshot_.rows[*items_[selected_].row];
  before_.push_back(view_);
  view_ = TopView::kDetail;
  text_scroll_ = 0;
  return {.look = true};
}

TopCommand TopModel::open_incident(std::size_t index) {
  if (index >= incidents_.size()) {
    return {};
  }
  story_ = incidents_[index];
  before_.push_back(view_);
  view_ = TopView::kStory;
  text_scroll_ = 0;
  TopCommand out{.look = true};
  if (travel_) {
    out.go_to = std::clamp(story_->boot_ns, travel_->begin_ns, travel_->end_ns);
    playing_ = false;
  }
  return out;
}

TopCommand TopModel::enter() {
  if (view_ == TopView::kIncidents) {
    return open_incident(incident_);
  }
  if (view_ != TopView::kList || selected_ >= items_.size()) {
    return {};
  }
  if (items_[selected_].row) {
    return open_detail();
  }
  const std::string group = items_[selected_].group;
  if (!folded_.erase(group)) {
    folded_.insert(group);
  }
  arrange();
  return {};
}

TopCommand TopModel::travel_command(char32_t c) {
  const std::uint64_t now = travel_->now_ns;
  const auto at = [&](std::uint64_t to) {
    playing_ = false;
    return TopCommand{.look = true, .go_to = std::clamp(to, travel_->begin_ns, travel_->end_ns)};
  };
  const auto back_by = [&](std::uint64_t ns) { return at(now > ns ? now - ns : 0); };
  switch (c) {
    case U'[':
      return back_by(kSecond);
    case U']':
      return at(now + kSecond);
    case U'{':
      return back_by(60 * kSecond);
    case U'}':
      return at(now + 60 * kSecond);
    case U'0':
      return at(travel_->begin_ns);
    case U'$':
      return at(travel_->end_ns);
    default:
      break;
  }
  std::optional<std::uint64_t> best;
  for (const auto& one : incidents_) {
    const std::uint64_t when = one->boot_ns;
    if (c == U'(' ? when < now && (!best || when > *best) : when > now && (!best || when < *best)) {
      best = when;
    }
  }
  if (!best) {
    message_ = c == U'(' ? "no incident before" : "no incident after";
    return {};
  }
  return at(*best);
}

TopCommand TopModel::command(char32_t c) {
  if (travel_ && std::u32string_view(U"[]{}()0$").find(c) != std::u32string_view::npos) {
    return travel_command(c);
  }
  const auto open = [&](TopView view) {
    if (view_ != view) {
      before_.push_back(view_);
      view_ = view;
      text_scroll_ = 0;
    }
    return TopCommand{.look = true};
  };
  const auto next_order = [&](std::size_t by) {
    const auto at = static_cast<std::size_t>(std::ranges::find(kTopOrders, order_) - std::begin(kTopOrders));
    order_ = kTopOrders[(at + by) % std::size(kTopOrders)];
    arrange();
  };
  switch (c) {
    case U'q':
      return before_.empty() ? TopCommand{.quit = true} : back();
    case U'j':
      move(1);
      break;
    case U'k':
      move(-1);
      break;
    case U'h':
    case U'?':
      return open(TopView::kHelp);
    case U'i':
      incident_ = 0;
      return open(TopView::kIncidents);
    case U'd':
      return open_detail();
    case U's':
      next_order(1);
      break;
    case U'S':
      next_order(std::size(kTopOrders) - 1);
      break;
    case U'c':
      prompt_ = TopPrompt::kColumn;
      break;
    case U'r':
      reversed_ = !reversed_;
      arrange();
      break;
    case U't':
      tree_ = !tree_;
      arrange();
      break;
    case U'/':
    case U'f':
      prompt_ = c == U'/' ? TopPrompt::kSearch : TopPrompt::kFilter;
      typed_ = c == U'/' ? std::string() : filter_;
      break;
    case U'n':
      search(1, false);
      break;
    case U'N':
      search(-1, false);
      break;
    case U' ':
      if (view_ == TopView::kList && selected_ < items_.size() && !items_[selected_].row) {
        return enter();
      }
      if (travel_) {
        playing_ = !playing_;
      } else {
        held_ = !held_;
        return {.look = !held_};
      }
      break;
    default:
      break;
  }
  return {};
}

TopCommand TopModel::click(const TopInput& input) {
  if (is_text() || input.row < first_line_) {
    return {};
  }
  const std::size_t at = input.row - first_line_ + scroll_;
  if (at >= count() || input.row - first_line_ >= room_) {
    return {};
  }
  std::size_t& mark = view_ == TopView::kIncidents ? incident_ : selected_;
  if (mark == at) {
    return enter();
  }
  mark = at;
  return {};
}

TopCommand TopModel::handle(const TopInput& input) {
  message_.clear();
  if (prompt_ != TopPrompt::kNone) {
    return type(input);
  }
  const auto page = static_cast<std::ptrdiff_t>(room_ > 1 ? room_ - 1 : 1);
  constexpr std::ptrdiff_t kFar = 1'000'000'000;
  switch (input.key) {
    case TopKey::kChar:
      return command(input.character);
    case TopKey::kUp:
      move(-1);
      break;
    case TopKey::kDown:
      move(1);
      break;
    case TopKey::kWheelUp:
      move(-3);
      break;
    case TopKey::kWheelDown:
      move(3);
      break;
    case TopKey::kPageUp:
      move(-page);
      break;
    case TopKey::kPageDown:
      move(page);
      break;
    case TopKey::kHome:
      move(-kFar);
      break;
    case TopKey::kEnd:
      move(kFar);
      break;
    case TopKey::kEnter:
    case TopKey::kRight:
      return enter();
    case TopKey::kLeft:
    case TopKey::kEscape:
    case TopKey::kBackspace:
      return back();
    case TopKey::kTab:
      return command(U'i');
    case TopKey::kClick:
      return click(input);
    case TopKey::kResize:
      break;
  }
  return {};
}

}  // namespace memcrest
