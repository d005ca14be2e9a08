// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <map>

namespace memcrest {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kEnd = std::numeric_limits<std::uint64_t>::max();

// A log written line by line: each is a record of the kernel, 10 us after the one before.
class Log {
 public:
  explicit Log(KernelLogSettings settings = {}) : parser(settings) {}

  Log& line(const std::string& text, const std::string& caller = "", unsigned priority = 6,
            const std::string& flags = "-") {
    now += 10'000;
    const std::string raw = std::to_string(priority) + "," + std::to_string(sequence++) + "," +
                            std::to_string(now / 1000) + "," + flags + (caller.empty() ? "" : ",caller=" + caller) +
                            ";" + text + "\n";
    EXPECT_TRUE(parser.feed(raw, now));
    return *this;
  }
  Log& piece(const std::string& text, const std::string& caller = "") { return line(text, caller, 4, "c"); }
  Log& invoked(const std::string& comm = "hog", const std::string& caller = "") {
    return line(comm + " invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0", caller);
  }
  Log& tasks(const std::vector<std::pair<int, std::string>>& rows, const std::string& caller = "") {
    line("Tasks state (memory values in pages):", caller);
    line("[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name", caller);
    for (const auto& [pid, name] : rows) {
      const std::string id = std::to_string(pid);
      line("[" + std::string(7 - id.size(), ' ') + id + "]     0 " + id +
               "    16705     6275    86016        3          -500 " + name,
           caller);
    }
    return *this;
  }
  Log& summary(int pid, const std::string& comm = "hog", const std::string& caller = "",
               const std::string& paths = "oom_memcg=/a,task_memcg=/a/b") {
    return line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0," + paths +
                    ",task=" + comm + ",pid=" + std::to_string(pid) + ",uid=0",
                caller);
  }
  Log& killed(int pid, const std::string& comm = "hog", const std::string& caller = "",
              const std::string& message = "Memory cgroup out of memory") {
    return line(message + ": Killed process " + std::to_string(pid) + " (" + comm +
                    ") total-vm:66820kB, anon-rss:24448kB, file-rss:4kB, shmem-rss:652kB, UID:7 pgtables:84kB "
                    "oom_score_adj:-5",
                caller);
  }
  std::vector<LogOomEvent> all() { return parser.take(kEnd); }
  LogOomEvent only() {
    auto events = all();
    EXPECT_EQ(events.size(), 1U);
    return events.empty() ? LogOomEvent{} : events.front();
  }

  KernelLogParser parser;
  std::uint64_t now = 1'000 * kMs;
  std::uint64_t sequence = 5;
};

auto pids(const testing::Matcher<std::vector<std::uint32_t>>& matcher) {
  return testing::ResultOf(
      [](const LogOomEvent& event) {
        std::vector<std::uint32_t> out;
        for (const auto& victim : event.victims) {
          out.push_back(victim.pid);
        }
        return out;
      },
      matcher);
}

// What real kernels wrote: kernel_logs/README.md.
std::map<std::string, std::vector<LogOomEvent>> read_log(const std::string& name) {
  std::ifstream file(std::string(KERNEL_LOGS) + "/" + name + ".kmsg");
  EXPECT_TRUE(file) << name;
  std::map<std::string, std::vector<LogOomEvent>> out;
  KernelLogParser parser;
  std::string section;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("# ")) {
      if (!section.empty()) {
        out[section] = parser.take(kEnd);
      }
      section = line.substr(2);
      continue;
    }
    const auto record = parse_kernel_log_record(line);
    EXPECT_TRUE(record) << line;
    EXPECT_TRUE(parser.feed(line, record->time_ns));
  }
  out[section] = parser.take(kEnd);
  EXPECT_EQ(parser.overwritten(), 0U);
  return out;
}

class RealLog : public testing::TestWithParam<const char*> {};

