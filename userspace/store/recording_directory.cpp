// SPDX-License-Identifier: Apache-2.0
#include "store/recording_directory.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <future>
#include <mutex>
#include <set>

namespace memcrest {
namespace {

// Only what has such a name is ever removed.
constexpr const char* kPattern = "memcrest-????????T??????.?????????Z.db";
constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr int kMaxTries = 1000;  // for a name that is not taken

std::string name_at(std::int64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / kNsPerSecond);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char day[32] = {};
  std::strftime(day, sizeof(day), "%Y%m%dT%H%M%S", &utc);
  std::string fraction = std::to_string(unix_ns % kNsPerSecond);
  fraction.insert(0, 9 - std::min<std::size_t>(fraction.size(), 9), '0');
  return std::string("memcrest-") + day + "." + fraction + "Z.db";
}

struct Kept {
  std::string name;
  std::uint64_t bytes = 0;
  std::int64_t changed_ns = 0;
};

// Oldest first. Links are not followed, and not touched.
std::vector<Kept> kept_in(const std::string& path, const std::set<std::string>& in_use) {
  std::vector<Kept> out;
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator(path, failed);
       !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    const std::string name = entry->path().filename();
    struct stat status{};
    if (fnmatch(kPattern, name.c_str(), 0) == 0 && !in_use.contains(name) &&
        lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      out.push_back({name, static_cast<std::uint64_t>(status.st_size),
                     status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec});
    }
  }
  // By their end, not by their names: a clock may have run ahead once.
  std::ranges::sort(out, {}, [](const Kept& one) { return std::pair(one.changed_ns, one.name); });
  return out;
}

}  // namespace

struct RecordingDirectory::State {
  std::string path;
  Retention retention;
  Fd lock;
  std::mutex pruning;            // held while the disk is waited for, before `mutex`
  mutable std::mutex mutex;      // never
  std::set<std::string> in_use;  // names
  Ended ended;
  Result<void> first_error;
  std::vector<std::future<void>> ending;

  void prune(std::int64_t unix_ns) {
    const std::lock_guard one_at_a_time(pruning);
    std::vector<Kept> kept = kept_in(path, {});
    {
      // Afterwards: the name of a file is in use before the file is there.
      const std::lock_guard held(mutex);
      std::erase_if(kept, [this](const Kept& one) { return in_use.contains(one.name); });
    }
    std::uint64_t bytes = 0;
    for (const Kept& one : kept) {
      bytes += one.bytes;
    }
    std::size_t left = kept.size();
    for (const Kept& one : kept) {
      const bool too_many = retention.max_count != 0 && left > retention.max_count;
      const bool too_large = retention.max_bytes != 0 && bytes > retention.max_bytes;
      const bool too_old = retention.max_age.count() != 0 && unix_ns - one.changed_ns > retention.max_age.count();
      if (!too_many && !too_large && !too_old) {
        return;  // those that follow are younger
      }
      // The log of a file whose writer was killed goes first: alone it would be applied to another file.
      for (const char* part : {"-wal", "-shm", "-journal", ""}) {
        std::error_code ignored;
        std::filesystem::remove(path + "/" + one.name + part, ignored);
      }
      --left;
      bytes -= one.bytes;
    }
  }
};

RecordingDirectory::RecordingDirectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
RecordingDirectory::~RecordingDirectory() { ignore_result(wait()); }

Result<std::unique_ptr<RecordingDirectory>> RecordingDirectory::open(const std::string& path,
                                                                     const Retention& retention) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail("make", path, errno);
  }
  auto lock = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!lock) {
    return std::unexpected(lock.error());
  }
  if (flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    return fail("use", path, EBUSY, "another memcrest records there");
  }
  if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
    return fail("write into", path, errno);
  }
  auto state = std::make_unique<State>();
  state->path = path;
  state->retention = retention;
  state->lock = std::move(*lock);
  return std::unique_ptr<RecordingDirectory>(new RecordingDirectory(std::move(state)));
}

Result<std::unique_ptr<RecordingWriter>> RecordingDirectory::begin(std::int64_t unix_ns,
                                                                   const RecordingSettings& settings,
                                                                   const std::map<std::string, std::string>& meta) {
  // A file that could hold nothing must not cost one that does.
  if (auto room = RecordingWriter::check_space(state_->path, settings); !room) {
    return std::unexpected(room.error());
  }
  for (int i = 0; i < kMaxTries; ++i) {
    const std::string name = name_at(unix_ns + i);
    bool is_new = false;
    {
      const std::lock_guard lock(state_->mutex);
      is_new = state_->in_use.insert(name).second;
    }
    if (!is_new) {
      continue;
    }
    auto writer = RecordingWriter::create(state_->path + "/" + name, settings, meta);
    if (writer) {
      return writer;
    }
    const std::lock_guard lock(state_->mutex);
    state_->in_use.erase(name);
    if (writer.error().code != EEXIST) {
      return writer;
    }
  }
  return fail("make a recording in", state_->path, EEXIST);
}

void RecordingDirectory::spawn(std::function<void()> work) {
  const std::lock_guard lock(state_->mutex);
  std::erase_if(state_->ending, [](const std::future<void>& one) {
    return one.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  state_->ending.push_back(std::async(std::launch::async, std::move(work)));
}

void RecordingDirectory::tidy(std::int64_t unix_ns) {
  spawn([state = state_.get(), unix_ns] { state->prune(unix_ns); });
}

void RecordingDirectory::end(std::unique_ptr<RecordingWriter> writer, std::int64_t unix_ns) {
  spawn([state = state_.get(), unix_ns, shared = std::shared_ptr<RecordingWriter>(std::move(writer))]() mutable {
    const auto done = shared->finish();
    const auto status = shared->status();
    shared.reset();
    if (status.written == 0) {  // nothing fitted: it would only push out one that holds something
      std::error_code ignored;
      std::filesystem::remove(status.path, ignored);
    }
    {
      const std::lock_guard inner(state->mutex);
      state->ended.unrecorded += status.unrecorded;
      state->ended.written += status.written;
      state->ended.bytes += status.bytes;
      if (!status.stopped.empty()) {
        state->ended.stopped = status.stopped;
      }
      if (!done && state->first_error) {
        state->first_error = done;
      }
      state->in_use.erase(std::filesystem::path(status.path).filename());
    }
    state->prune(unix_ns);
  });
}

void BeginningRecording::start(RecordingDirectory& directory, std::int64_t unix_ns, RecordingSettings settings,
                               std::map<std::string, std::string> meta) {
  begun_ =
      std::async(std::launch::async, [&directory, unix_ns, settings = std::move(settings), meta = std::move(meta)] {
        return directory.begin(unix_ns, settings, meta);
      });
}

std::optional<BeginningRecording::Begun> BeginningRecording::take(std::chrono::milliseconds patience) {
  if (!begun_.valid() || begun_.wait_for(patience) != std::future_status::ready) {
    return std::nullopt;
  }
  return begun_.get();
}

Result<void> RecordingDirectory::wait() {
  std::vector<std::future<void>> ending;
  {
    const std::lock_guard lock(state_->mutex);
    ending.swap(state_->ending);
  }
  for (const auto& one : ending) {
    one.wait();
  }
  const std::lock_guard lock(state_->mutex);
  return state_->first_error;
}

RecordingDirectory::Ended RecordingDirectory::ended() const {
  const std::lock_guard lock(state_->mutex);
  return state_->ended;
}

}  // namespace memcrest
