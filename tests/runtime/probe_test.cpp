// SPDX-License-Identifier: Apache-2.0
// The kernel side for real: hooks attached to this kernel, programs in memory cgroups of their own, and what comes out
// of the ring buffers compared with the kernel's own counters. Needs root.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <thread>

#include "app/run_cgroup.h"
#include "app/run_child.h"
#include "collector/process_table.h"
#include "probe/kallsyms.h"
#include "probe/ring_source.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::Gt;

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr const char* kHog = MEMCREST_HOG;

class ProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    auto opened = CgroupTree::open(SystemRoot{});
    ASSERT_TRUE(opened) << opened.error().message();
    tree_.emplace(std::move(*opened));
    auto signals = RunSignals::open();
    ASSERT_TRUE(signals) << signals.error().message();
    signals_.emplace(std::move(*signals));
  }

  // The cgroup first: it forks its guard, which must not inherit BPF descriptors.
  void open(RunLimits limits, LoadSettings settings = {}) {
    auto made = RunCgroup::create(*tree_, limits);
    ASSERT_TRUE(made) << made.error().message();
    cgroup_.emplace(std::move(*made));
    attach(settings);
  }

  void attach(LoadSettings settings) {
    features_ = probe_features(SystemRoot{}, wanted_);
    auto probe = LoadedProbe::load(settings, features_);
    ASSERT_TRUE(probe) << probe.error().message();
    LoadedProbe& loaded = **probe;
    auto source = RingSource::open(std::move(*probe), find_kernel_functions("/proc"), clock_);
    ASSERT_TRUE(source) << source.error().message();
    source_ = std::move(*source);
    const auto attached = loaded.attach(features_);
    ASSERT_TRUE(attached) << attached.error().message();
  }

  // Runs to the end without reading the rings.
  RunExit run(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv{kHog};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto child = RunChild::spawn(cgroup_->dir(), cgroup_->version(), argv, *signals_);
    EXPECT_TRUE(child) << child.error().error.message();
    pid_ = static_cast<std::uint32_t>(child->pid());
    EXPECT_TRUE(child->wait_for(*signals_, 60s));
    return child->exit().value_or(RunExit{});
  }

  void drain() {
    for (int i = 0; i < 5; ++i) {
      ignore_result(source_->poll(20ms, events_));
    }
  }

  template <typename T>
  std::vector<T> all(const std::function<bool(const T&)>& want = [](const T&) { return true; }) const {
    std::vector<T> out;
    for (const Event& event : events_) {
      if (const auto* typed = std::get_if<T>(&event); typed != nullptr && want(*typed)) {
        out.push_back(*typed);
      }
    }
    return out;
  }

  std::vector<StepEvent> own_steps() const {
    return all<StepEvent>([&](const StepEvent& step) { return step.cgroup_id == cgroup_->id(); });
  }

  void expect_counters_add_up() const {
    const RecordCounters counters = source_->probe().counters();
    for (std::size_t type = 0; type < counters.size(); ++type) {
      const memcrest_counters& one = counters[type];
      EXPECT_EQ(one.attempted, one.submitted + one.dropped_full + one.dropped_throttle) << "record type " << type;
    }
  }

  std::optional<CgroupTree> tree_;
  std::optional<RunSignals> signals_;
  std::optional<RunCgroup> cgroup_;
  SystemClock clock_;
  FeatureSettings wanted_;
  Features features_;
  std::unique_ptr<RingSource> source_;
  std::vector<Event> events_;
  std::uint32_t pid_ = 0;
};