TEST_P(RealLog, LimitOfACgroup) {
  const std::string name = GetParam();
  const bool v1 = name.ends_with("v1");
  const auto sections = read_log(name);
  const auto& events = sections.at("plain");
  ASSERT_EQ(events.size(), 1U);
  const auto& event = events.front();
  EXPECT_THAT(event.gaps, IsEmpty());
  EXPECT_EQ(event.trigger_comm, "hog");
  EXPECT_EQ(event.gfp_mask, 0xcc0U);
  EXPECT_EQ(event.order, 0);
  EXPECT_EQ(event.constraint, Constraint::kMemcg);
  EXPECT_TRUE(event.memcg);
  EXPECT_FALSE(event.group_kill);
  EXPECT_EQ(event.limit_path, "/a");
  EXPECT_THAT(event.victim_path, testing::StartsWith("/a/"));
  ASSERT_TRUE(event.memory);
  EXPECT_EQ(event.memory->limit_bytes, 24U << 20U);
  EXPECT_GT(event.memory->usage_bytes, 23U << 20U);
  EXPECT_GT(event.memory->failcnt, 0U);
  EXPECT_EQ(event.memsw.has_value(), v1);
  EXPECT_EQ(event.kmem.has_value(), v1);
  EXPECT_EQ(event.swap.has_value(), !v1);
  EXPECT_FALSE((v1 ? event.memsw : event.swap)->limit_bytes);
  EXPECT_GE(event.stats.size(), 36U);
  EXPECT_THAT(event.stats, Contains(Pair(name == "6.18-v1" ? "total_rss" : "anon", testing::Gt(23U << 20U))));
  ASSERT_EQ(event.tasks.size(), 1U);
  ASSERT_EQ(event.victims.size(), 1U);
  const auto& victim = event.victims.front();
  EXPECT_EQ(event.trigger_pid, victim.pid);
  EXPECT_EQ(event.tasks.front().tgid, victim.pid);
  EXPECT_EQ(event.tasks.front().comm, "hog");
  EXPECT_GT(event.tasks.front().rss_bytes, victim.anon_bytes);
  EXPECT_EQ(victim.comm, "hog");
  EXPECT_EQ(victim.uid, 0U);
  EXPECT_EQ(victim.oom_score_adj, 0);
  EXPECT_GT(victim.anon_bytes, 22U << 20U);
  EXPECT_GT(victim.pagetable_bytes, 64U << 10U);
}

