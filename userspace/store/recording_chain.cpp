// SPDX-License-Identifier: Apache-2.0
// Recordings that follow each other, read as one: what a single RecordingReader tells, of all of them.
#include <algorithm>
#include <filesystem>
#include <system_error>

#include "store/recording_reader.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxFiles = 256;  // that are open at once
constexpr int kRowShift = 52;           // rows of different files are different rows
constexpr std::size_t kMaxNamed = 8;    // files in an error

std::string name_of(const RecordingReader& reader) { return std::filesystem::path(reader.path()).filename(); }

std::string value_of(const RecordingReader& reader, const char* key) {
  const auto found = reader.meta().find(key);
  return found == reader.meta().end() ? std::string() : found->second;
}

// Each names the other, and they are of one boot of one machine.
bool follows(const RecordingReader& before, const RecordingReader& after) {
  return value_of(after, "continues") == name_of(before) && value_of(before, "boot_id") == value_of(after, "boot_id");
}

Result<std::vector<std::string>> files_of(const std::vector<std::string>& paths) {
  std::error_code error;
  if (paths.size() != 1 || !std::filesystem::is_directory(paths.front(), error)) {
    return paths;
  }
  std::vector<std::string> out;
  for (std::filesystem::directory_iterator at(paths.front(), error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == ".db" && out.size() <= kMaxFiles) {
      out.push_back(at->path());
    }
  }
  if (error) {
    return fail("read", paths.front(), error.value());
  }
  if (out.empty()) {
    return fail("open", paths.front(), 0, "a directory without recordings");
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace

Result<RecordingReader> RecordingReader::open(std::string first, std::vector<std::string> more) {
  std::vector<std::string> paths = std::move(more);
  paths.insert(paths.begin(), std::move(first));
  const auto files = files_of(paths);
  if (!files) {
    return std::unexpected(files.error());
  }
  if (files->size() > kMaxFiles) {
    return fail(
        "open", paths.front(), 0,
        "more than " + std::to_string(kMaxFiles) + " recordings: give those that are wanted, one after the other");
  }
  if (files->size() == 1) {
    return open(files->front());
  }
  std::vector<RecordingReader> parts;
  for (const std::string& file : *files) {
    auto one = open(file);
    if (!one) {
      return one;
    }
    parts.push_back(std::move(*one));
  }
  return chain(std::move(parts));
}

Result<RecordingReader> RecordingReader::chain(std::vector<RecordingReader> parts) {
  // Those that continue none of them: one, if they are a chain.
  std::string heads;
  std::size_t head_count = 0;
  std::size_t head = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (std::ranges::any_of(parts, [&](const RecordingReader& one) { return follows(one, parts[i]); })) {
      continue;
    }
    head = i;
    if (++head_count <= kMaxNamed) {
      heads += (heads.empty() ? "" : ", ") + name_of(parts[i]);
    }
  }
  if (head_count != 1) {
    return fail("open", parts.front().path(), 0,
                "not one recording in several files, but " + std::to_string(head_count) +
                    ": give the files of one. They begin with " + heads + (head_count > kMaxNamed ? ", …" : ""));
  }
  RecordingReader out = std::move(parts[head]);
  parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(head));
  while (!parts.empty()) {
    const RecordingReader& last = out.following_.empty() ? out : out.following_.back();
    const auto next = std::ranges::find_if(parts, [&](const RecordingReader& one) { return follows(last, one); });
    if (next == parts.end()) {  // two continue the same one, or a circle
      return fail("open", parts.front().path(), 0, "it is no part of the recording that the other files are");
    }
    out.following_.push_back(std::move(*next));
    parts.erase(next);
  }
  out.join_meta();
  return out;
}

