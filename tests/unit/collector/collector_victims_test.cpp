// SPDX-License-Identifier: Apache-2.0
// Who a victim was: its command line, where it comes from, whether it was its container's main process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "collector/collector.h"
#include "support/collector_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class CollectorVictims : public CollectorFixture {};

RelativeInfo relative(std::uint32_t pid, std::uint32_t ns_pid, std::uint64_t cgroup_id, std::string comm) {
  return {{pid, pid * 1000ULL}, ns_pid, cgroup_id, std::move(comm)};
}

ExecEvent exec_of(const RelativeInfo& who, std::uint64_t time_ns, std::string cmdline) {
  ExecEvent out;
  out.time_ns = time_ns;
  out.task = task(who.process.tgid, who.comm, who.cgroup_id);
  out.cmdline = std::move(cmdline);
  return out;
}

TEST_F(CollectorVictims, AVictimSaysWhereItComesFrom) {
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  const RelativeInfo shell = relative(30, 12, web.id, "sh");
  const RelativeInfo init = relative(20, 1, web.id, "entrypoint.sh");
  tell(created(web, 1000_ms));
  tell(exec_of(init, 1001_ms, std::string("/bin/sh\0/entrypoint.sh\0", 23)));
  tell(exec_of(shell, 1002_ms, std::string("sh\0-c\0hog --password p\0", 23)));
  ExecEvent hog = exec(web, 1003_ms, std::string("hog\0--token\0t\0", 14));
  hog.exe = "/usr/bin/hog";
  tell(hog);
  VictimEvent victim = killed(web, 1170_ms);
  victim.task.ns_tgid = 13;
  victim.parents = {shell, init};
  victim.parents_end = ParentsEnd::kInit;
  victim.init = init;
  tell(victim);
  run_until(2300_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  const Victim& told = incidents_[0].victims.at(0);
  EXPECT_EQ(told.cmdline, "hog --token '***'");
  EXPECT_EQ(told.exe, "/usr/bin/hog");
  EXPECT_EQ(told.start_boot_ns, web.task.process.start_ns);
  EXPECT_EQ(told.start_unix_ns, FakeClock::kUnixOffset + static_cast<std::int64_t>(web.task.process.start_ns));
  ASSERT_THAT(told.parents, SizeIs(2));
  EXPECT_EQ(told.parents[0].pid, 30);
  EXPECT_EQ(told.parents[0].container_pid, 12);
  EXPECT_EQ(told.parents[0].comm, "sh");
  EXPECT_EQ(told.parents[0].cmdline, "sh -c 'hog --password ***'");
  EXPECT_EQ(told.parents[1].cmdline, "/bin/sh /entrypoint.sh");
  EXPECT_TRUE(told.parents_complete);
  EXPECT_FALSE(told.main_process);
  EXPECT_TRUE(told.main_process_known);
}

TEST_F(CollectorVictims, TheProgramAloneWhereThatIsAskedFor) {
  cmdlines_ = CmdlineDetail::kProgramOnly;
  const Box job = box("/job", 64_MiB);
  tell(created(job, 1000_ms));
  tell(exec(job, 1003_ms, std::string("hog\0anon\0", 9)));
  tell(killed(job, 1170_ms));
  run_until(2300_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].victims.at(0).cmdline, "hog [redacted]");
}

TEST_F(CollectorVictims, FromTheLogAloneNoStartIsKnown) {
  const Box job = box("/job", 64_MiB);
  VictimEvent victim = killed(job, 1100_ms);
  victim.task.process.start_ns = 0;
  tell(victim);
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].victims.at(0).start_boot_ns, 0);
  EXPECT_EQ(incidents_[0].victims.at(0).start_unix_ns, 0);
  EXPECT_THAT(incidents_[0].victims.at(0).parents, IsEmpty());
  EXPECT_FALSE(incidents_[0].victims.at(0).parents_complete);
}