#ifdef __x86_64__
// A loop at an address that no other process has, which touches pages until it is killed: where its memory is taken
// from, everybody can tell.
[[noreturn]] void touch_at(std::uint64_t address, const std::string& procs) {
  // movb $1,(%rdi); add $4096,%rdi; dec %rsi; jnz back; ret
  constexpr unsigned char kCode[] = {0xc6, 0x07, 0x01, 0x48, 0x81, 0xc7, 0x00, 0x10,
                                     0x00, 0x00, 0x48, 0xff, 0xce, 0x75, 0xf1, 0xc3};
  constexpr std::size_t kBytes = 4 * kMiB;
  void* code = ::mmap(reinterpret_cast<void*>(address), 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (code == MAP_FAILED || !write_file(procs, std::to_string(::getpid()))) {
    ::_exit(1);
  }
  // Not at the page's begin: UBSan reads what stands before a function that is called.
  constexpr std::size_t kInto = 64;
  std::memcpy(static_cast<char*>(code) + kInto, kCode, sizeof(kCode));
  ::mprotect(code, 4096, PROT_READ | PROT_EXEC);
  const auto touch = reinterpret_cast<void (*)(void*, std::size_t)>(address + kInto);
  for (;;) {
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::madvise(memory, kBytes, MADV_NOHUGEPAGE);
    touch(memory, kBytes / 4096);
    ::munmap(memory, kBytes);
  }
}

// bpf_get_stack hands out a buffer of the CPU: on a kernel that preempts hooks it could be another task's by then.
TEST_F(ProbeTest, StacksAreThoseOfTheirTaskUnderLoad) {
  constexpr std::uint64_t kFirst = 0x6a0000000000;
  constexpr std::uint64_t kApart = 1ULL << 32U;
  constexpr std::uint64_t kProcesses = 6;
  open({}, {.step_bytes = 256 << 10U, .bulk_ring_bytes = 16U << 20U, .max_steps_per_window = 100'000});
  std::map<std::uint32_t, std::uint64_t> address_of;
  for (std::uint64_t i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      touch_at(kFirst + i * kApart, cgroup_->dir() + "/cgroup.procs");
    }
    address_of[static_cast<std::uint32_t>(child)] = kFirst + i * kApart;
  }
  const auto until = std::chrono::steady_clock::now() + 4s;
  while (std::chrono::steady_clock::now() < until) {
    ignore_result(source_->poll(20ms, events_));
  }
  for (const auto& [pid, address] : address_of) {
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
  }
  drain();
  std::size_t looked = 0;
  std::size_t without = 0;
  std::size_t wrong = 0;
  for (const StepEvent& step : own_steps()) {
    const auto own = address_of.find(step.task.process.tgid);
    if (own == address_of.end() || step.foreign || !step.up) {
      continue;
    }
    without += step.user_stack.empty() ? 1 : 0;
    const std::uint64_t place = step.user_stack.empty() ? 0 : step.user_stack.front();
    // Only what lies in somebody's loop can be told apart: the rest is their common code.
    if (place >= kFirst && place < kFirst + kProcesses * kApart) {
      ++looked;
      wrong += place - own->second < 4096 ? 0 : 1;
    }
  }
  std::cout << looked << " stacks in the loops, " << wrong << " of another task, " << without << " without a stack"
            << std::endl;
  EXPECT_GT(looked, 200U);
  EXPECT_EQ(wrong, 0U);
  EXPECT_LT(without, looked / 10);
}

TEST_F(ProbeTest, CopiesOfStacksBelongToTheirSteps) {
  open({}, {.copy_stacks = true});
  if (!features_.stack_copies) {
    GTEST_SKIP() << "this kernel does not show registers of user space to programs";
  }
  ASSERT_EQ(run({"anon", "32m", "--no-thp"}).code(), 0);
  drain();
  std::size_t copies = 0;
  for (const StepEvent& step : own_steps()) {
    if (!step.stack_copy || step.user_stack.empty()) {
      continue;
    }
    const StackCopy& copy = *step.stack_copy;
    ++copies;
    EXPECT_EQ(copy.tid, step.task.tid);
    EXPECT_EQ(copy.registers.back(), step.user_stack.front());
    EXPECT_LE(copy.begin, copy.registers[7]);
    EXPECT_GT(copy.begin + copy.bytes.size(), copy.registers[7]);
  }
  EXPECT_GE(copies, 28U);
  expect_counters_add_up();
}
#endif

TEST_F(ProbeTest, EveryLevelOfARiseIsSeenOnce) {
  open({});
  ASSERT_EQ(run({"anon", "64m", "--no-thp"}).code(), 0);
  drain();
  const auto steps = own_steps();
  std::uint64_t last = 0;
  std::size_t ups = 0;
  for (const StepEvent& step : steps) {
    EXPECT_EQ(step.quantum_bytes, kMiB);
    EXPECT_FALSE(step.limit_bytes);
    if (!step.up) {
      continue;
    }
    ++ups;
    if (last != 0) {
      // No level skipped: a batch of pages is smaller than a quantum.
      EXPECT_LE(step.usage_bytes / kMiB, last / kMiB + 1);
    }
    last = step.usage_bytes;
  }
  EXPECT_GE(ups, 62U);
  const std::uint64_t peak = cgroup_->figures().peak_bytes.value();
  EXPECT_GE(peak, 64 * kMiB);
  EXPECT_LE(last, peak);
  EXPECT_LT(peak - last, kMiB);
  expect_counters_add_up();
}

TEST_F(ProbeTest, ThePeakIsKeptAtEveryCharge) {
  LoadSettings settings;
  settings.step_bytes = 1ULL << 40U;  // no level is ever crossed
  open({}, settings);
  ASSERT_EQ(run({"anon", "64m", "--no-thp"}).code(), 0);
  drain();
  const auto steps = own_steps();
  ASSERT_EQ(steps.size(), 1U);  // the base line
  const auto peak = source_->probe().peak_bytes(steps.front().serial);
  ASSERT_TRUE(peak);
  const std::uint64_t truth = cgroup_->figures().peak_bytes.value();
  EXPECT_LE(*peak, truth);
  EXPECT_LT(truth - *peak, kMiB);
  EXPECT_FALSE(source_->probe().peak_bytes(~0ULL));
}

TEST_F(ProbeTest, AStepSaysWhoAndFromWhere) {
  open({});
  ASSERT_EQ(run({"anon", "16m", "--no-thp"}).code(), 0);
  drain();
  EXPECT_THAT(own_steps(),
              Contains(AllOf(Field(&StepEvent::foreign, false), Field(&StepEvent::user_stack, testing::SizeIs(Gt(0U))),
                             Field(&StepEvent::kernel_stack, testing::SizeIs(Gt(2U))),
                             testing::ResultOf([](const StepEvent& s) { return s.task.process.tgid; }, pid_),
                             testing::ResultOf([](const StepEvent& s) { return s.task.comm; }, "hog"))));
}

TEST_F(ProbeTest, HugePagesMakeStepsToo) {
  open({});
  ASSERT_EQ(run({"anon", "64m", "--thp"}).code(), 0);
  drain();
  const auto steps = own_steps();
  ASSERT_FALSE(steps.empty());
  EXPECT_GE(std::ranges::max(steps, {}, &StepEvent::usage_bytes).usage_bytes, 62 * kMiB);
}

TEST_F(ProbeTest, AVictimIsDescribedInFull) {
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  EXPECT_EQ(run({"anon", "64m", "--no-thp"}).code(), 128 + SIGKILL);
  drain();
  const auto victims = all<VictimEvent>([&](const VictimEvent& v) { return v.task.process.tgid == pid_; });
  ASSERT_FALSE(victims.empty());
  const VictimEvent& victim = victims.front();
  EXPECT_EQ(victim.task.comm, "hog");
  EXPECT_EQ(victim.task.cgroup_id, cgroup_->id());
  EXPECT_EQ(victim.trigger.process.tgid, pid_);
  EXPECT_GT(victim.anon_bytes, 28 * kMiB);
  EXPECT_LE(victim.anon_bytes, 32 * kMiB);
  EXPECT_GT(victim.pagetable_bytes, 0U);
  EXPECT_EQ(victim.memcg_oom, std::optional(true));
  ASSERT_GE(victim.chain.entries.size(), 2U);
  const MemcgState& own = victim.chain.entries.front();
  EXPECT_EQ(own.cgroup_id, cgroup_->id());
  EXPECT_EQ(own.limit_bytes, 32 * kMiB);
  EXPECT_GT(own.usage_bytes, 31 * kMiB);
  EXPECT_LE(own.usage_bytes, 32 * kMiB);
  EXPECT_GE(own.oom_events, 1U);
  EXPECT_EQ(cgroup_->path().substr(cgroup_->path().rfind('/') + 1), own.name);
  EXPECT_FALSE(victim.chain.entries.back().limit_bytes);
  EXPECT_EQ(victim.chain.total, victim.chain.entries.size());

  const auto started = all<ExecEvent>([&](const ExecEvent& e) { return e.task.process == victim.task.process; });
  ASSERT_EQ(started.size(), 1U);
  EXPECT_TRUE(started.front().cmdline.ends_with(std::string("anon\00064m\0--no-thp\0", 18)));
  EXPECT_THAT(all<KillEvent>(),
              Contains(AllOf(Field(&KillEvent::from_kernel, true),
                             testing::ResultOf([](const KillEvent& k) { return k.target.process.tgid; }, pid_))));
  EXPECT_THAT(all<ExitEvent>(),
              Contains(AllOf(Field(&ExitEvent::exit_code, SIGKILL),
                             testing::ResultOf([](const ExitEvent& e) { return e.task.process.tgid; }, pid_))));
}

// Names each process and gives each a program of its own: "first" starts "second", which starts "third".
const std::vector<std::string> kFamily = {"name", "first", "child", "exec",  "second", "name", "second",  "child",
                                          "exec", "third", "name",  "third", "anon",   "64m",  "--no-thp"};

TEST_F(ProbeTest, AVictimsParentsAreToldWhenAllAreGone) {
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  EXPECT_EQ(run(kFamily).code(), 0) << "the grandchild is killed, not the first";
  EXPECT_EQ(::kill(static_cast<pid_t>(pid_), 0), -1);
  drain();
  const auto victims = all<VictimEvent>([&](const VictimEvent& v) { return v.task.comm == "third"; });
  ASSERT_EQ(victims.size(), 1U);
  const VictimEvent& victim = victims.front();
  ASSERT_GE(victim.parents.size(), 2U);
  EXPECT_EQ(victim.parents[0].comm, "second");
  EXPECT_EQ(victim.parents[1].comm, "first");
  EXPECT_EQ(victim.parents[1].process.tgid, pid_);
  EXPECT_EQ(victim.parents[0].cgroup_id, cgroup_->id());
  EXPECT_EQ(victim.parents[1].cgroup_id, cgroup_->id());
  EXPECT_EQ(victim.parent_cgroup_id, cgroup_->id());
  // The tests' own ancestors follow, in order of their age.
  for (std::size_t i = 1; i < victim.parents.size(); ++i) {
    EXPECT_LE(victim.parents[i].process.start_ns, victim.parents[i - 1].process.start_ns);
  }
  if (victim.parents.size() > 2) {
    EXPECT_EQ(victim.parents[2].process.tgid, static_cast<std::uint32_t>(::getpid()));
  }
  ASSERT_TRUE(victim.init);
  EXPECT_EQ(victim.init->ns_tgid, 1U);
  EXPECT_EQ(victim.parents_end == ParentsEnd::kInit, victim.parents.back().process == victim.init->process);

  ProcessTable table(SystemRoot{});
  for (const ExecEvent& exec : all<ExecEvent>()) {
    table.started(exec);
  }
  EXPECT_EQ(table.exe(victim.parents[1].process), kHog);
  EXPECT_THAT(table.cmdline(victim.parents[1].process), testing::StartsWith(std::string(kHog) + " name first child"));
  EXPECT_EQ(table.cmdline(victim.parents[0].process),
            "second name second child exec third name third anon 64m --no-thp");
  EXPECT_EQ(table.cmdline(victim.task.process), "third name third anon 64m --no-thp");
}

TEST_F(ProbeTest, ParentsEndAtTheFirstProcessOfThePidNamespace) {
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  std::vector<std::string> family{"pidns"};
  family.insert(family.end(), kFamily.begin(), kFamily.end());
  EXPECT_EQ(run(family).code(), 0);
  drain();
  const auto victims = all<VictimEvent>([&](const VictimEvent& v) { return v.task.comm == "third"; });
  ASSERT_EQ(victims.size(), 1U);
  const VictimEvent& victim = victims.front();
  EXPECT_EQ(victim.task.ns_tgid, 3U);
  ASSERT_EQ(victim.parents.size(), 2U);
  EXPECT_EQ(victim.parents[0].comm, "second");
  EXPECT_EQ(victim.parents[0].ns_tgid, 2U);
  EXPECT_EQ(victim.parents[1].comm, "first");
  EXPECT_EQ(victim.parents[1].ns_tgid, 1U);
  EXPECT_NE(victim.parents[1].process.tgid, 1U);
  EXPECT_EQ(victim.parents_end, ParentsEnd::kInit);
  ASSERT_TRUE(victim.init);
  EXPECT_EQ(victim.init->process, victim.parents[1].process);
  EXPECT_EQ(victim.init->comm, "first");
}

TEST_F(ProbeTest, TheFirstProcessOfAPidNamespaceHasNoParentsInIt) {
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  EXPECT_EQ(run({"pidns", "anon", "64m", "--no-thp"}).code(), 0);
  drain();
  const auto victims = all<VictimEvent>([&](const VictimEvent& v) { return v.task.cgroup_id == cgroup_->id(); });
  ASSERT_EQ(victims.size(), 1U);
  EXPECT_EQ(victims[0].task.ns_tgid, 1U);
  EXPECT_TRUE(victims[0].parents.empty());
  EXPECT_EQ(victims[0].parents_end, ParentsEnd::kInit);
  EXPECT_EQ(victims[0].parent_cgroup_id, cgroup_->id());
  ASSERT_TRUE(victims[0].init);
  EXPECT_EQ(victims[0].init->process, victims[0].task.process);
}

TEST_F(ProbeTest, ALongChainIsCutAndSaysSo) {
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  std::vector<std::string> family{"pidns"};
  family.insert(family.end(), 12, "child");
  family.insert(family.end(), {"anon", "64m", "--no-thp"});
  EXPECT_EQ(run(family).code(), 0);
  drain();
  const auto victims = all<VictimEvent>([&](const VictimEvent& v) { return v.task.ns_tgid == 13; });
  ASSERT_EQ(victims.size(), 1U);
  ASSERT_EQ(victims[0].parents.size(), static_cast<std::size_t>(MEMCREST_PARENTS_LEN));
  EXPECT_EQ(victims[0].parents.front().ns_tgid, 12U);
  EXPECT_EQ(victims[0].parents.back().ns_tgid, 13U - MEMCREST_PARENTS_LEN);
  EXPECT_EQ(victims[0].parents_end, ParentsEnd::kUnknown);
  EXPECT_EQ(victims[0].init->ns_tgid, 1U);
}

TEST_F(ProbeTest, AnAncestorsLimitIsFollowedToo) {
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  const std::string child = cgroup_->dir() + "/child";
  if (cgroup_->version() == 2) {
    ASSERT_TRUE(write_file(cgroup_->dir() + "/cgroup.subtree_control", "+memory"));
  }
  ASSERT_EQ(::mkdir(child.c_str(), 0755), 0);
  struct stat info{};
  ASSERT_EQ(::stat(child.c_str(), &info), 0);
  auto hog = RunChild::spawn(child, cgroup_->version(), {kHog, "anon", "64m", "--no-thp"}, *signals_);
  ASSERT_TRUE(hog);
  ASSERT_TRUE(hog->wait_for(*signals_, 60s));
  EXPECT_EQ(hog->exit()->code(), 128 + SIGKILL);
  drain();
  EXPECT_THAT(own_steps(), Contains(Field(&StepEvent::ancestor, true)));
  const auto victims = all<VictimEvent>();
  ASSERT_FALSE(victims.empty());
  ASSERT_GE(victims.front().chain.entries.size(), 3U);
  EXPECT_EQ(victims.front().chain.entries[0].cgroup_id, info.st_ino);
  EXPECT_FALSE(victims.front().chain.entries[0].limit_bytes);
  EXPECT_EQ(victims.front().chain.entries[0].oom_events, 0U);
  EXPECT_EQ(victims.front().chain.entries[1].cgroup_id, cgroup_->id());
  EXPECT_GE(victims.front().chain.entries[1].oom_events, 1U);
  ::rmdir(child.c_str());
}

TEST_F(ProbeTest, CgroupsComeAndGoWithTheirPath) {
  open({});
  const std::string child = cgroup_->dir() + "/x";
  if (cgroup_->version() == 2) {
    ASSERT_TRUE(write_file(cgroup_->dir() + "/cgroup.subtree_control", "+memory"));
  }
  ASSERT_EQ(::mkdir(child.c_str(), 0755), 0);
  ASSERT_EQ(::rmdir(child.c_str()), 0);
  drain();
  const auto changes = all<CgroupEvent>([&](const CgroupEvent& e) { return e.path == cgroup_->path() + "/x"; });
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_TRUE(changes[0].created);
  EXPECT_EQ(changes[0].parent_id, cgroup_->id());
  EXPECT_FALSE(changes[1].created);
  EXPECT_EQ(changes[0].cgroup_id, changes[1].cgroup_id);
}

TEST_F(ProbeTest, ASigkillNamesItsSender) {
  open({});
  auto child = RunChild::spawn(cgroup_->dir(), cgroup_->version(), {kHog, "sleep", "60000"}, *signals_);
  ASSERT_TRUE(child);
  ::kill(child->pid(), SIGKILL);
  ASSERT_TRUE(child->wait_for(*signals_, 10s));
  drain();
  const auto kills = all<KillEvent>(
      [&](const KillEvent& k) { return k.target.process.tgid == static_cast<std::uint32_t>(child->pid()); });
  ASSERT_EQ(kills.size(), 1U);
  EXPECT_FALSE(kills[0].from_kernel);
  EXPECT_EQ(kills[0].sender.process.tgid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ(kills[0].target.cgroup_id, cgroup_->id());
}

// A ring of one page and a level per page (so a step per batch of 64): most cannot be kept. Nothing of that may touch
// the OOM's records.
TEST_F(ProbeTest, LossIsCountedAndSparesTheCriticalRing) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t batches = 32 * kMiB / (64 * page);
  LoadSettings settings;
  settings.step_bytes = page;
  settings.bulk_ring_bytes = page;
  settings.max_steps_per_window = 1U << 30U;
  open({.memory = 32 * kMiB, .swap = std::nullopt}, settings);
  EXPECT_EQ(run({"anon", "64m", "--no-thp"}).code(), 128 + SIGKILL);
  expect_counters_add_up();
  const RecordCounters counters = source_->probe().counters();
  EXPECT_GT(counters[MEMCREST_REC_STEP].dropped_full, batches * 3 / 4);
  EXPECT_EQ(counters[MEMCREST_REC_VICTIM].dropped_full, 0U);
  EXPECT_EQ(source_->loss().critical, 0U);
  EXPECT_GE(source_->loss().bulk, counters[MEMCREST_REC_STEP].dropped_full);
  drain();
  EXPECT_EQ(all<VictimEvent>([&](const VictimEvent& v) { return v.task.process.tgid == pid_; }).size(), 1U);
}

TEST_F(ProbeTest, TheRateLimitSaysSo) {
  LoadSettings settings;
  settings.step_bytes = 4096;
  settings.max_steps_per_window = 2;
  open({}, settings);
  ASSERT_EQ(run({"anon", "16m", "--no-thp"}).code(), 0);
  drain();
  expect_counters_add_up();
  EXPECT_GT(source_->loss().throttled, 20U);
  const auto throttles = all<ThrottleEvent>([&](const ThrottleEvent& t) { return t.cgroup_id == cgroup_->id(); });
  ASSERT_FALSE(throttles.empty());
  EXPECT_EQ(throttles.front().steps_per_window, 2U);
  // The next record after a gap carries how much is missing. A window later, so that it is not held back as well.
  std::this_thread::sleep_for(200ms);
  ASSERT_EQ(run({"anon", "1m", "--no-thp"}).code(), 0);
  drain();
  EXPECT_THAT(own_steps(), Contains(Field(&StepEvent::suppressed, Gt(0U))));
}

TEST_F(ProbeTest, ADisabledHookLowersTheTier) {
  wanted_.disabled = {
      "on_mod_memcg_state",     "on_mod_memcg_state_raw", "on_page_counter_try_charge",       "on_signal_generate",
      "on_signal_generate_raw", "on_mark_victim",         "on_page_counter_try_charge_kprobe"};
  open({.memory = 32 * kMiB, .swap = std::nullopt});
  EXPECT_EQ(features_.charge.name, "lru");
  EXPECT_FALSE(features_.oom.misses.empty());
  EXPECT_TRUE(features_.runs("on_mark_victim_raw"));  // stands in for the one that was taken away
  EXPECT_EQ(run({"anon", "64m", "--no-thp"}).code(), 128 + SIGKILL);
  drain();
  EXPECT_FALSE(own_steps().empty());
  EXPECT_EQ(all<VictimEvent>().size(), 1U);
  EXPECT_TRUE(all<KillEvent>().empty());
}

}  // namespace
}  // namespace memcrest