TEST_P(RealLog, OthersOfThatKernel) {
  for (const auto& [section, events] : read_log(GetParam())) {
    SCOPED_TRACE(section);
    for (const auto& event : events) {
      EXPECT_GE(event.victims.size(), 1U);
    }
    if (section == "group") {
      ASSERT_EQ(events.size(), 1U);
      EXPECT_TRUE(events[0].group_kill);
      EXPECT_EQ(events[0].victims.size(), 4U);  // the first is named twice
      EXPECT_EQ(events[0].victim_path, "/g");
    } else if (section == "global" || section == "allocating") {
      EXPECT_GE(events.size(), 1U);
      EXPECT_FALSE(events[0].memcg);
      EXPECT_EQ(events[0].constraint, Constraint::kNone);
      EXPECT_EQ(events[0].victim_path, "/");
      EXPECT_EQ(events[0].limit_path, "");
      EXPECT_EQ(events[0].mems_allowed, "0-1");
      EXPECT_THAT(events[0].gaps, IsEmpty());
    } else if (section == "sysrq") {
      EXPECT_EQ(events.at(0).order, -1);
    } else if (section == "hostile") {
      EXPECT_EQ(events.at(0).trigger_comm, "x) total-vm:1kB");
      EXPECT_EQ(events[0].victims.at(0).comm, "x) total-vm:1kB");
      EXPECT_EQ(events[0].tasks.at(0).comm, "x) total-vm:1kB");
    } else if (section == "newline") {
      // printk takes "\001c" for its own mark: the line looks like the rest of another one.
      EXPECT_EQ(events.at(0).trigger_comm, "\nx,pid=1");
      EXPECT_EQ(events[0].victims.at(0).comm,
                "\x01"
                "c\nx,pid=1");
      EXPECT_EQ(events[0].victim_path, "/a/b");
      EXPECT_THAT(events[0].gaps, IsEmpty());
    } else if (section == "longpath") {
      EXPECT_EQ(events.at(0).limit_path.size(), 725U);
      EXPECT_EQ(events[0].victim_path, events[0].limit_path);
      EXPECT_THAT(events[0].gaps, IsEmpty());
    } else if (section == "verylongpath") {
      EXPECT_THAT(events.at(0).gaps, ElementsAre(HasSubstr("may be cut")));
      EXPECT_TRUE(events[0].memory);
    } else if (section == "notasks") {
      EXPECT_THAT(events.at(0).gaps, ElementsAre(HasSubstr("vm.oom_dump_tasks")));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, RealLog,
                         testing::Values("5.10-v1", "5.10-v2", "6.1-v2", "6.12-v2", "6.18-v1", "7.2-v2", "7.3-v2"),
                         [](const auto& log) {
                           std::string name = log.param;
                           std::ranges::replace(name, '.', '_');
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(KernelLogRecord, TakenApart) {
  const auto record = parse_kernel_log_record("30,7,1500,c,caller=T12,new=1;a\\x0a\\x5cb\\xzz\\x4\n SUBSYSTEM=x\n");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->facility, 3U);
  EXPECT_EQ(record->sequence, 7U);
  EXPECT_EQ(record->time_ns, 1'500'000U);
  EXPECT_TRUE(record->fragment);
  EXPECT_EQ(record->caller, "T12");
  EXPECT_EQ(record->text, "a\n\\b\\xzz\\x4");
}

TEST(KernelLogRecord, Refused) {
  for (const char* raw : {"", ";", "a,1,2,-;x", "1,2;x", "6,1,99999999999999999999,-;x", "6,1,18446744073709551615,-;x",
                          "no header", "-1,1,1,-;x"}) {
    EXPECT_FALSE(parse_kernel_log_record(raw)) << raw;
  }
  EXPECT_FALSE(parse_kernel_log_record("6,1,1,-;" + std::string(kMaxKernelLogRecord, 'x')));
}

TEST(KernelLogParser, RowsAndVictim) {
  Log log;
  log.invoked().tasks({{40, "init"}, {41, " a b"}}).summary(41, " a b").killed(41, " a b");
  const auto event = log.only();
  EXPECT_EQ(event.time_ns, 1'000 * kMs + 10'000);
  ASSERT_EQ(event.tasks.size(), 2U);
  EXPECT_EQ(event.tasks[0].rss_bytes, 6275U * 4096);
  EXPECT_EQ(event.tasks[0].swap_bytes, 3U * 4096);
  EXPECT_EQ(event.tasks[0].oom_score_adj, -500);
  EXPECT_EQ(event.tasks[1].comm, " a b");
  ASSERT_EQ(event.victims.size(), 1U);
  EXPECT_EQ(event.victims[0].anon_bytes, 24448U * 1024);
  EXPECT_EQ(event.victims[0].file_bytes, 4096U);
  EXPECT_EQ(event.victims[0].shmem_bytes, 652U * 1024);
  EXPECT_EQ(event.victims[0].pagetable_bytes, 84U * 1024);
  EXPECT_EQ(event.victims[0].uid, 7U);
  EXPECT_EQ(event.victims[0].oom_score_adj, -5);
}

TEST(KernelLogParser, PageSizeAndItsOwnNoLimit) {
  Log log({.page_size = 65536});
  log.invoked().line("memory: usage 64kB, limit 9007199254740928kB, failcnt 18446744073709551615");
  log.tasks({{40, "hog"}}).summary(40).killed(40);
  const auto event = log.only();
  EXPECT_EQ(event.tasks.at(0).rss_bytes, 6275U * 65536);
  EXPECT_FALSE(event.memory->limit_bytes);
  EXPECT_EQ(event.memory->failcnt, kEnd);
}

TEST(KernelLogParser, StatisticsOnOneLineOfOldKernels) {
  Log log;
  log.invoked();
  log.line("Memory cgroup stats for /x: y: cache:4KB rss:8KB rss_huge:0KB");
  log.line("Memory cgroup stats for /x: y/z: cache:1KB");
  log.line("[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name");
  log.line("[  123]     0   123     1000      500      10       3        0             0 hog");
  log.line("Memory cgroup out of memory: Kill process 123 (hog) score 999 or sacrifice child");
  log.line("Killed process 123 (hog) total-vm:4000kB, anon-rss:1996kB, file-rss:4kB");
  const auto event = log.only();
  EXPECT_THAT(event.stats, ElementsAre(Pair("cache", 4096), Pair("rss", 8192), Pair("rss_huge", 0)));
  EXPECT_EQ(event.limit_path, "/x: y");
  EXPECT_TRUE(event.memcg);
  EXPECT_EQ(event.tasks.at(0).rss_bytes, 500U * 4096);
  EXPECT_EQ(event.victims.at(0).anon_bytes, 1996U * 1024);
  EXPECT_FALSE(event.victims[0].uid);
}

TEST(KernelLogParser, StatisticsThatTheKernelCut) {
  Log log;
  std::string stats;
  while (stats.size() < 1200) {  // a newline takes four
    stats += "some_statistic 12345\\x0a";
  }
  log.invoked().line("Memory cgroup stats for /a:").line(stats + "pgfault 1").tasks({{4, "hog"}}).summary(4).killed(4);
  const auto event = log.only();
  EXPECT_THAT(event.stats, Not(Contains(Pair("pgfault", 1))));
  EXPECT_THAT(event.stats, Not(IsEmpty()));
  EXPECT_THAT(event.gaps, ElementsAre(HasSubstr("cut the cgroup's statistics")));
}

TEST(KernelLogParser, OtherConstraints) {
  const std::map<std::string, Constraint> names = {{"CONSTRAINT_NONE", Constraint::kNone},
                                                   {"CONSTRAINT_CPUSET", Constraint::kCpuset},
                                                   {"CONSTRAINT_MEMORY_POLICY", Constraint::kMemoryPolicy}};
  for (const auto& [name, constraint] : names) {
    Log log;
    log.invoked();
    log.line("oom-kill:constraint=" + name +
             ",nodemask=0-1,3,cpuset=a,mems_allowed=9,b,mems_allowed=1,3-4,global_oom,task_memcg=/x,y,task=hog,pid=4,"
             "uid=4294967294");
    log.killed(4, "hog", "", "Out of memory");
    const auto event = log.only();
    EXPECT_EQ(event.constraint, constraint);
    EXPECT_FALSE(event.memcg);
    EXPECT_EQ(event.cpuset_path, "a,mems_allowed=9,b");
    EXPECT_EQ(event.mems_allowed, "1,3-4");
    EXPECT_EQ(event.victim_path, "/x,y");
    EXPECT_EQ(event.limit_path, "");
  }
}

// Whoever names a cgroup or a process must not be able to put the kill on somebody else.
TEST(KernelLogParser, NamesThatHoldSeparators) {
  struct Case {
    std::string limit, below, comm;
  };
  for (const auto& c : std::vector<Case>{
           {"/a,task_memcg=/host", "/b", "hog"},
           {"/a", "/b,task=sshd,pid=1,uid=0", "hog"},
           {"/a", "/x,oom_memcg=/y", ",task=b"},
           {"/a", "/b,task=c", "d"},
           {"/a,global_oom,task_memcg=/z", "", ",pid=1,uid=0"},
       }) {
    Log log;
    log.invoked(c.comm).line("Memory cgroup stats for " + c.limit + ":").line("anon 1");
    log.tasks({{40, c.comm}}).summary(40, c.comm, "", "oom_memcg=" + c.limit + ",task_memcg=" + c.limit + c.below);
    log.killed(40, c.comm);
    const auto event = log.only();
    EXPECT_EQ(event.trigger_comm, c.comm);
    EXPECT_EQ(event.limit_path, c.limit);
    EXPECT_EQ(event.victim_path, c.limit + c.below);
    EXPECT_EQ(event.victims.at(0).comm, c.comm);
    EXPECT_THAT(event.gaps, IsEmpty());
  }
}

TEST(KernelLogParser, WrittenByUsersIsIgnored) {
  Log log;
  log.line("hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0", "", 8 + 4);
  log.line("Memory cgroup out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB", "", 24 + 3);
  EXPECT_THAT(log.all(), IsEmpty());
  // A mount option that the kernel quotes in a warning of its own.
  log.line("overlayfs: unrecognized mount option \"x invoked oom-killer: gfp_mask=0xcc0\" or missing value");
  EXPECT_THAT(log.all(), IsEmpty());
  // Inside a real one.
  log.invoked().line("memory: usage 1kB, limit 1kB, failcnt 1", "", 12).tasks({{4, "hog"}});
  log.line("[      1]     0     1 16705 6275 86016 3 0 init", "", 12).summary(4);
  log.line("Memory cgroup out of memory: Killed process 4 (nobody) total-vm:1kB, anon-rss:1kB", "", 12).killed(4);
  const auto event = log.only();
  EXPECT_FALSE(event.memory);
  EXPECT_THAT(event.tasks, SizeIs(1));
  EXPECT_EQ(event.victims.at(0).comm, "hog");
}

TEST(KernelLogParser, NewlinesDoNotMakeLines) {
  Log log;
  log.line("usb: name\\x0aMemory cgroup out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB");
  EXPECT_THAT(log.all(), IsEmpty());
}

TEST(KernelLogParser, OtherLinesInBetween) {
  Log log;
  log.invoked().line("usb 1-1: new device").line("anon 12").tasks({{4, "hog"}}).line("[drm] hello").line("[ 12] x");
  log.summary(4).line("eth0: link up").killed(4).line("oom_reaper: reaped process 4 (hog), now anon-rss:0kB");
  const auto event = log.only();
  EXPECT_THAT(event.stats, IsEmpty());
  EXPECT_THAT(event.tasks, SizeIs(1));
  EXPECT_THAT(event.gaps, IsEmpty());
}

TEST(KernelLogParser, PiecesTornApartByOthers) {
  Log log;
  log.invoked().tasks({{4, "hog"}});
  log.line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)").line("usb 1-1: x").piece("not ours");
  log.piece(",cpuset=").line("eth0: y").piece("/").piece(",mems_allowed=0,oom_memcg=/a,task_memcg=").piece("/a/b");
  log.piece(",task=hog,pid=4,uid=0").killed(4).line("Tasks in ").line("usb 1-1: x").piece("/a");
  log.piece(" are going to be killed due to memory.oom.group set").killed(5);
  const auto event = log.only();
  EXPECT_EQ(event.limit_path, "/a");
  EXPECT_EQ(event.victim_path, "/a/b");
  EXPECT_TRUE(event.group_kill);
  EXPECT_THAT(event, pids(ElementsAre(4, 5)));
  EXPECT_THAT(event.gaps, IsEmpty());
}

TEST(KernelLogParser, SummaryWhoseEndNeverComes) {
  Log log;
  log.invoked().tasks({{4, "hog"}});
  log.line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a/lon").killed(4);
  const auto event = log.only();
  EXPECT_EQ(event.constraint, Constraint::kMemcg);
  EXPECT_EQ(event.limit_path, "");  // half a path is none
  EXPECT_THAT(event, pids(ElementsAre(4)));
  EXPECT_THAT(event.gaps, ElementsAre(HasSubstr("not complete")));
}

TEST(KernelLogParser, TwoReportsByCaller) {
  Log log;
  log.invoked("one", "T1").invoked("two", "T2").line("memory: usage 1kB, limit 1kB, failcnt 1", "T1");
  log.line("memory: usage 2kB, limit 2kB, failcnt 2", "T2").tasks({{22, "two"}}, "T2").tasks({{11, "one"}}, "T1");
  log.summary(11, "one", "T1").summary(22, "two", "T2", "oom_memcg=/b,task_memcg=/b");
  log.killed(22, "two", "T2").killed(11, "one", "T1");
  const auto events = log.all();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].trigger_comm, "one");
  EXPECT_EQ(events[0].memory->failcnt, 1U);
  EXPECT_EQ(events[0].limit_path, "/a");
  EXPECT_THAT(events[0], pids(ElementsAre(11)));
  EXPECT_EQ(events[1].limit_path, "/b");
  EXPECT_THAT(events[1], pids(ElementsAre(22)));
  EXPECT_THAT(events[1].gaps, IsEmpty());
}

