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
  auto first = out->directory_->begin(now.unix_ns, settings.file, out->meta_);
  if (!first) {
    return std::unexpected(first.error());
  }
  out->adopt(std::move(*first));
  return out;
}

std::map<std::string, std::string> RotatingRecording::next_meta() const {
  auto meta = meta_;
  meta["continues"] = std::filesystem::path(writer_->status().path).filename();
  return meta;
}

void RotatingRecording::adopt(std::unique_ptr<RecordingWriter> next) {
  const std::string path = next->status().path;
  std::unique_ptr<RecordingWriter> before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(writer_, std::move(next));
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
}

bool RotatingRecording::is_full() const {
  if (!writer_->status().recording) {
    return true;  // the disk was full: there may be room again
  }
  const bool old = settings_.max_age.count() != 0 &&
                   now_.boot_ns - begun_ns_ >= static_cast<std::uint64_t>(settings_.max_age.count());
  return old || (settings_.max_bytes != 0 && writer_->status().bytes >= settings_.max_bytes);
}

// The file before goes on until the next one is there, however long the disk takes.
bool RotatingRecording::begin_turn() {
  const bool under_way = next_.under_way();
  if (!under_way) {
    if (!is_full() || (refused_ns_ != 0 && now_.boot_ns - refused_ns_ < kRetryNs)) {
      return false;
    }
    next_.start(*directory_, now_.unix_ns, settings_.file, next_meta());
  }
  auto begun = next_.take(under_way ? std::chrono::milliseconds(0) : settings_.patience);
  if (!begun) {
    return false;
  }
  refused_ns_ = *begun ? 0 : now_.boot_ns;
  if (!*begun) {
    const std::lock_guard lock(mutex_);
    status_.stopped = begun->error().message();
    return false;
  }
  adopt(std::move(**begun));
  return true;
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
  if (next_.under_way()) {
    if (auto unused = next_.take(std::chrono::hours(24)); unused && *unused) {
      directory_->end(std::move(**unused), now_.unix_ns);  // it holds nothing, and goes
    }
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
