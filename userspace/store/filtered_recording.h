// SPDX-License-Identifier: Apache-2.0
// Leaves out of a recording what is about cgroups that nobody asked for: their steps, samples and incidents, from the
// moment on when their names are known. The cgroups above one that was asked for stay: their limit may be the one that
// is hit. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "store/recording_sink.h"

namespace memcrest {

class FilteredRecording final : public RecordingSink {
 public:
  using Wanted = std::function<bool(const CgroupRef&, const Container&)>;
  FilteredRecording(std::unique_ptr<RecordingSink> inner, Wanted wanted)
      : inner_(std::move(inner)), wanted_(std::move(wanted)) {}

  void add(std::span<const Event> events) override;
  bool add(Answer answer) override { return inner_->add(std::move(answer)); }
  void add(Moment moment) override { inner_->add(moment); }
  void add(std::span<const SampleEvent> samples) override;
  void add(const Incident& incident, std::string json) override;
  void add(const LossCount& loss) override { inner_->add(loss); }
  bool add(const CgroupRef& cgroup, const Container& container) override;
  void add(std::vector<CodeName> names) override { inner_->add(std::move(names)); }
  [[nodiscard]] bool wants_answers() const override { return inner_->wants_answers(); }
  [[nodiscard]] bool wants_code_names(std::uint64_t cgroup_id) const override {
    return keeps(cgroup_id) && inner_->wants_code_names(cgroup_id);
  }
  [[nodiscard]] bool is_cut(std::uint64_t cgroup_id) const override { return inner_->is_cut(cgroup_id); }
  [[nodiscard]] bool begin_turn() override { return inner_->begin_turn(); }
  Result<void> finish() override { return inner_->finish(); }
  [[nodiscard]] Status status() const override { return inner_->status(); }

 private:
  struct Known {
    std::string path;
    bool wanted = false;
  };
  [[nodiscard]] bool keeps(std::uint64_t cgroup_id) const;

  std::unique_ptr<RecordingSink> inner_;
  Wanted wanted_;
  std::unordered_map<std::uint64_t, Known> known_;
  std::unordered_set<std::string> above_;  // paths above a wanted one
};

}  // namespace memcrest
