// SPDX-License-Identifier: Apache-2.0
// Recordings that follow each other in a directory, each whole by itself: the next begins between two turns of the
// collector when one is large or old enough.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "store/recording_directory.h"
#include "store/recording_sink.h"

namespace memcrest {

struct RotationSettings {
  std::uint64_t max_bytes = 0;          // of one file; 0: any
  std::chrono::nanoseconds max_age{0};  // of one file; 0: any
  // With the disk, so that the next file begins at once where it is well.
  std::chrono::milliseconds patience{100};
  RecordingSettings file;
};

class RotatingRecording final : public RecordingSink {
 public:
  // Begins the first file at once.
  [[nodiscard]] static Result<std::unique_ptr<RotatingRecording>> create(std::unique_ptr<RecordingDirectory> directory,
                                                                         const RotationSettings& settings,
                                                                         std::map<std::string, std::string> meta,
                                                                         Moment now);

  void add(std::span<const Event> events) override { writer_->add(events); }
  bool add(Answer answer) override { return writer_->add(std::move(answer)); }
  void add(Moment moment) override;
  void add(std::span<const SampleEvent> samples) override { writer_->add(samples); }
  void add(const Incident& incident, std::string json) override { writer_->add(incident, std::move(json)); }
  void add(const LossCount& loss) override;
  bool add(const CgroupRef& cgroup, const Container& container) override { return writer_->add(cgroup, container); }
  void add(std::vector<CodeName> names) override { writer_->add(std::move(names)); }
  [[nodiscard]] bool begin_turn() override;
  Result<void> finish() override;
  [[nodiscard]] Status status() const override;

 private:
  RotatingRecording(std::unique_ptr<RecordingDirectory> directory, const RotationSettings& settings,
                    std::map<std::string, std::string> meta)
      : directory_(std::move(directory)), settings_(settings), meta_(std::move(meta)) {}
  [[nodiscard]] std::map<std::string, std::string> next_meta() const;
  void adopt(std::unique_ptr<RecordingWriter> next);
  [[nodiscard]] bool is_full() const;

  std::unique_ptr<RecordingDirectory> directory_;
  RotationSettings settings_;
  std::map<std::string, std::string> meta_;
  std::unique_ptr<RecordingWriter> writer_;
  Moment now_;
  std::uint64_t begun_ns_ = 0;  // the file
  std::uint64_t tidied_ns_ = 0;
  std::uint64_t refused_ns_ = 0;  // when the next file could not be made
  LossCount loss_;
  BeginningRecording next_;   // last but what status() reads: it uses the directory
  mutable std::mutex mutex_;  // of what status() reads
  Status status_;
};

}  // namespace memcrest
