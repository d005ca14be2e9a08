// SPDX-License-Identifier: Apache-2.0
// Bytes through gzip into another sink.
#pragma once

#include <zlib.h>

#include <string>
#include <string_view>

#include "export/byte_sink.h"

namespace memcrest {

class GzipSink final : public ByteSink {
 public:
  explicit GzipSink(ByteSink& inner);
  ~GzipSink() override { ::deflateEnd(&stream_); }
  GzipSink(const GzipSink&) = delete;
  GzipSink& operator=(const GzipSink&) = delete;

  void write(std::string_view bytes) override { deflate(bytes, Z_NO_FLUSH); }
  // Once, after the last byte.
  void finish() { deflate({}, Z_FINISH); }

 private:
  void deflate(std::string_view bytes, int flush);

  ByteSink& inner_;
  z_stream stream_{};
};

}  // namespace memcrest
