// SPDX-License-Identifier: Apache-2.0
// Packets as a reader finds them; what Perfetto itself makes of a trace, tests/e2e/test_export.py asks.
#include "export/perfetto_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <protozero/pbf_reader.hpp>
#include <set>

#include "support/export_fixture.h"
#include "util/text.h"

namespace memcrest {
namespace {

using protozero::pbf_reader;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

struct Packet {
  std::uint64_t time = 0;
  std::string kind;  // "begin", "end", "instant", "counter", "track", "clocks", "stats", "cleared", "system"
  std::string name;
  std::uint64_t track = 0;
  std::uint64_t parent = 0;
  std::vector<std::pair<std::uint64_t, std::int64_t>> counters;
  std::map<std::string, std::string> notes;
  std::uint64_t callstack = 0;
};

// A trace as it is read from front to back: interned data is known from where it was told until state is cleared.
class Reader {
 public:
  explicit Reader(const std::string& bytes) {
    for (pbf_reader trace(bytes); trace.next();) {
      EXPECT_EQ(trace.tag(), 1U);
      packets.push_back(packet(trace.get_message()));
    }
  }
  std::vector<std::string> of_kind(const std::string& kind) const {
    std::vector<std::string> out;
    for (const Packet& one : packets) {
      if (one.kind == kind) {
        out.push_back(one.name);
      }
    }
    return out;
  }
  const Packet& named(const std::string& name) const {
    const auto found = std::ranges::find(packets, name, &Packet::name);
    EXPECT_NE(found, packets.end()) << name;
    return *found;
  }
  // All values of the counters of this name.
  std::vector<std::int64_t> values(const std::string& counter) const {
    std::set<std::uint64_t> tracks;
    std::vector<std::int64_t> out;
    for (const Packet& one : packets) {
      if (one.kind == "track" && one.name == counter) {
        tracks.insert(one.track);
      }
      for (const auto& [track, value] : one.counters) {
        if (tracks.contains(track)) {
          out.push_back(value);
        }
      }
    }
    return out;
  }
  std::vector<Packet> packets;
  std::vector<std::vector<std::string>> stacks;  // of each packet that has one, outermost first
  int cleared = 0;

