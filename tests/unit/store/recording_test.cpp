// SPDX-License-Identifier: Apache-2.0
// Writer and reader of a recording, against each other and against files that are none.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "store/event_json.h"
#include "store/recording_reader.h"
#include "store/recording_writer.h"
#include "store/schema.h"
#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string text_of(const RecordingReader::Item& item) {
  if (const auto* event = std::get_if<Event>(&item)) {
    return std::string(kind_of(*event)) + event_to_json(*event);
  }
  if (const auto* moment = std::get_if<Moment>(&item)) {
    return "moment " + std::to_string(moment->boot_ns) + " " + std::to_string(moment->unix_ns);
  }
  if (const auto* loss = std::get_if<LossCount>(&item)) {
    return "loss " + std::to_string(loss->critical) + " " + std::to_string(loss->untracked);
  }
  if (const auto* answer = std::get_if<Answer>(&item)) {
    return answer->question + "? " + answer->text;
  }
  if (const auto* sampled = std::get_if<RecordingReader::Sampled>(&item)) {
    return "sampled " + event_to_json(sampled->sample);
  }
  const auto& incident = std::get<RecordedIncident>(item);
  return "incident " + incident.id + incident.update + incident.json;
}

class RecordingTest : public testing::Test {
 protected:
  std::string file() const { return dir_.path() + "/a.memcrest"; }
  std::unique_ptr<RecordingWriter> writer(RecordingSettings settings = {}) {
    settings.min_free_bytes = 0;
    auto out = RecordingWriter::create(file(), settings, {{"host_name", "node1"}, {"odd", "\xff"}});
    EXPECT_TRUE(out) << out.error().message();
    return std::move(*out);
  }
  std::vector<std::string> all() {
    auto reader = RecordingReader::open(file());
    std::vector<std::string> out;
    EXPECT_TRUE(reader) << reader.error().message();
    for (auto item = reader->next();; item = reader->next()) {
      EXPECT_TRUE(item) << item.error().message();
      if (!item || !*item) {
        return out;
      }
      out.push_back(text_of(**item));
    }
  }
  std::string error() {
    auto reader = RecordingReader::open(file());
    if (!reader) {
      return reader.error().message();
    }
    for (auto item = reader->next();; item = reader->next()) {
      if (!item) {
        return item.error().message();
      }
      if (!*item) {
        return "";
      }
    }
  }
  // Changes a finished recording as somebody with sqlite3 could.
  void change(const std::string& sql) {
    const std::string command = "sqlite3 " + file() + " \"" + sql + "\" >/dev/null 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << sql;  // NOLINT(cert-env33-c)
  }
  void record_a_little() {
    StepBuilder steps;
    const auto out = writer();
    out->add(std::vector<Event>{steps.up(100_ms, 2_MiB)});
    ASSERT_TRUE(out->finish());
  }
  TempDir dir_;
};

std::vector<Event> some_events() {
  StepBuilder steps(7);
  StepEvent with_stacks = steps.limit(64_MiB).up(1_ms, 3_MiB);
  with_stacks.user_stack = {0xffffffffffffffff, 0x400000, 0x400100};
  with_stacks.kernel_stack = {0xffffffff81000000, 0xffffffff81000100};
  with_stacks.foreign = with_stacks.page_cache = with_stacks.ancestor = true;
  with_stacks.kind = MemoryKind::kHugetlb;
  with_stacks.suppressed = 3;
  with_stacks.reclaim_ns = 5;
  with_stacks.throttle_ns = 6;
  with_stacks.oom_events = 7;
  StepEvent same_stack = steps.down(2_ms, 1_MiB);
  same_stack.user_stack = {0x400000, 0x400100};
  same_stack.task.comm = std::string("\xff\0x", 3);
  CgroupEvent made;
  made.cgroup_id = 7;
  made.serial = with_stacks.serial;
  made.created = true;
  made.path = "/docker/x";
  ExecEvent exec;
  exec.cmdline = std::string("a\0b\xff", 4);
  exec.task = task(9);
  return {made, exec, with_stacks, sample(3_ms, 5_MiB, 7), same_stack, StepBuilder(8).first(4_ms, 0)};
}

