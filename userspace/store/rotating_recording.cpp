// SPDX-License-Identifier: Apache-2.0
#include "store/rotating_recording.h"

#include <filesystem>

namespace memcrest {
namespace {

constexpr std::uint64_t kRetryNs = 10'000'000'000;
constexpr std::uint64_t kTidyNs = 3'600'000'000'000;

}  // namespace

Result<std::unique_ptr<RotatingRecording>> RotatingRecording::create(std::unique_ptr<RecordingDirectory> directory,
                                                                     const RotationSettings& settings,
                                                                     std::map<std::string, std::string> meta,
                                                                     Moment now) {
  std::unique_ptr<RotatingRecording> out(new RotatingRecording(std::move(directory), settings, std::move(meta)));
  out->now_ = now;
  if (auto begun = out->begin_file(); !begun) {
    return std::unexpected(begun.error());
  }
  return out;
}

Result<void> RotatingRecording::begin_file() {
  auto meta = meta_;
  if (writer_) {
    meta["continues"] = std::filesystem::path(writer_->status().path).filename();
  }
  auto writer = directory_->begin(now_.unix_ns, settings_.file, meta);
  if (!writer) {
    return std::unexpected(writer.error());
  }
  const std::string path = (*writer)->status().path;
  std::unique_ptr<RecordingWriter> before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(writer_, std::move(*writer));
    ++status_.files;
    status_.path = path;
    status_.stopped.clear();
  }
  begun_ns_ = now_.boot_ns;
  if (before) {
    writer_->add(loss_);  // what was lost until here was lost before it
    before->add_meta("continued_by", std::filesystem::path(path).filename());
    directory_->end(std::move(before), now_.unix_ns);
  }
  return {};
}

bool RotatingRecording::is_full() const {
  if (!writer_->status().recording) {
    return true;  // the disk was full: there may be room again
  }
  const bool old = settings_.max_age.count() != 0 &&
                   now_.boot_ns - begun_ns_ >= static_cast<std::uint64_t>(settings_.max_age.count());
  return old || (settings_.max_bytes != 0 && writer_->status().bytes >= settings_.max_bytes);
}

bool RotatingRecording::begin_turn() {
  if (!is_full() || (refused_ns_ != 0 && now_.boot_ns - refused_ns_ < kRetryNs)) {
    return false;
  }
  const auto begun = begin_file();
  refused_ns_ = begun ? 0 : now_.boot_ns;
  if (!begun) {
    const std::lock_guard lock(mutex_);
    status_.stopped = begun.error().message();  // the file before goes on
  }
  return begun.has_value();
}

void RotatingRecording::add(Moment moment) {
  now_ = moment;
  if (tidied_ns_ == 0 || now_.boot_ns - tidied_ns_ >= kTidyNs) {
    tidied_ns_ = now_.boot_ns;
    directory_->tidy(now_.unix_ns);
  }
  writer_->add(moment);
}

void RotatingRecording::add(const LossCount& loss) {
  loss_ = loss;
  writer_->add(loss);
}

Result<void> RotatingRecording::finish() {
  std::unique_ptr<RecordingWriter> last;
  {
    const std::lock_guard lock(mutex_);
    last = std::exchange(writer_, nullptr);
  }
  if (last) {
    directory_->end(std::move(last), now_.unix_ns);
  }
  return directory_->wait();
}

RecordingSink::Status RotatingRecording::status() const {
  const std::lock_guard lock(mutex_);
  Status out = status_;
  const auto ended = directory_->ended();
  out.unrecorded = ended.unrecorded;
  out.written = ended.written;
  out.bytes = ended.bytes;
  out.recording = writer_ != nullptr;
  std::string stopped = ended.stopped;
  if (writer_) {
    const Status current = writer_->status();
    out.recording = current.recording;
    out.unrecorded += current.unrecorded;
    out.written += current.written;
    out.bytes += current.bytes;
    stopped = current.stopped;
  }
  if (out.stopped.empty()) {
    out.stopped = stopped;
  }
  return out;
}

}  // namespace memcrest