TEST(KernelLogParser, TwoKillsByPid) {
  Log log;
  log.invoked("one").tasks({{11, "one"}}).invoked("two").tasks({{22, "two"}});
  log.summary(11, "one").summary(22, "two", "", "oom_memcg=/b,task_memcg=/b").killed(22, "two").killed(11, "one");
  const auto events = log.all();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].limit_path, "/a");
  EXPECT_THAT(events[0], pids(ElementsAre(11)));
  EXPECT_THAT(events[0].gaps, ElementsAre(HasSubstr("mixed up")));
  EXPECT_EQ(events[1].limit_path, "/b");
  EXPECT_THAT(events[1], pids(ElementsAre(22)));
}

TEST(KernelLogParser, AnotherThreadOfTheVictimIsNamed) {
  Log log;
  log.invoked().tasks({});
  log.line("[     41]     0    40    16705     6275    86016        3          -500 worker");
  log.summary(40).killed(41, "worker");
  const auto event = log.only();
  EXPECT_THAT(event, pids(ElementsAre(40)));
}

TEST(KernelLogParser, RateLimited) {
  Log log;
  log.killed(4).killed(5, "x", "", "Out of memory (oom_kill_allocating_task)").killed(6, "y", "", "Out of memory");
  const auto events = log.all();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_TRUE(events[0].memcg);
  EXPECT_FALSE(events[1].memcg);
  for (const auto& event : events) {
    EXPECT_THAT(event.gaps, ElementsAre(HasSubstr("rate-limited")));
    EXPECT_FALSE(event.order);
    EXPECT_THAT(event.victims, SizeIs(1));
  }
}

