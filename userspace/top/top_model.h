// SPDX-License-Identifier: Apache-2.0
// What `memcrest top` shows, and what keys do to it. Knows rows, not where they come from, and no terminal. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "memcrest/live.h"
#include "top/top_keys.h"
#include "top/top_line.h"
#include "top/top_order.h"
#include "top/top_source.h"

namespace memcrest {

enum class TopView { kList, kDetail, kIncidents, kStory, kHelp };
enum class TopPrompt { kNone, kFilter, kSearch, kColumn };

// What the loop has to do after a key.
struct TopCommand {
  bool quit = false;
  bool look = false;                   // what is shown is not what was looked at
  std::optional<std::uint64_t> go_to;  // of a recording: this moment
};

// A line of the list: a row, or the head of a group of them.
struct TopItem {
  std::optional<std::size_t> row;  // in rows()
  std::string group;               // of a head
  std::size_t members = 0;
  bool folded = false;
};

class TopModel {
 public:
  TopModel(std::string source, TopOrder order) : source_(std::move(source)), order_(order) {}

  void set(LiveSnapshot snapshot);
  // Of detail_id(); nullopt: it is not there any more, the last that was known stays.
  void set(std::optional<LiveDetail> detail);
  void set(std::vector<std::shared_ptr<const Incident>> incidents);
  void set(const std::optional<TimeTravel>& travel) { travel_ = travel; }
  // Shown instead of the hints; empty: nothing is wrong.
  void set_trouble(std::string trouble) { trouble_ = std::move(trouble); }

  [[nodiscard]] TopCommand handle(const TopInput& input);

  // For the page.
  [[nodiscard]] const std::string& source() const { return source_; }
  [[nodiscard]] const LiveSnapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] const std::vector<LiveRow>& rows() const { return snapshot_.rows; }
  [[nodiscard]] const std::vector<TopItem>& items() const { return items_; }
  [[nodiscard]] const std::vector<std::shared_ptr<const Incident>>& incidents() const { return incidents_; }
  [[nodiscard]] const std::optional<LiveDetail>& detail() const { return detail_; }
  [[nodiscard]] bool detail_gone() const { return detail_gone_; }
  [[nodiscard]] const Incident* story() const { return story_.get(); }
  [[nodiscard]] const std::optional<TimeTravel>& travel() const { return travel_; }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] TopView view() const { return view_; }
  [[nodiscard]] TopPrompt prompt() const { return prompt_; }
  [[nodiscard]] const std::string& typed() const { return typed_; }
  [[nodiscard]] const std::string& filter() const { return filter_; }
  [[nodiscard]] TopOrder order() const { return order_; }
  [[nodiscard]] bool reversed() const { return reversed_; }
  [[nodiscard]] bool tree() const { return tree_; }
  [[nodiscard]] bool held() const { return held_; }
  [[nodiscard]] bool playing() const { return playing_; }
  [[nodiscard]] std::size_t filtered() const { return filtered_; }
  [[nodiscard]] std::size_t selected() const { return selected_; }
  [[nodiscard]] std::size_t selected_incident() const { return incident_; }
  // Whose detail is wanted; nullopt: nobody's.
  [[nodiscard]] std::optional<std::uint64_t> detail_id() const;

  // The page says how many lines there is room for and how many there are; the first that is shown is answered.
  [[nodiscard]] std::size_t scroll_list(std::size_t room, std::size_t count, std::size_t selected);
  [[nodiscard]] std::size_t scroll_text(std::size_t room, std::size_t count);
  // The screen's line of the list's first item.
  void set_first_line(std::size_t line) { first_line_ = line; }

 private:
  void arrange();
  void move(std::ptrdiff_t by);
  void select_again(std::optional<std::uint64_t> cgroup, const std::string& group);
  void search(int direction, bool from_here);
  [[nodiscard]] TopCommand type(const TopInput& input);
  [[nodiscard]] TopCommand command(char32_t character);
  [[nodiscard]] TopCommand travel_command(char32_t character);
  [[nodiscard]] TopCommand enter();
  [[nodiscard]] TopCommand back();
  [[nodiscard]] TopCommand open_detail();
  [[nodiscard]] TopCommand open_incident(std::size_t index);
  [[nodiscard]] TopCommand click(const TopInput& input);
  [[nodiscard]] bool is_text() const { return view_ != TopView::kList && view_ != TopView::kIncidents; }
  [[nodiscard]] std::size_t count() const { return view_ == TopView::kIncidents ? incidents_.size() : items_.size(); }

  std::string source_;
  LiveSnapshot snapshot_;
  std::vector<LiveRow> all_;  // before the filter
  std::vector<TopItem> items_;
  std::vector<std::shared_ptr<const Incident>> incidents_;
  std::optional<LiveDetail> detail_;
  std::uint64_t detail_id_ = 0;
  bool detail_gone_ = false;
  std::shared_ptr<const Incident> story_;
  std::optional<TimeTravel> travel_;
  std::string trouble_;
  std::string message_;  // until the next key
  TopView view_ = TopView::kList;
  std::vector<TopView> before_;  // where Esc leads
  TopPrompt prompt_ = TopPrompt::kNone;
  std::string typed_;
  std::string filter_;
  std::string searched_;
  TopOrder order_;
  bool reversed_ = false;
  bool tree_ = false;
  bool held_ = false;
  bool playing_ = false;
  std::set<std::string> folded_;
  std::size_t filtered_ = 0;
  std::size_t selected_ = 0;
  std::size_t incident_ = 0;
  std::size_t scroll_ = 0;  // of the list
  std::size_t text_scroll_ = 0;
  std::size_t room_ = 10;
  std::size_t first_line_ = 0;
};

}  // namespace memcrest
