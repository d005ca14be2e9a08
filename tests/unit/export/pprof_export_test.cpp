// SPDX-License-Identifier: Apache-2.0
#include "export/pprof_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <map>
#include <protozero/pbf_reader.hpp>

#include "support/export_fixture.h"
#include "util/text.h"

namespace memcrest {
namespace {

using protozero::pbf_reader;
using testing::Contains;
using testing::ElementsAre;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string gunzip(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(::inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
  std::string out;
  std::array<char, 4096> buffer;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = buffer.size();
    state = ::inflate(&stream, Z_NO_FLUSH);
    out.append(buffer.data(), buffer.size() - stream.avail_out);
  }
  EXPECT_EQ(state, Z_STREAM_END);
  ::inflateEnd(&stream);
  return out;
}

struct Sample {
  std::vector<std::string> frames;  // innermost first
  std::vector<std::int64_t> values;
  std::map<std::string, std::string> labels;
};

// What a reader of profile.proto makes of it.
struct Profile {
  std::vector<Sample> samples;
  std::vector<std::string> strings;
  std::vector<std::string> comments;
  std::vector<std::string> sample_types;
  std::int64_t time_ns = 0;
  std::int64_t duration_ns = 0;
};

Profile parsed(const std::string& gzipped) {
  const std::string bytes = gunzip(gzipped);
  Profile out;
  std::map<std::uint64_t, std::int64_t> functions;
  std::map<std::uint64_t, std::uint64_t> locations;
  std::map<std::uint64_t, std::uint64_t> mappings;
  for (pbf_reader reader(bytes); reader.next();) {
    if (reader.tag() == 6) {
      out.strings.push_back(reader.get_string());
    } else if (reader.tag() == 5) {
      pbf_reader function = reader.get_message();
      std::uint64_t id = 0;
      while (function.next()) {
        if (function.tag() == 1) {
          id = function.get_uint64();
        } else if (function.tag() == 2) {
          functions[id] = function.get_int64();
        } else {
          function.skip();
        }
      }
    } else if (reader.tag() == 4) {
      pbf_reader location = reader.get_message();
      std::uint64_t id = 0;
      while (location.next()) {
        if (location.tag() == 1) {
          id = location.get_uint64();
        } else if (location.tag() == 2) {
          mappings[id] = location.get_uint64();
        } else if (location.tag() == 4) {
          pbf_reader line = location.get_message();
          EXPECT_TRUE(line.next(1));
          locations[id] = line.get_uint64();
        } else {
          location.skip();
        }
      }
    } else {
      reader.skip();
    }
  }
  const auto text = [&](std::int64_t row) { return out.strings.at(static_cast<std::size_t>(row)); };
  for (pbf_reader reader(bytes); reader.next();) {
    if (reader.tag() == 2) {
      Sample& sample = out.samples.emplace_back();
      for (pbf_reader in = reader.get_message(); in.next();) {
        if (in.tag() == 1) {
          for (const std::uint64_t id : in.get_packed_uint64()) {
            sample.frames.push_back(text(functions.at(locations.at(id))) + (mappings.at(id) == 2 ? " [k]" : ""));
          }
        } else if (in.tag() == 2) {
          const auto values = in.get_packed_int64();
          sample.values.assign(values.begin(), values.end());
        } else {
          std::string key;
          for (pbf_reader label = in.get_message(); label.next();) {
            if (label.tag() == 1) {
              key = text(label.get_int64());
            } else if (label.tag() == 2) {
              sample.labels[key] = text(label.get_int64());
            } else {
              sample.labels[key] = std::to_string(label.get_int64());
            }
          }
        }
      }
    } else if (reader.tag() == 1) {
      pbf_reader type = reader.get_message();
      EXPECT_TRUE(type.next(1));
      out.sample_types.push_back(text(type.get_int64()));
    } else if (reader.tag() == 13) {
      out.comments.push_back(text(reader.get_int64()));
    } else if (reader.tag() == 9) {
      out.time_ns = reader.get_int64();
    } else if (reader.tag() == 10) {
      out.duration_ns = reader.get_int64();
    } else {
      reader.skip();
    }
  }
  return out;
}

TEST(PprofExport, SamplesWithTheirStacksAndLabels) {
  ExportFixture fixture;
  PprofExport pprof(fixture.context());
  StepEvent other = grown(1'300, 6_MiB);
  other.task = task(11, "other");
  const Profile profile =
      parsed(fixture.of(pprof, {base(1'000, 1_MiB), grown(1'100, 2_MiB), grown(1'200, 4_MiB), other}));
  EXPECT_EQ(profile.strings.at(0), "");
  EXPECT_THAT(profile.sample_types, ElementsAre("growth_bytes", "steps"));
  EXPECT_EQ(profile.time_ns, kBootUnixNs + 1'000'000'000);
  ASSERT_THAT(profile.samples, SizeIs(2));
  const Sample& first = profile.samples[0];
  EXPECT_THAT(first.frames,
              ElementsAre("0xffffffff81000003 [k]", "0xffffffff81000002 [k]", "hog 0x3000", "hog 0x2000"));
  EXPECT_THAT(first.values, ElementsAre(3_MiB, 2));
  EXPECT_THAT(first.labels, ElementsAre(testing::Pair("container", "web"), testing::Pair("kind", "unknown"),
                                        testing::Pair("pid", "10"), testing::Pair("process", "hog")));
  EXPECT_EQ(profile.samples[1].frames[2], "other 0x3000") << "the same address in another program";
}

TEST(PprofExport, NamesThatAreKnownStay) {
  class Names final : public FrameNames {
    Frame at(const ProcessKey* process, std::uint64_t) const override {
      return process == nullptr ? Frame{.name = "do_fault", .module = "[kernel]"}
                                : Frame{.name = "main", .module = "/bin/hog", .build_id = "c0ffee", .offset = 0x1234};
    }
  };
  ExportFixture fixture;
  const Names names;
  PprofExport pprof({fixture.sink, fixture.meta, fixture.cgroups, names});
  const Profile profile = parsed(fixture.of(pprof, {base(1'000, 1_MiB), grown(1'100, 2_MiB, {1}, {2})}));
  EXPECT_THAT(profile.samples.at(0).frames, ElementsAre("do_fault [k]", "main"));
}

TEST(PprofExport, WhatHasNoStackIsSaidToHaveNone) {
  ExportFixture fixture;
  PprofExport pprof(fixture.context(), {.frames = 2, .totals = 9, .labels = 9, .processes = 9});
  const Profile profile =
      parsed(fixture.of(pprof, {base(1'000, 1_MiB), grown(1'100, 2_MiB, {}, {}), grown(1'200, 3_MiB, {1, 2, 3}, {})}));
  ASSERT_THAT(profile.samples, SizeIs(2));
  EXPECT_THAT(profile.samples[0].frames, ElementsAre("[no stack]"));
  EXPECT_THAT(profile.samples[1].frames, ElementsAre("[other stacks]"));
  EXPECT_THAT(profile.comments, Contains(testing::HasSubstr("more different stacks")));
  EXPECT_THAT(pprof.left_out(), SizeIs(1));
}

TEST(PprofExport, HostileNamesAndNumbers) {
  ExportFixture fixture;
  fixture.cgroups = ExportedCgroups({web_cgroup(hostile_name())});
  PprofExport pprof(fixture.context());
  ExportEnd end;
  end.gaps = {hostile_name()};
  const Profile profile = parsed(fixture.of(pprof, {base(0, 0), hostile_step()}, {}, {}, end));
  ASSERT_THAT(profile.samples, SizeIs(1));
  EXPECT_EQ(profile.samples[0].values[0], std::numeric_limits<std::int64_t>::max());
  for (const std::string& text : profile.strings) {
    EXPECT_EQ(to_valid_utf8(text), text);
  }
}

TEST(PprofExport, AnEmptyRecordingIsAProfile) {
  ExportFixture fixture;
  PprofExport pprof(fixture.context());
  EXPECT_THAT(parsed(fixture.of(pprof, {})).samples, SizeIs(0));
}

}  // namespace
}  // namespace memcrest