TEST(KernelLogParser, RateLimitedGroup) {
  Log log;
  log.killed(4).line("Tasks in /g are going to be killed due to memory.oom.group set").killed(4).killed(5).killed(6);
  const auto event = log.only();
  EXPECT_TRUE(event.group_kill);
  EXPECT_EQ(event.victim_path, "/g");
  EXPECT_THAT(event, pids(ElementsAre(4, 5, 6)));
}

TEST(KernelLogParser, RecordsOverwritten) {
  Log log;
  log.invoked().tasks({{4, "hog"}});
  log.sequence += 7;
  log.killed(4);
  EXPECT_EQ(log.parser.overwritten(), 7U);
  const auto event = log.only();
  EXPECT_THAT(event, pids(ElementsAre(4)));
  EXPECT_THAT(event.gaps, Contains(HasSubstr("overwritten")));
  EXPECT_THAT(event.gaps, Not(Contains(HasSubstr("rate-limited"))));

  log.line("usb: x");
  log.sequence += 3;
  log.parser.note_overwritten();
  log.line("usb: y").invoked().tasks({{4, "hog"}}).summary(4).killed(4).invoked().tasks({{5, "x"}}).summary(5, "x");
  log.killed(5, "x");
  const auto events = log.all();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_THAT(events[0].gaps, ElementsAre(HasSubstr("3 records")));
  EXPECT_THAT(events[1].gaps, IsEmpty());
}