TEST_F(RecordingTest, ComesBackInItsOrder) {
  const auto events = some_events();
  std::vector<std::string> want;
  {
    const auto out = writer();
    out->add(Moment{10, 20});
    out->add(std::span(events).subspan(0, 3));
    out->add(Answer{"memory.peak of /docker/x", "77"});
    out->add(std::span(events).subspan(3));
    Incident incident;
    incident.id = "i-1";
    incident.update = "runtime_state";
    out->add(incident, "{\"id\":1}");
    out->add(Moment{30, -40});
    out->add(LossCount{.critical = 1, .bulk = 2, .throttled = 3, .invalid = 4, .untracked = 5});
    ASSERT_TRUE(out->finish());
    EXPECT_EQ(out->status().written, 11U);
    EXPECT_EQ(out->status().unrecorded, 0U);
  }
  want.emplace_back("moment 10 20");
  for (std::size_t i = 0; i < events.size(); ++i) {
    want.push_back(text_of(RecordingReader::Item(events[i])));
    if (i == 2) {
      want.emplace_back("memory.peak of /docker/x? 77");
    }
  }
  want.emplace_back("incident i-1runtime_state{\"id\":1}");
  want.emplace_back("moment 30 -40");
  want.emplace_back("loss 1 5");
  EXPECT_EQ(all(), want);
  const auto reader = RecordingReader::open(file());
  EXPECT_THAT(reader->meta(), ElementsAre(Pair("ended", "whole"), Pair("host_name", "node1"), Pair("odd", "\xff")));
  EXPECT_TRUE(reader->ended());
  EXPECT_FALSE(std::filesystem::exists(file() + "-wal")) << "one file to copy";
}

TEST_F(RecordingTest, CanBeReadWhereNothingMayBeWritten) {
  record_a_little();
  std::filesystem::permissions(dir_.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_THAT(all(), SizeIs(1));
  std::filesystem::permissions(dir_.path(), std::filesystem::perms::owner_all);
}

TEST_F(RecordingTest, SomebodyWhoLooksAtItsEndIsWaitedFor) {
  const auto out = writer();
  auto reader = RecordingReader::open(file());
  ASSERT_TRUE(reader) << reader.error().message();
  ASSERT_TRUE(reader->next());
  std::jthread looks([looking = std::move(*reader)]() mutable {
    std::this_thread::sleep_for(milliseconds(300));
    const auto gone = std::move(looking);
  });
  const auto done = out->finish();
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_FALSE(std::filesystem::exists(file() + "-wal"));
}

TEST_F(RecordingTest, IsThereAfterTheFlushInterval) {
  const auto out = writer({.flush_interval = milliseconds(20)});
  StepBuilder steps;
  for (int i = 0; i < 50; ++i) {
    out->add(std::vector<Event>{steps.up(100_ms, 2_MiB)});
  }
  for (int i = 0; i < 500 && out->status().written < 50; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_THAT(all(), SizeIs(50)) << "while it is being written";
  const auto reader = RecordingReader::open(file());
  EXPECT_FALSE(reader->ended());
}

TEST_F(RecordingTest, SurvivesItsWritersDeath) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto out = RecordingWriter::create(file(), {.flush_interval = milliseconds(5), .min_free_bytes = 0}, {});
    StepBuilder steps;
    for (std::uint64_t i = 0;; ++i) {
      (*out)->add(std::vector<Event>{steps.up(i, i)});
    }
  }
  std::this_thread::sleep_for(milliseconds(400));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const auto items = all();
  EXPECT_GT(items.size(), 100U);
  EXPECT_FALSE(RecordingReader::open(file())->ended());
}

TEST_F(RecordingTest, NeverOverAnotherFile) {
  record_a_little();
  const auto second = RecordingWriter::create(file(), {}, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EEXIST);
  EXPECT_THAT(all(), SizeIs(1));
}