// Whether a victim was the container's main process, by what is known of it.
class MainProcessTest : public CollectorFixture {
 protected:
  struct Told {
    bool main = false;
    bool known = false;
    bool gap = false;
  };
  // One with `init_pid` from Docker, or with nothing but its path.
  void container(std::optional<std::uint32_t> init_pid) {
    if (init_pid) {
      socket_ = dir_.path() + "/docker.sock";
      daemon_.emplace(socket_, [pid = *init_pid](FakeDaemon::Connection& c) {
        const std::string id = id_of('a');
        c.target().starts_with("/containers/json")
            ? c.answer(200, R"([{"Id":")" + id + R"(","Names":["/web"],"Image":"i","Labels":{}}])")
            : c.answer(200, R"({"Id":")" + id + R"(","Name":"/web","State":{"Pid":)" + std::to_string(pid) +
                                R"(},"Config":{"Image":"i"}})");
      });
    }
    web_ = box("/docker/" + id_of('a'), 64_MiB);
    tell(created(web_, 1000_ms));
    // The main process's pid comes with a second question, a moment later.
    for (int i = 0; i < 500 && init_pid && resolver_pid() != init_pid; ++i) {
      clock_.set(1001_ms);
      collector().turn(milliseconds(0));
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  std::optional<std::uint32_t> resolver_pid() {
    return resolver_ ? resolver_->find(web_.id).container.init_pid : std::nullopt;
  }
  Told judge(VictimEvent victim) {
    tell(std::move(victim));
    run_until(5000_ms);
    if (incidents_.size() != 1) {
      ADD_FAILURE() << incidents_.size() << " incidents";
      return {};
    }
    const Victim& one = incidents_[0].victims.at(0);
    return {one.main_process, one.main_process_known,
            std::ranges::any_of(incidents_[0].evidence.gaps,
                                [](const std::string& gap) { return gap.find("main process") != std::string::npos; })};
  }
  VictimEvent with_pid(std::uint32_t ns_pid) const {
    VictimEvent out = killed(web_, 1100_ms);
    out.task.ns_tgid = ns_pid;
    return out;
  }
  static void expect(const Told& told, bool main, bool known) {
    EXPECT_EQ(told.main, main);
    EXPECT_EQ(told.known, known);
    EXPECT_EQ(told.gap, !known);
  }
  Box web_;
};

TEST_F(MainProcessTest, PidOneWhoseParentIsOutside) {
  container(std::nullopt);
  const Box shim = box("/system.slice/containerd.service", std::nullopt, 9);
  VictimEvent victim = with_pid(1);
  victim.parent_cgroup_id = shim.id;
  expect(judge(victim), true, true);
}

TEST_F(MainProcessTest, PidOneOfANamespaceMadeInsideIsAChild) {
  container(std::nullopt);
  VictimEvent victim = with_pid(1);
  victim.parent_cgroup_id = web_.id;
  expect(judge(victim), false, true);
}

TEST_F(MainProcessTest, AnotherPidOfTheContainersOwnNamespace) {
  container(std::nullopt);
  VictimEvent victim = with_pid(7);
  victim.init = relative(20, 1, web_.id, "sh");
  expect(judge(victim), false, true);
}

TEST_F(MainProcessTest, TheFirstProcessMayLiveInACgroupBelow) {
  container(std::nullopt);
  const Box scope = box(web_.path + "/init.scope", std::nullopt, 20);
  tell(created(scope, 1001_ms));
  VictimEvent victim = with_pid(7);
  victim.init = relative(20, 1, scope.id, "systemd");
  expect(judge(victim), false, true);
}

TEST_F(MainProcessTest, InASharedNamespaceTheRuntimeKnows) {
  container(40);  // the victim
  VictimEvent victim = with_pid(40);
  victim.init = relative(1, 1, 1, "systemd");
  expect(judge(victim), true, true);
}

TEST_F(MainProcessTest, InASharedNamespaceTheRuntimeKnowsAChildToo) {
  container(41);
  const Box host = box("/init.scope", std::nullopt, 1);
  VictimEvent victim = with_pid(40);
  victim.init = relative(1, 1, host.id, "systemd");
  expect(judge(victim), false, true);
}

TEST_F(MainProcessTest, InASharedNamespaceNobodyElseKnows) {
  container(std::nullopt);
  const Box pause = box("/docker/" + id_of('b'), std::nullopt, 20);
  tell(created(pause, 1001_ms));
  VictimEvent victim = with_pid(7);
  victim.init = relative(20, 1, pause.id, "pause");
  expect(judge(victim), false, false);
}

TEST_F(MainProcessTest, WithoutAnyRecordOfItNobodyKnows) {
  container(std::nullopt);
  expect(judge(with_pid(0)), false, false);
}

}  // namespace
}  // namespace memcrest