TEST(KernelLogParser, NothingKilled) {
  Log log;
  log.invoked().tasks({{4, "hog"}}).summary(4);
  log.line("Memory cgroup out of memory: OOM victim 4 (hog) is already exiting. Skip killing the task");
  auto event = log.only();
  EXPECT_THAT(event.victims, IsEmpty());
  EXPECT_TRUE(event.killed_nobody);
  EXPECT_THAT(event.gaps, ElementsAre(AllOf(HasSubstr("nothing was killed"), HasSubstr("4"))));

  // A task that nothing may be killed for does it again and again.
  for (int i = 0; i < 50; ++i) {
    log.invoked().line("memory: usage 1kB, limit 1kB, failcnt 1").line("Memory cgroup stats for /q:").tasks({});
    log.line("Out of memory and no killable processes...");
  }
  event = log.only();
  EXPECT_EQ(event.limit_path, "/q");
  EXPECT_TRUE(event.memcg);
  EXPECT_THAT(event.gaps, ElementsAre(HasSubstr("no process that it may kill")));
  log.now += 1'000 * kMs;
  log.invoked().line("Memory cgroup stats for /q:").line("Out of memory and no killable processes...");
  EXPECT_THAT(log.only().gaps, Contains(HasSubstr("49 OOMs")));
}