TEST_F(RecordingTest, ASlowDiskIsCounted) {
  const auto out = writer({.flush_interval = std::chrono::hours(1), .max_queued = 3});
  StepBuilder steps;
  for (int i = 0; i < 10; ++i) {
    out->add(std::vector<Event>{steps.up(100_ms, 2_MiB)});
  }
  EXPECT_EQ(out->status().unrecorded, 7U);
  ASSERT_TRUE(out->finish());
  EXPECT_THAT(all(), SizeIs(3));
  EXPECT_EQ(RecordingReader::open(file())->meta().at("unrecorded"), "7");
}

TEST_F(RecordingTest, EndsAtItsLargestSize) {
  const auto out = writer({.flush_interval = milliseconds(1), .max_bytes = 400'000});
  StepBuilder steps;
  for (std::uint64_t i = 0; i < 2'000'000 && out->status().recording; ++i) {
    out->add(std::vector<Event>{steps.up(i, i)});
  }
  const auto status = out->status();
  EXPECT_FALSE(status.recording);
  EXPECT_THAT(status.stopped, HasSubstr("largest size"));
  ASSERT_TRUE(out->finish());
  EXPECT_EQ(error(), "");
  const auto reader = RecordingReader::open(file());
  EXPECT_THAT(reader->meta().at("ended"), HasSubstr("largest size"));
}

TEST_F(RecordingTest, KeepsTheDiskFromFillingUp) {
  RecordingSettings settings;
  settings.min_free_bytes = ~0ULL;
  settings.flush_interval = milliseconds(1);
  auto out = RecordingWriter::create(file(), settings, {});
  ASSERT_TRUE(out);
  StepBuilder steps;
  (*out)->add(std::vector<Event>{steps.up(1, 1)});
  for (int i = 0; i < 500 && (*out)->status().recording; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_THAT((*out)->status().stopped, HasSubstr("kept free"));
  EXPECT_EQ((*out)->status().unrecorded, 1U);
}

TEST_F(RecordingTest, NamesOfCgroups) {
  Container web;
  web.runtime = Runtime::kDocker;
  web.id = std::string(64, 'a');
  {
    const auto out = writer();
    StepBuilder before(7);
    StepBuilder after(8);
    out->add(std::vector<Event>{before.up(1_ms, 2_MiB)});
    out->add(CgroupRef{7, "/docker/a"}, web);
    web.name = "web";  // its runtime has answered
    web.pod = Pod{.name = "web-0", .name_space = "shop"};
    out->add(CgroupRef{7, "/docker/a"}, web);
    out->add(CgroupRef{8, "/system.slice"}, Container{});
    out->add(std::vector<Event>{after.up(2_ms, 2_MiB)});
    ASSERT_TRUE(out->finish());
  }
  const auto reader = RecordingReader::open(file());
  const auto containers = reader->containers();
  ASSERT_TRUE(containers);
  ASSERT_THAT(*containers, SizeIs(1));
  const RecordedContainer& one = containers->front();
  EXPECT_EQ(one.runtime, "docker");
  EXPECT_EQ(one.id, web.id);
  EXPECT_EQ(one.name, "web");
  EXPECT_EQ(one.image, "");
  EXPECT_EQ(one.pod, "web-0");
  EXPECT_EQ(one.name_space, "shop");
  const auto cgroups = reader->cgroups();
  ASSERT_TRUE(cgroups);
  ASSERT_THAT(*cgroups, SizeIs(2));
  EXPECT_EQ((*cgroups)[0].cgroup_id, 7U);
  EXPECT_EQ((*cgroups)[0].path, "/docker/a");
  EXPECT_EQ((*cgroups)[0].container, one.row);
  EXPECT_EQ((*cgroups)[1].path, "/system.slice");
  EXPECT_EQ((*cgroups)[1].container, std::nullopt);
}

TEST_F(RecordingTest, WhatIsNoRecording) {
  EXPECT_THAT(error(), HasSubstr("No such file"));
  std::ofstream(file()) << "";
  EXPECT_THAT(error(), HasSubstr("no recording of memcrest"));
  std::ofstream(file()) << std::string(50'000, 'x');
  EXPECT_NE(error(), "");
  std::filesystem::remove(file());
  record_a_little();
  change("PRAGMA application_id = 5");
  EXPECT_THAT(error(), HasSubstr("no recording of memcrest"));
}

TEST_F(RecordingTest, FromANewerMemcrest) {
  record_a_little();
  change("PRAGMA user_version = " + std::to_string(kRecordingVersion + 1));
  EXPECT_THAT(error(), HasSubstr("newer memcrest"));
  change("PRAGMA user_version = 0");
  EXPECT_THAT(error(), HasSubstr("no format version"));
}

TEST_F(RecordingTest, ColumnsOfTomorrowAreLeftAside) {
  record_a_little();
  change(
      "ALTER TABLE steps ADD COLUMN kinds TEXT; CREATE TABLE new (a); ALTER TABLE meta RENAME TO m;"
      "CREATE VIEW meta AS SELECT * FROM m");
  EXPECT_NE(error(), "") << "a view in the place of a table";
  change("DROP VIEW meta; ALTER TABLE m RENAME TO meta");
  EXPECT_THAT(all(), SizeIs(1));
}

TEST_F(RecordingTest, CodeInTheFileIsNotRun) {
  for (const char* sql : {"CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT 1; END", "CREATE VIEW v AS SELECT 1",
                          "DROP TABLE answers; CREATE TABLE answers (seq INTEGER PRIMARY KEY, question TEXT, answer "
                          "TEXT GENERATED ALWAYS "
                          "AS (hex(zeroblob(8000000))) VIRTUAL)"}) {
    std::filesystem::remove(file());
    record_a_little();
    change(sql);
    EXPECT_THAT(error(), testing::AnyOf(HasSubstr("views, triggers or virtual tables"), HasSubstr("are computed")))
        << sql;
  }
}

TEST_F(RecordingTest, WithoutItsLogItIsARecordingStill) {
  const auto out = writer();
  std::filesystem::copy(file(), file() + "-copy");
  auto reader = RecordingReader::open(file() + "-copy");
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(reader->meta().at("host_name"), "node1");
}

TEST_F(RecordingTest, RowsThatDoNotFit) {
  record_a_little();
  for (const auto& [sql, says] : {
           std::pair("UPDATE steps SET task = 999", "task is missing"),
           std::pair("UPDATE steps SET task = 1, cgroup = 'x'", "cgroup is missing"),
           std::pair(
               "UPDATE steps SET cgroup = (SELECT id FROM cgroups), task = (SELECT id FROM tasks), user_stack = 55",
               "frame of a stack is missing"),
           std::pair("INSERT INTO stacks VALUES (55, 55, 1)", "a stack does not end"),
           std::pair("UPDATE steps SET user_stack = NULL; INSERT INTO events VALUES (9, 1, 'kind', 1, 1, '{}')",
                     "unknown kind"),
           std::pair("UPDATE events SET kind = x'00ff', json = '{}'", "unknown kind"),
           std::pair("UPDATE events SET kind = 'kill', json = '{'", "no JSON"),
           std::pair("DROP TABLE clock", "no such table"),
       }) {
    change(sql);
    EXPECT_THAT(error(), HasSubstr(says)) << sql;
  }
}

TEST_F(RecordingTest, TruncatedOrDamagedAnywhere) {
  const auto events = some_events();
  {
    const auto out = writer();
    for (int i = 0; i < 200; ++i) {
      out->add(events);
    }
    ASSERT_TRUE(out->finish());
  }
  std::string good;
  {
    std::ifstream in(file(), std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same each time
  int refused = 0;
  for (int round = 0; round < 200; ++round) {
    std::string bad = good;
    if (round % 2 == 0) {
      bad.resize(random() % bad.size());
    } else {
      for (int i = 0; i < 20; ++i) {
        bad[100 + random() % (bad.size() - 100)] = static_cast<char>(random());
      }
    }
    std::ofstream(file(), std::ios::binary) << bad;
    refused += error().empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 100) << "and none of them crashed or hung";
}

}  // namespace
}  // namespace memcrest
