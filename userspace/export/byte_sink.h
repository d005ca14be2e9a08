// SPDX-License-Identifier: Apache-2.0
// Where an exporter's bytes go. An exporter writes on and on; whoever owns the sink looks whether it still takes them.
#pragma once

#include <string>
#include <string_view>

namespace memcrest {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Keeps its first error, and takes and forgets everything after it.
  virtual void write(std::string_view bytes) = 0;
};

class StringSink final : public ByteSink {
 public:
  void write(std::string_view bytes) override { bytes_ += bytes; }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace memcrest