TEST(KernelLogParser, SettlesAndAbandons) {
  Log log;
  EXPECT_FALSE(log.parser.deadline());
  log.invoked().tasks({{4, "hog"}}).summary(4);
  EXPECT_EQ(log.parser.deadline(), log.now + 5'000 * kMs);
  log.killed(4);
  EXPECT_EQ(log.parser.deadline(), log.now + 20 * kMs);
  EXPECT_THAT(log.parser.take(log.now + 20 * kMs - 1), IsEmpty());
  log.line("Tasks in /a are going to be killed due to memory.oom.group set").killed(5);
  EXPECT_EQ(log.parser.deadline(), log.now + 100 * kMs);
  EXPECT_THAT(log.parser.take(log.now + 100 * kMs), SizeIs(1));
  EXPECT_FALSE(log.parser.deadline());
  log.invoked();
  const auto events = log.parser.take(log.now + 5'000 * kMs);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_THAT(events[0].gaps, Contains("the kernel log tells of no kill"));
}

TEST(KernelLogParser, Bounded) {
  Log log;
  log.invoked();
  std::vector<std::pair<int, std::string>> rows;
  for (int i = 1; i <= 5000; ++i) {
    rows.emplace_back(i, "p");
  }
  log.line("Memory cgroup stats for /a:");
  for (int i = 0; i < 300; ++i) {
    log.line("stat" + std::to_string(i) + " 1");
  }
  log.tasks(rows).summary(1, "p").killed(1, "p");
  log.line("Tasks in /a are going to be killed due to memory.oom.group set");
  for (int i = 2; i <= 5000; ++i) {
    log.killed(i, "p");
  }
  const auto event = log.only();
  EXPECT_THAT(event.tasks, SizeIs(4096));
  EXPECT_THAT(event.victims, SizeIs(4096));
  EXPECT_THAT(event.stats, SizeIs(256));
  EXPECT_THAT(event.gaps, SizeIs(2));

  for (int i = 0; i < 500; ++i) {
    log.killed(10'000 + i);
  }
  EXPECT_LE(log.all().size(), 80U);
  log.killed(4);
  EXPECT_THAT(log.only().gaps, Contains(HasSubstr("dropped")));
}

}  // namespace
}  // namespace memcrest
