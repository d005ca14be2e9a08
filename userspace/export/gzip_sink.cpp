// SPDX-License-Identifier: Apache-2.0
#include "export/gzip_sink.h"

#include <array>
#include <new>

namespace memcrest {
namespace {

constexpr int kGzip = 16;  // added to the window's bits

}  // namespace

GzipSink::GzipSink(ByteSink& inner) : inner_(inner) {
  if (::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzip, MAX_MEM_LEVEL - 1,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();  // the only way in which it fails
  }
}

void GzipSink::deflate(std::string_view bytes, int flush) {
  std::array<char, 16384> out;
  // zlib reads through a pointer that is not const, and writes nothing there.
  stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_.avail_in = static_cast<uInt>(bytes.size());
  do {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    ::deflate(&stream_, flush);
    inner_.write({out.data(), out.size() - stream_.avail_out});
  } while (stream_.avail_out == 0);
}

}  // namespace memcrest
