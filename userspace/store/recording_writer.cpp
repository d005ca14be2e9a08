// SPDX-License-Identifier: Apache-2.0
#include "store/recording_writer.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "store/recording_tables.h"
#include "util/units.h"

namespace memcrest {
namespace {

// One transaction: what a crash can cost stays small, and a reader waits no longer than it takes.
constexpr std::size_t kMaxBatch = 16384;
// The kernel takes 50 ms to list its functions; new addresses become rare soon.
constexpr std::chrono::seconds kNameKernelEvery{10};

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string& path,
                                                                 const RecordingSettings& settings,
                                                                 const std::map<std::string, std::string>& meta) {
  auto tables = Tables::create(path, meta);
  if (!tables) {
    return std::unexpected(tables.error());
  }
  return std::unique_ptr<RecordingWriter>(new RecordingWriter(std::move(*tables), settings));
}

RecordingWriter::RecordingWriter(std::unique_ptr<Tables> tables, const RecordingSettings& settings)
    : settings_(settings), tables_(std::move(tables)) {
  status_.files = 1;
  status_.path = tables_->path();
  thread_ = std::thread([this] { work(); });
}

RecordingWriter::~RecordingWriter() { ignore_result(finish()); }

bool RecordingWriter::push(Item item) {
  const std::lock_guard lock(mutex_);
  return push_locked(std::move(item));
}

// False: there is no room now. When recording has ended nothing is worth telling again.
bool RecordingWriter::push_locked(Item item) {
  // Few, and what it is all about.
  const bool must = std::holds_alternative<IncidentItem>(item) || std::holds_alternative<MetaItem>(item);
  if (!status_.recording || (queue_.size() >= settings_.max_queued && !must)) {
    ++status_.unrecorded;
    return !status_.recording;
  }
  queue_.push_back(std::move(item));
  if (queue_.size() == kMaxBatch) {
    wake_.notify_one();
  }
  return true;
}

void RecordingWriter::add(std::span<const Event> events) {
  const std::lock_guard lock(mutex_);
  for (const Event& event : events) {
    push_locked(event);
  }
}
bool RecordingWriter::add(Answer answer) { return push(std::move(answer)); }
void RecordingWriter::add(Moment moment) { push(moment); }
void RecordingWriter::add(std::span<const SampleEvent> samples) {
  const std::lock_guard lock(mutex_);
  for (const SampleEvent& sample : samples) {
    push_locked(sample);
  }
}
void RecordingWriter::add(const Incident& incident, std::string json) { push(IncidentItem{incident, std::move(json)}); }
void RecordingWriter::add(const LossCount& loss) { push(loss); }

bool RecordingWriter::add(const CgroupRef& cgroup, const Container& container) {
  return push(NameItem{cgroup, container});
}

void RecordingWriter::add(std::vector<CodeName> names) { push(std::move(names)); }

void RecordingWriter::add_meta(std::string key, std::string value) { push(MetaItem{std::move(key), std::move(value)}); }

void RecordingWriter::work() {
  std::unique_lock lock(mutex_);
  while (status_.recording) {
    wake_.wait_for(lock, settings_.flush_interval, [&] { return ending_ || queue_.size() >= kMaxBatch; });
    while (status_.recording && !queue_.empty()) {
      std::deque<Item> batch;
      if (queue_.size() <= kMaxBatch) {
        batch.swap(queue_);
      } else {
        const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(kMaxBatch);
        std::move(queue_.begin(), end, std::back_inserter(batch));
        queue_.erase(queue_.begin(), end);
      }
      lock.unlock();
      const auto done = write(batch);
      const std::uint64_t bytes = tables_->bytes();
      lock.lock();
      status_.bytes = bytes;
      if (done) {
        status_.written += batch.size();
      } else {
        status_.unrecorded += batch.size();
        stop(done.error());
      }
    }
    if (ending_) {
      return;
    }
  }
}

// With the mutex held.
void RecordingWriter::stop(const Error& error) {
  status_.recording = false;
  status_.stopped = error.message();
  status_.unrecorded += queue_.size();
  queue_.clear();
}

Result<void> RecordingWriter::check_size() const {
  if (settings_.max_bytes != 0 && tables_->bytes() >= settings_.max_bytes) {
    return fail("record", tables_->path(), 0, "it has reached its largest size, " + format_size(settings_.max_bytes));
  }
  return check_space(tables_->path(), settings_);
}

Result<void> RecordingWriter::check_space(const std::string& path, const RecordingSettings& settings) {
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) {
    return {};  // then writing tells
  }
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free < settings.min_free_bytes) {
    return fail("record", path, ENOSPC,
                format_size(free) + " left, and " + format_size(settings.min_free_bytes) + " are kept free");
  }
  return {};
}

Result<void> RecordingWriter::write(std::deque<Item>& batch) {
  if (auto room = check_size(); !room) {
    return room;
  }
  if (auto begun = tables_->begin(); !begun) {
    return begun;
  }
  Result<void> done;
  for (const Item& item : batch) {
    done = std::visit(Overloaded{[&](const IncidentItem& one) { return tables_->insert(one.incident, one.json); },
                                 [&](const NameItem& one) { return tables_->insert(one.cgroup, one.container); },
                                 [&](const MetaItem& one) { return tables_->set_meta(one.key, one.value); },
                                 [&](const LossCount& one) { return tables_->insert(one, status().unrecorded); },
                                 [&](const auto& one) { return tables_->insert(one); }},
                      item);
    if (!done) {
      break;
    }
  }
  if (done && std::chrono::steady_clock::now() - kernel_named_ >= kNameKernelEvery) {
    done = name_kernel();
  }
  done = done ? tables_->commit() : done;
  if (!done) {
    tables_->roll_back();
  }
  return done;
}

Result<void> RecordingWriter::name_kernel() {
  const auto addresses = tables_->unnamed_kernel();
  if (!settings_.kernel_functions || addresses.empty()) {
    return {};
  }
  kernel_named_ = std::chrono::steady_clock::now();
  const auto functions = settings_.kernel_functions(addresses);
  std::vector<CodeName> names;
  for (std::size_t i = 0; i < std::min(addresses.size(), functions.size()); ++i) {
    if (!functions[i].empty()) {
      names.push_back({{}, addresses[i], {.name = functions[i], .module = "[kernel]"}});
    }
  }
  return tables_->insert(names);
}

Result<void> RecordingWriter::finish() {
  if (!thread_.joinable()) {
    return {};
  }
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
  const Status last = status();
  Result<void> done = last.stopped.empty() ? name_kernel() : Result<void>{};
  const auto ended = tables_->set_meta("ended", last.stopped.empty() ? "whole" : last.stopped);
  done = done ? ended : done;
  if (done && last.unrecorded > 0) {
    done = tables_->set_meta("unrecorded", std::to_string(last.unrecorded));
  }
  if (auto one_file = tables_->make_one_file(); !one_file && done) {
    done = one_file;
  }
  const std::lock_guard lock(mutex_);
  status_.recording = false;
  status_.bytes = tables_->bytes();
  tables_.reset();
  return done;
}

RecordingWriter::Status RecordingWriter::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace memcrest