// It begins as the first and ends as the last.
void RecordingReader::join_meta() {
  if (following_.empty()) {
    return;
  }
  std::uint64_t unrecorded = 0;
  for (std::size_t i = 0; i <= following_.size(); ++i) {
    unrecorded += std::strtoull(value_of(part(i), "unrecorded").c_str(), nullptr, 10);
  }
  for (const char* key : {"ended", "continued_by"}) {
    const std::string value = value_of(following_.back(), key);
    meta_.erase(key);
    if (!value.empty()) {
      meta_[key] = value;
    }
  }
  meta_.erase("unrecorded");
  if (unrecorded > 0) {
    meta_["unrecorded"] = std::to_string(unrecorded);
  }
}

void RecordingReader::give_up_memory() {
  tasks_.clear();
  cgroups_.clear();
  stacks_.clear();
  ignore_result(database_.run("PRAGMA shrink_memory"));
}

Result<std::optional<RecordingReader::Item>> RecordingReader::next_of_following() {
  while (at_ <= following_.size()) {
    if (at_ > 0) {
      auto item = following_[at_ - 1].next();
      if (!item || *item) {
        return item;
      }
      following_[at_ - 1].give_up_memory();
    } else {
      give_up_memory();
    }
    if (at_ == following_.size()) {
      break;
    }
    ++at_;
  }
  return std::optional<Item>();
}

template <typename Row, typename List>
Result<std::vector<Row>> RecordingReader::list_all(List list) const {
  std::vector<Row> out;
  for (std::size_t i = 0; i <= following_.size(); ++i) {
    auto rows = list(part(i));
    if (!rows) {
      return rows;
    }
    for (Row& row : *rows) {
      const auto apart = [&](std::int64_t number) {
        return number ^ static_cast<std::int64_t>(static_cast<std::uint64_t>(i) << kRowShift);
      };
      if constexpr (requires { row.row; }) {
        row.row = apart(row.row);
      }
      if constexpr (requires { row.container; }) {
        row.container = row.container ? std::optional(apart(*row.container)) : std::nullopt;
      }
      out.push_back(std::move(row));
    }
    if (out.size() > kMaxListed) {
      return fail("read", part(i).path(), EBADMSG,
                  "together they list more cgroups, containers or incidents than any machine has");
    }
  }
  return out;
}

Result<std::vector<RecordedCgroup>> RecordingReader::cgroups() const {
  return list_all<RecordedCgroup>([](const RecordingReader& one) { return one.own_cgroups(); });
}

Result<std::vector<RecordedContainer>> RecordingReader::containers() const {
  return list_all<RecordedContainer>([](const RecordingReader& one) { return one.own_containers(); });
}

Result<std::vector<std::string>> RecordingReader::incident_keys() const {
  return list_all<std::string>([](const RecordingReader& one) { return one.own_incident_keys(); });
}

// The file at hand first: another one has it where it was told just before or after.
std::optional<Frame> RecordingReader::frame_at(const ProcessKey* process, std::uint64_t address) const {
  auto out = part(at_).own_frame_at(process, address);
  for (std::size_t i = 0; !out && i <= following_.size(); ++i) {
    out = i == at_ ? std::nullopt : part(i).own_frame_at(process, address);
  }
  return out;
}

Result<void> RecordingReader::each_incident(std::size_t most_bytes,
                                            const std::function<void(RecordedIncident)>& take) const {
  Result<void> done;
  for (std::size_t i = 0; done && i <= following_.size(); ++i) {
    done = part(i).each_own_incident(most_bytes, take);
  }
  return done;
}

Result<RecordingSummary> RecordingReader::summary() const {
  auto out = own_summary();
  for (std::size_t i = 1; out && i <= following_.size(); ++i) {
    const auto more = part(i).own_summary();
    if (!more) {
      return more;
    }
    out->first = out->first ? out->first : more->first;
    out->last = more->last ? more->last : out->last;
    out->steps += more->steps;
    out->events += more->events;
    out->incidents += more->incidents;
    for (auto field :
         {&LossCount::critical, &LossCount::bulk, &LossCount::throttled, &LossCount::invalid, &LossCount::untracked}) {
      out->lost.*field += more->lost.*field;
    }
    out->unrecorded += more->unrecorded;
  }
  return out;
}

}  // namespace memcrest