 private:
  Packet packet(pbf_reader in) {
    Packet out;
    while (in.next()) {
      switch (in.tag()) {
        case 8:
          out.time = in.get_uint64();
          break;
        case 10:
          EXPECT_NE(in.get_uint32(), 0U);
          break;
        case 13:
          if (in.get_uint32() == 1) {
            out.kind = "cleared";
            ++cleared;
            names_.clear();
            frames_.clear();
            callstacks_.clear();
          }
          break;
        case 11:
          event(in.get_message(), out);
          break;
        case 12:
          intern(in.get_message());
          break;
        case 60:
          track(in.get_message(), out);
          break;
        case 6:
          out.kind = "clocks";
          in.skip();
          break;
        case 35:
          out.kind = "stats";
          in.skip();
          break;
        default:
          out.kind = "system";
          in.skip();
      }
    }
    if (out.callstack != 0) {
      std::vector<std::string> stack;
      for (const std::uint64_t frame : callstacks_.at(out.callstack)) {
        stack.push_back(names_.at(frames_.at(frame)));
      }
      stacks.push_back(stack);
    }
    return out;
  }
  static void event(pbf_reader in, Packet& out) {
    static const std::map<int, std::string> kKinds{{1, "begin"}, {2, "end"}, {3, "instant"}, {4, "counter"}};
    std::vector<std::uint64_t> tracks;
    std::vector<std::int64_t> values;
    while (in.next()) {
      switch (in.tag()) {
        case 9:
          out.kind = kKinds.at(in.get_enum());
          break;
        case 11:
          out.track = in.get_uint64();
          break;
        case 12:
          values.push_back(in.get_int64());
          break;
        case 23:
          out.name = in.get_string();
          break;
        case 30:
          out.counters.emplace_back(out.track, in.get_int64());
          break;
        case 31:
          tracks.push_back(in.get_uint64());
          break;
        case 56:
          out.callstack = in.get_uint64();
          break;
        case 4: {
          pbf_reader note = in.get_message();
          std::string name;
          std::string value;
          while (note.next()) {
            if (note.tag() == 10) {
              name = note.get_string();
            } else if (note.tag() == 6) {
              value = note.get_string();
            } else if (note.tag() == 2) {
              value = note.get_bool() ? "true" : "false";
            } else {
              value = std::to_string(note.get_uint64());
            }
          }
          out.notes[name] = value;
          break;
        }
        default:
          in.skip();
      }
    }
    ASSERT_EQ(tracks.size(), values.size());
    for (std::size_t i = 0; i < tracks.size(); ++i) {
      out.counters.emplace_back(tracks[i], values[i]);
    }
  }
  static void track(pbf_reader in, Packet& out) {
    out.kind = "track";
    while (in.next()) {
      if (in.tag() == 1) {
        out.track = in.get_uint64();
      } else if (in.tag() == 2) {
        out.name = in.get_string();
      } else if (in.tag() == 5) {
        out.parent = in.get_uint64();
      } else if (in.tag() == 3 || in.tag() == 4) {
        const std::uint32_t name_field = in.tag() == 3 ? 6 : 5;
        for (pbf_reader inner = in.get_message(); inner.next();) {
          if (inner.tag() == name_field) {
            out.name = inner.get_string();
          } else {
            inner.skip();
          }
        }
      } else {
        in.skip();
      }
    }
  }
  void intern(pbf_reader in) {
    while (in.next()) {
      const std::uint32_t what = in.tag();
      std::uint64_t iid = 0;
      for (pbf_reader inner = in.get_message(); inner.next();) {
        if (inner.tag() == 1) {
          iid = inner.get_uint64();
        } else if (inner.tag() == 2 && what == 5) {
          EXPECT_TRUE(names_.emplace(iid, inner.get_string()).second) << "told twice";
        } else if (inner.tag() == 2 && what == 6) {
          EXPECT_TRUE(frames_.emplace(iid, inner.get_uint64()).second) << "told twice";
        } else if (inner.tag() == 2 && what == 7) {
          callstacks_[iid].push_back(inner.get_uint64());
        } else {
          inner.skip();
        }
      }
    }
  }
  std::map<std::uint64_t, std::string> names_;
  std::map<std::uint64_t, std::uint64_t> frames_;
  std::map<std::uint64_t, std::vector<std::uint64_t>> callstacks_;
};

Reader traced(const std::vector<Event>& events, const std::vector<Incident>& incidents = {},
              const std::vector<LossCount>& losses = {}, const ExportEnd& end = {},
              const PerfettoExport::Bounds& bounds = {}) {
  ExportFixture fixture;
  PerfettoExport perfetto(fixture.context(), bounds);
  return Reader(fixture.of(perfetto, events, incidents, losses, end));
}

TEST(PerfettoExport, CountersAreTheSteps) {
  const Reader trace =
      traced({base(1'000, 1_MiB), grown(1'100, 2_MiB), grown(1'200, 4_MiB), Event(sample(1'300, 3_MiB))});
  EXPECT_THAT(trace.values("memory usage"), ElementsAre(1_MiB, 2_MiB, 4_MiB, 3_MiB));
  EXPECT_THAT(trace.values("memory limit"), ElementsAre(64_MiB)) << "told when it changes";
  EXPECT_THAT(trace.values("memory growth"), ElementsAre(1_MiB, 3_MiB));
  EXPECT_EQ(trace.named("memory usage").parent, trace.named("web").track);
  EXPECT_EQ(trace.named("web").parent, trace.named("memcrest").track);
}

TEST(PerfettoExport, StacksAreToldOnce) {
  const Reader trace =
      traced({base(1'000, 1_MiB), grown(1'100, 2_MiB), grown(1'200, 3_MiB), grown(1'300, 4_MiB, {0x2000})});
  ASSERT_THAT(trace.stacks, SizeIs(3));
  EXPECT_THAT(trace.stacks[0], ElementsAre("0x2000", "0x3000", "0xffffffff81000002", "0xffffffff81000003"));
  EXPECT_EQ(trace.stacks[0], trace.stacks[1]);
  EXPECT_THAT(trace.stacks[2], ElementsAre("0x2000", "0xffffffff81000002", "0xffffffff81000003"));
  EXPECT_EQ(trace.cleared, 1);
}

TEST(PerfettoExport, PastTheBoundNumbersBeginAnew) {
  std::vector<Event> events{base(1'000, 1_MiB)};
  for (std::uint64_t i = 0; i < 100; ++i) {
    events.emplace_back(grown(1'100 + i, (2 + i) * 1_MiB, {i % 23, i % 7}, {i % 5}));
  }
  const Reader trace = traced(events, {}, {}, {}, {.frames = 16, .stacks = 8, .processes = 8, .cgroups = 8});
  EXPECT_GT(trace.cleared, 5);
  ASSERT_THAT(trace.stacks, SizeIs(100));
  EXPECT_THAT(trace.stacks[99], ElementsAre(hex_address(99 % 7), hex_address(99 % 23), hex_address(99 % 5)));
}

TEST(PerfettoExport, ForeignAndAncestorStepsBlameNobody) {
  StepEvent foreign = grown(1'100, 2_MiB);
  foreign.foreign = true;
  StepEvent ancestor = grown(1'200, 3_MiB);
  ancestor.ancestor = true;
  const Reader trace = traced({base(1'000, 1_MiB), foreign, ancestor});
  EXPECT_THAT(trace.values("memory usage"), ElementsAre(1_MiB, 2_MiB, 3_MiB));
  EXPECT_THAT(trace.of_kind("instant"), IsEmpty());
}

TEST(PerfettoExport, StallsAreSlicesBetweenSteps) {
  StepEvent first = base(1'000'000, 1_MiB);
  first.reclaim_ns = 5'000;
  StepEvent second = grown(1'100'000, 2_MiB);
  second.reclaim_ns = 25'000;
  StepEvent third = grown(1'200'000, 3_MiB);
  third.reclaim_ns = 900'000;  // several threads
  third.throttle_ns = 1'000;
  const Reader trace = traced({first, second, third});
  EXPECT_THAT(trace.of_kind("begin"), ElementsAre("direct reclaim", "direct reclaim", "held up by memory.high"));
  std::vector<std::uint64_t> times;
  for (const Packet& packet : trace.packets) {
    if (packet.kind == "begin" || packet.kind == "end") {
      times.push_back(packet.time);
    }
  }
  EXPECT_THAT(times, ElementsAre(1'080'000, 1'100'000, 1'100'000, 1'200'000, 1'199'000, 1'200'000));
}

TEST(PerfettoExport, IncidentsBurstsAndKills) {
  VictimEvent killed = victim(2'000, task(10), chain({memcg(100, 64_MiB, 64_MiB)}));
  killed.chain.entries[0].swap_usage_bytes = 7_MiB;
  const Reader trace =
      traced({Event(killed), Event(kernel_kill(2'100, task(10), task(10)))}, {oom_incident(), hostile_incident()});
  EXPECT_THAT(trace.of_kind("instant"), ElementsAre("victim of the OOM killer", "SIGKILL", "OOM kill", "OOM kill"));
  EXPECT_THAT(trace.values("swap usage"), ElementsAre(7_MiB));
  const Packet& oom = trace.named("OOM kill");
  EXPECT_EQ(oom.notes.at("killed"), "python[5943]");
  EXPECT_EQ(oom.notes.at("limit bytes"), "2147483648");
  const Packet& burst = trace.named("burst of 1.60 GiB");
  EXPECT_EQ(burst.kind, "begin");
  EXPECT_EQ(burst.time, oom_incident().burst->start_boot_ns);
}

TEST(PerfettoExport, AnUpdateIsNotToldAgain) {
  Incident update = oom_incident();
  update.update = "runtime_state";
  EXPECT_THAT(traced({}, {oom_incident(), update}).of_kind("instant"), SizeIs(1));
}

TEST(PerfettoExport, LossIsToldWhereAndInSum) {
  ExportEnd end;
  end.gaps = {"no end"};
  const Reader trace = traced({base(5'000, 1)}, {}, {LossCount{0, 3, 0, 0, 0}, LossCount{0, 3, 0, 0, 0}}, end);
  EXPECT_THAT(trace.of_kind("instant"), ElementsAre("records lost", "the recording is not whole"));
  EXPECT_EQ(trace.named("records lost").time, 5'000U);
  EXPECT_EQ(trace.named("records lost").notes.at("more"), "3");
  EXPECT_EQ(trace.packets.back().kind, "stats");
  EXPECT_THAT(traced({base(5'000, 1)}).of_kind("stats"), IsEmpty());
}

TEST(PerfettoExport, ClocksAreToldWhenTheyMove) {
  ExportFixture fixture;
  PerfettoExport perfetto(fixture.context());
  const auto tell = [&](std::uint64_t boot_ns, std::int64_t unix_ns) { perfetto.add(Moment{boot_ns, unix_ns}); };
  tell(1'000'000, 5'000'000);
  tell(2'000'000, 6'000'050);
  tell(3'000'000, 9'000'000);  // set forward
  tell(2'000'000, 1);          // a clock since boot that goes backwards is none
  tell(4'000'000, -5);
  tell(100'000'000'000, 100'006'000'000);
  perfetto.finish({});
  EXPECT_THAT(Reader(fixture.sink.bytes()).of_kind("clocks"), SizeIs(3));
}

TEST(PerfettoExport, ARenamedProcessIsToldAgain) {
  ExecEvent exec;
  exec.time_ns = 1'150;
  exec.task = task(10, "java");
  StepEvent after = grown(1'200, 3_MiB);
  after.task = task(10, "java");
  const Reader trace = traced({base(1'000, 1_MiB), grown(1'100, 2_MiB), Event(exec), after});
  EXPECT_THAT(trace.of_kind("track"), Contains("java").Times(2)) << "process and thread";
  EXPECT_EQ(trace.values("memory growth").back(), 2_MiB);
}

TEST(PerfettoExport, AProcessTooManyIsSaid) {
  ExportFixture fixture;
  PerfettoExport perfetto(fixture.context(), {.frames = 9, .stacks = 9, .processes = 2, .cgroups = 9});
  std::vector<Event> events{base(1'000, 0)};
  for (std::uint32_t i = 1; i <= 3; ++i) {
    StepEvent step = grown(1'000 + i, i * 1_MiB, {}, {});
    step.task = task(i);
    events.emplace_back(step);
  }
  fixture.of(perfetto, events);
  EXPECT_THAT(perfetto.left_out(), ElementsAre(HasSubstr("1.00 MiB")));
}

TEST(PerfettoExport, HostileNamesAndNumbers) {
  ExportFixture fixture;
  fixture.meta = {{"kernel", hostile_name()}, {"boot_id", hostile_name()}, {"settings", "{"}};
  fixture.cgroups = ExportedCgroups({web_cgroup(hostile_name()), plain_cgroup(hostile_name())});
  PerfettoExport perfetto(fixture.context());
  VictimEvent killed = victim(~0ULL, hostile_step().task, chain({memcg(~0ULL, ~0ULL, ~0ULL)}));
  killed.chain.entries[0].swap_usage_bytes = ~0ULL;
  ChargeFailureEvent failure;
  failure.time_ns = failure.count = ~0ULL;
  failure.function = hostile_name();
  failure.cgroup_id = 100;
  Incident burst = hostile_incident();
  burst.burst->duration_ms = 1e300;
  burst.burst->start_boot_ns = ~0ULL;
  const Reader trace(fixture.of(perfetto, {base(0, 0), hostile_step(), hostile_step(0), Event(killed), Event(failure)},
                                {hostile_incident(), burst}, {LossCount{~0ULL, ~0ULL, 1, 1, 1}}));
  for (const Packet& packet : trace.packets) {
    EXPECT_LE(packet.time, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
    EXPECT_EQ(to_valid_utf8(packet.name), packet.name);
    for (const auto& [track, value] : packet.counters) {
      EXPECT_GE(value, 0);
    }
  }
}

}  // namespace
}  // namespace memcrest
