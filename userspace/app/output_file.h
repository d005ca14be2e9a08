// SPDX-License-Identifier: Apache-2.0
// A file that is there whole, or not at all: written beside its name, and given it at the end. Or a stream that is open
// already, or a pipe or device that has a name: these get the bytes as they come.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "export/byte_sink.h"
#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

class OutputFile final : public ByteSink {
 public:
  // A new file, for its owner only. An error with EEXIST where there is one already.
  [[nodiscard]] static Result<OutputFile> create(const std::string& path);
  // The same, in the place of the file that is there, if there is one; a link is followed to it.
  [[nodiscard]] static Result<OutputFile> replace(const std::string& path);
  // Does not own `fd`.
  [[nodiscard]] static OutputFile of_stream(int fd, std::string name);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() override;  // removes what was not finished

  void write(std::string_view bytes) override;
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Writes what waits; the file is there, and on disk, when this says so. Call once.
  [[nodiscard]] Result<void> finish();

 private:
  OutputFile() = default;
  void flush();
  [[nodiscard]] static Result<OutputFile> open_stream(const std::string& path);
  [[nodiscard]] static Result<OutputFile> open_beside(const std::string& path);
  [[nodiscard]] Result<void> publish();

  Fd owned_;
  int fd_ = -1;
  std::string path_;  // as people call it
  bool replaces_ = false;
  std::string temporary_;  // empty: there is none, or it has its name by now
  std::string waiting_;
  std::uint64_t bytes_ = 0;
  std::optional<Error> error_;
};

}  // namespace memcrest
