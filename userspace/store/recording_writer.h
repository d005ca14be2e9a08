// SPDX-License-Identifier: Apache-2.0
// Fills a recording on a thread of its own: whoever adds never waits for the disk. What was added is on disk after the
// flush interval at the latest, and survives the death of this process then; a file that was not finished is whole
// nevertheless. When the disk is full or writing fails, recording ends, what is on disk stays, and status() says why.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "store/recording_sink.h"

namespace memcrest {

struct RecordingSettings {
  std::chrono::milliseconds flush_interval{1000};
  std::uint64_t max_bytes = 0;                 // of the file with its log; 0: as the disk allows
  std::uint64_t min_free_bytes = 256U << 20U;  // of the file system: recording ends before it is full
  std::size_t max_queued = 65536;              // items that wait for the disk; more are counted and left out
  // Names of the kernel's functions at these addresses, "" where not known; called on the writer's thread. Empty: the
  // kernel's stacks stay addresses.
  std::function<std::vector<std::string>(const std::vector<std::uint64_t>&)> kernel_functions;
};

class RecordingWriter final : public RecordingSink {
 public:
  // Makes the file, which must not exist yet. `meta`: what the recording says of itself (docs/recording.md).
  [[nodiscard]] static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path,
                                                                       const RecordingSettings& settings,
                                                                       const std::map<std::string, std::string>& meta);
  // An error where less of the disk is left than has to be kept free. `path`: a file or directory on it.
  [[nodiscard]] static Result<void> check_space(const std::string& path, const RecordingSettings& settings);
  ~RecordingWriter() override;  // finishes
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  void add(std::span<const Event> events) override;
  bool add(Answer answer) override;
  void add(Moment moment) override;
  void add(std::span<const SampleEvent> samples) override;
  void add(const Incident& incident, std::string json) override;
  void add(const LossCount& loss) override;
  bool add(const CgroupRef& cgroup, const Container& container) override;
  void add(std::vector<CodeName> names) override;

  // A fact about the recording, for the table `meta`.
  void add_meta(std::string key, std::string value);

  // Makes one file of the recording and its log.
  Result<void> finish() override;
  [[nodiscard]] Status status() const override;

 private:
  struct IncidentItem {
    Incident incident;
    std::string json;
  };
  struct NameItem {
    CgroupRef cgroup;
    Container container;
  };
  struct MetaItem {
    std::string key;
    std::string value;
  };
  using Item = std::variant<Event, Moment, Answer, SampleEvent, IncidentItem, LossCount, NameItem, MetaItem,
                            std::vector<CodeName>>;
  class Tables;

  RecordingWriter(std::unique_ptr<Tables> tables, const RecordingSettings& settings);
  bool push(Item item);
  bool push_locked(Item item);
  void work();
  [[nodiscard]] Result<void> write(std::deque<Item>& batch);
  [[nodiscard]] Result<void> name_kernel();
  [[nodiscard]] Result<void> check_size() const;
  void stop(const Error& error);

  RecordingSettings settings_;
  std::unique_ptr<Tables> tables_;  // of the thread, then of finish()
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  Status status_;
  std::chrono::steady_clock::time_point kernel_named_{};  // of the thread, then of finish()
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace memcrest
