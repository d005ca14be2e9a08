// SPDX-License-Identifier: Apache-2.0
#include "identity/container_storage.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <utility>

#include "identity/json_walker.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxNameBytes = 4096;
constexpr std::size_t kMaxMetadataBytes = 64U << 10U;

// The file's bytes, one piece in memory at a time.
class Pieces {
 public:
  explicit Pieces(const PieceReader& read) : read_(read) {}

  // The next byte; none at the end, for whatever reason.
  [[nodiscard]] const char* peek() {
    if (at_ == end_ && !done_) {
      const long got = total_ > kMaxStorageBytes ? 0 : read_(buffer_);
      refused_ = got < 0;
      done_ = got <= 0;
      at_ = 0;
      end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
      total_ += end_;
    }
    return at_ == end_ ? nullptr : &buffer_[at_];
  }
  void next() { at_ += at_ < end_ ? 1U : 0U; }
  void finish() {
    done_ = true;
    at_ = end_;
  }
  [[nodiscard]] bool too_big() const { return total_ > kMaxStorageBytes; }
  [[nodiscard]] bool refused() const { return refused_; }

 private:
  const PieceReader& read_;
  std::array<char, 32768> buffer_{};
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::size_t total_ = 0;
  bool done_ = false;
  bool refused_ = false;
};

// What nlohmann's parser wants: an iterator, equal to a default one at the end.
class PieceIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  PieceIterator() = default;
  explicit PieceIterator(Pieces& pieces) : pieces_(&pieces) {}
  reference operator*() const { return *pieces_->peek(); }
  PieceIterator& operator++() {
    pieces_->next();
    return *this;
  }
  PieceIterator operator++(int) {
    pieces_->next();
    return *this;
  }
  bool operator==(const PieceIterator& other) const { return at_end() == other.at_end(); }

 private:
  [[nodiscard]] bool at_end() const { return pieces_ == nullptr || pieces_->peek() == nullptr; }

  Pieces* pieces_ = nullptr;
};

struct Entry {
  std::string id;
  StoredNames names;
  std::string metadata;  // JSON of the container engine's own
};

// Podman and CRI-O both write "image-name"; "name" is there too, but names[0] is what the storage itself knows it by.
void read_metadata(StoredNames& names, const std::string& json) {
  JsonWalker walker;
  walker.on_value = [&](const JsonWalker::Path& path, const JsonWalker::Value& value) {
    if (path.size() == 1 && value.is_text()) {
      if (path[0] == "image-name") {
        names.image = cut_utf8(value.text, kMaxNameBytes);
      } else if (path[0] == "name" && names.name.empty()) {
        names.name = cut_utf8(value.text, kMaxNameBytes);
      }
    }
  };
  ignore_result(walker.walk(json));
}

void take(Entry& entry, const JsonWalker::Path& path, const JsonWalker::Value& value) {
  if (!value.is_text()) {
    return;
  }
  if (path.size() == 2 && path[1] == "id") {
    entry.id = cut_utf8(value.text, kMaxNameBytes);
  } else if (path.size() == 2 && path[1] == "metadata" && value.text.size() <= kMaxMetadataBytes) {
    entry.metadata = value.text;
  } else if (path.size() == 3 && path[1] == "names" && entry.names.name.empty()) {
    entry.names.name = cut_utf8(value.text, kMaxNameBytes);
  }
}

std::unexpected<Error> bad_list(int code, std::string why) {
  return fail("read the names of containers", {}, code, std::move(why));
}

}  // namespace

Result<std::optional<StoredNames>> read_storage_list(const PieceReader& read, const std::string& id) {
  Pieces pieces(read);
  Entry entry;
  std::optional<StoredNames> found;
  JsonWalker walker;
  walker.on_value = [&](const JsonWalker::Path& path, const JsonWalker::Value& value) { take(entry, path, value); };
  walker.on_close = [&](std::size_t depth) {
    if (depth != 1) {
      return;
    }
    if (entry.id == id && !found) {
      read_metadata(entry.names, entry.metadata);
      found = std::move(entry.names);
      pieces.finish();  // the parser finds the text cut off, which is none of our business any more
    }
    entry = {};
  };
  bool whole = false;
  std::string why;
  try {
    whole = nlohmann::json::sax_parse(PieceIterator(pieces), PieceIterator(), &walker);
  } catch (const std::exception& error) {  // out of memory
    why = error.what();
  }
  if (found) {
    return found;
  }
  if (pieces.refused()) {
    return bad_list(ECANCELED, "it took too long, or was interrupted");
  }
  if (pieces.too_big()) {
    return bad_list(EFBIG, "more than " + std::to_string(kMaxStorageBytes) + " bytes");
  }
  if (!whole) {
    return bad_list(EPROTO, why.empty() ? walker.why() : why);
  }
  if (!walker.is_list()) {
    return bad_list(EPROTO, "it is not a list");
  }
  return std::nullopt;
}

Result<std::optional<StoredNames>> find_stored_names(const Fd& directory, uid_t owner, const std::string& id,
                                                     const std::stop_token& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kStorageTime;
  std::optional<Error> trouble;
  for (const char* const name : {"containers.json", "volatile-containers.json"}) {
    const auto file = open_owned(directory, name, owner);
    if (!file) {
      if (file.error().code != ENOENT && !trouble) {
        trouble = file.error();
      }
      continue;
    }
    auto found = read_storage_list(
        [&](std::span<char> piece) -> long {
          if (stop.stop_requested() || std::chrono::steady_clock::now() > deadline) {
            return -1;
          }
          return ::read(file->get(), piece.data(), piece.size());
        },
        id);
    if (found && *found) {
      return found;
    }
    if (!found && !trouble) {
      trouble = found.error();
      trouble->object = name;
    }
  }
  if (trouble) {
    return std::unexpected(*trouble);
  }
  return std::nullopt;
}

}  // namespace memcrest
