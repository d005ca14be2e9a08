// SPDX-License-Identifier: Apache-2.0
#include "incident/verdict_exit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "incident/verdict.h"
#include "support/event_builder.h"

namespace memcrest {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

Incident ended(std::uint32_t signal, const std::string& sender = "") {
  Incident out;
  out.kind = IncidentKind::kKill;
  out.container.runtime = Runtime::kDocker;
  out.container.id = "b5d635627bb8";
  out.usage_bytes = 12_MiB;
  out.limit.bytes = 128_MiB;
  out.end = ProcessEnd{.signal = signal, .pid = 100, .container_pid = 1, .comm = "web", .main_process = true};
  if (!sender.empty()) {
    out.end->sender = Sender{.pid = 7, .uid = 1000, .comm = sender, .known = true};
  }
  return out;
}

Verdict verdict_of(Incident incident) {
  conclude(incident);
  EXPECT_TRUE(incident.verdict);
  return incident.verdict.value_or(Verdict{});
}

Cause cause_of(const Incident& incident) { return verdict_of(incident).causes.at(0).cause; }

TEST(VerdictExit, TheRuntimeStoppedItAfterItsGracePeriod) {
  Incident incident = ended(SIGKILL, "runc");
  incident.end->asked = AskedToEnd{SIGTERM, 10'010, incident.end->sender};
  const Verdict verdict = verdict_of(incident);
  EXPECT_EQ(verdict.causes[0].cause, Cause::kStoppedByRuntime);
  EXPECT_GE(verdict.causes[0].confidence, 0.8);
  EXPECT_THAT(verdict.text, HasSubstr("SIGTERM came 10.0 s before, and SIGKILL when it had not ended by then"));
  EXPECT_THAT(verdict.text, HasSubstr("docker stop"));
  EXPECT_THAT(verdict.causes[0].reasons_for, Contains("no limit was hit: 12.0 MiB of 128 MiB were in use"));
  conclude(incident);
  ASSERT_TRUE(incident.advice);
  EXPECT_THAT(incident.advice->text, HasSubstr("stop_grace_period"));
  EXPECT_TRUE(incident.advice->lines.empty()) << "no limit helps";
}

TEST(VerdictExit, OrWithoutAsking) {
  EXPECT_THAT(verdict_of(ended(SIGKILL, "crun")).text, HasSubstr("without asking first, as docker kill"));
  Incident pod = ended(SIGKILL, "runc");
  pod.container.pod = Pod{};
  EXPECT_THAT(verdict_of(pod).text, HasSubstr("its pod was deleted by force or evicted"));
}

// With hostPID, or a pid namespace that containers share: who asks it is not seen.
TEST(VerdictExit, WhetherItWasAskedIsNotClaimedWhereItIsNotSeen) {
  for (const char* sender : {"runc", "systemd"}) {
    Incident incident = ended(SIGKILL, sender);
    incident.end->sender->pid = 1;
    incident.end->container_pid = 4711;
    const std::string text = verdict_of(incident).text;
    EXPECT_THAT(text, HasSubstr("whether it was asked to end before that (SIGTERM) is not seen"));
    EXPECT_THAT(text, Not(HasSubstr("without asking")));
    incident.end->asked = AskedToEnd{SIGTERM, 10'010, incident.end->sender};
    EXPECT_THAT(verdict_of(incident).text, HasSubstr("SIGTERM came 10.0 s before")) << "it was seen all the same";
  }
}

// Who asks the runtime for it, and why, only the pod's events tell.
TEST(VerdictExit, APodWhoseGracePeriodWasOver) {
  Incident pod = ended(SIGKILL, "runc");
  pod.container.pod = Pod{.name = "cart-0", .name_space = "shop"};
  pod.end->asked = AskedToEnd{SIGTERM, 30'010, pod.end->sender};
  conclude(pod);
  ASSERT_TRUE(pod.verdict && pod.advice);
  EXPECT_THAT(pod.verdict->text, HasSubstr("SIGTERM came 30.0 s before"));
  EXPECT_THAT(pod.verdict->text, HasSubstr("its grace period (terminationGracePeriodSeconds) being over"));
  EXPECT_THAT(pod.advice->text, HasSubstr("kubectl describe pod cart-0 -n shop shows"));
  EXPECT_THAT(pod.advice->text, HasSubstr("\"Liveness probe failed\""));
  pod.container.pod->name = "x; reboot";
  conclude(pod);
  EXPECT_THAT(pod.advice->text, HasSubstr("kubectl describe pod POD -n NAMESPACE shows"));
}

TEST(VerdictExit, AUnitWhoseStopTimeoutWasOver) {
  Incident incident = ended(SIGKILL, "systemd");
  incident.end->sender->pid = 1;
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("systemd killed it without asking it first"));
  incident.end->asked = AskedToEnd{SIGTERM, 90'000, Sender{.pid = 8, .comm = "bash", .known = true}};
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("without asking")) << "somebody else asked";
  incident.end->asked->sender = incident.end->sender;
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("1 min 30 s before, and SIGKILL when it had not ended by then"));
}

// Debian's earlyoom and systemd-oomd are no root.
TEST(VerdictExit, AKillerOfUserSpaceIsRootOrAServiceOfTheSystem) {
  Incident incident = ended(SIGKILL, "earlyoom");
  EXPECT_EQ(cause_of(incident), Cause::kKilledFromHost) << "somebody's";
  incident.end->sender->unit = "earlyoom.service";
  incident.end->sender->cgroup_path = "/user.slice/user-1000.slice/user@1000.service/app.slice/earlyoom.service";
  EXPECT_EQ(cause_of(incident), Cause::kKilledFromHost) << "anybody can have a unit of that name";
  incident.end->sender->cgroup_path = "/system.slice/foo.service/earlyoom.service";
  EXPECT_EQ(cause_of(incident), Cause::kKilledFromHost) << "or make one below its service";
  incident.end->sender->cgroup_path = "/system.slice/earlyoom.service";
  EXPECT_EQ(cause_of(incident), Cause::kEarlyOomKiller);
}

TEST(VerdictExit, AKillerOfUserSpaceAsksFirst) {
  Incident incident = ended(SIGTERM, "earlyoom");
  incident.end->sender->uid = 0;
  EXPECT_EQ(cause_of(incident), Cause::kEarlyOomKiller);
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("earlyoom[7], uid 0 asked it to end (SIGTERM), and it ended."));
  incident.end->signal = SIGKILL;
  incident.end->asked = AskedToEnd{SIGTERM, 2500, incident.end->sender};
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("SIGTERM came 2.50 s before, and SIGKILL when it was still there"));
}

TEST(VerdictExit, WhoElseSendsSigkill) {
  for (const char* name : {"systemd-oomd", "earlyoom", "oomd", "nohang"}) {
    Incident incident = ended(SIGKILL, name);
    incident.end->sender->uid = 0;
    EXPECT_EQ(cause_of(incident), Cause::kEarlyOomKiller) << name;
  }
  EXPECT_EQ(cause_of(ended(SIGKILL, "bash")), Cause::kKilledFromHost);
  EXPECT_EQ(cause_of(ended(SIGKILL, "systemd")), Cause::kKilledFromHost) << "not pid 1: a user's";
  Incident incident = ended(SIGKILL, "systemd");
  incident.end->sender->pid = 1;
  EXPECT_EQ(cause_of(incident), Cause::kStoppedByServiceManager);
  incident = ended(SIGKILL, "x");
  incident.end->by_kernel = true;
  EXPECT_EQ(cause_of(incident), Cause::kKilledByKernel);
  EXPECT_EQ(cause_of(ended(SIGKILL)), Cause::kUnknown);
  EXPECT_LT(verdict_of(ended(SIGKILL)).causes[0].confidence, 0.5);
}

// A process in a container can call itself what it likes.
TEST(VerdictExit, NamesCountOutsideOfContainersAlone) {
  for (const char* name : {"runc", "dockerd", "systemd-oomd", "earlyoom"}) {
    Incident incident = ended(SIGKILL, name);
    incident.end->sender->container_id = "other";
    EXPECT_EQ(cause_of(incident), Cause::kKilledFromHost) << name;
    incident.end->sender->same_container = true;
    EXPECT_EQ(cause_of(incident), Cause::kKilledWithin) << name;
  }
}

TEST(VerdictExit, WhereNobodyKnowsWhoseItIsNothingIsCertain) {
  Incident incident = ended(SIGKILL, "runc");
  incident.end->sender->known = false;
  EXPECT_EQ(cause_of(incident), Cause::kUnknown);
  EXPECT_LT(verdict_of(incident).causes[0].confidence, 0.5);
  incident = ended(SIGKILL, "x");
  incident.end->by_kernel = true;
  incident.evidence.lost_critical = 1;
  EXPECT_EQ(cause_of(incident), Cause::kUnknown) << "the victim's record may be what was lost";
}

TEST(VerdictExit, AThreadDumpAskedForNothing) {
  Incident incident = ended(SIGKILL, "runc");
  incident.end->asked = AskedToEnd{SIGQUIT, 1'800'000, Sender{.pid = 8, .comm = "bash", .known = true}};
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("without asking first"));
}

TEST(VerdictExit, WhatIsNoAlarm) {
  Incident incident = ended(SIGKILL, "runc");
  conclude(incident);
  EXPECT_TRUE(is_no_alarm(incident));
  incident.container.pod = Pod{};
  conclude(incident);
  EXPECT_FALSE(is_no_alarm(incident)) << "an eviction, perhaps";
  incident = ended(SIGKILL, "web");
  incident.end->sender->same_container = true;
  incident.end->main_process = false;
  conclude(incident);
  EXPECT_TRUE(is_no_alarm(incident));
  incident = ended(SIGKILL, "bash");
  conclude(incident);
  EXPECT_FALSE(is_no_alarm(incident));
  EXPECT_FALSE(is_no_alarm(Incident{}));
}

TEST(VerdictExit, TheLimitOfACgroupAboveIsNotComparedWithItsOwnUsage) {
  Incident incident = ended(SIGKILL, "bash");
  incident.cgroup.path = "/pod/a";
  incident.limit.cgroup_path = "/pod";
  EXPECT_THAT(verdict_of(incident).causes[0].reasons_against, Contains(HasSubstr("the limit of a cgroup above")));
}

TEST(VerdictExit, ItselfAndItsNeighbours) {
  Incident incident = ended(SIGKILL, "web");
  incident.end->sender->same_container = true;
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("web[7], uid 1000, of the same container"));
  incident.end->sender->pid = incident.end->pid;
  EXPECT_THAT(verdict_of(incident).text, HasSubstr("It killed itself"));
}

TEST(VerdictExit, CrashesAreNoOom) {
  EXPECT_EQ(cause_of(ended(SIGSEGV)), Cause::kCrashed);
  EXPECT_THAT(verdict_of(ended(SIGSEGV)).text, HasSubstr("A cgroup's limit does not send this signal"));
  EXPECT_EQ(cause_of(ended(SIGABRT)), Cause::kAborted);
  EXPECT_THAT(verdict_of(ended(SIGBUS)).text, HasSubstr("a full tmpfs"));
  EXPECT_EQ(cause_of(ended(77)), Cause::kCrashed) << "any number may be recorded";
}

TEST(VerdictExit, WhatContradictsIsNamed) {
  Incident incident = ended(SIGKILL, "bash");
  incident.usage_bytes = 127_MiB;
  EXPECT_THAT(verdict_of(incident).causes[0].reasons_against, Contains(HasSubstr("close to the limit")));
  incident.usage_bytes.reset();
  EXPECT_THAT(verdict_of(incident).causes[0].reasons_against, Contains("how much memory was in use is not known"));
  incident.unix_ns = 1000;
  incident.container.state = RuntimeState{.oom_killed = true, .finished_unix_ns = 2000};
  EXPECT_THAT(verdict_of(incident).causes[0].reasons_against, Contains(HasSubstr("OOMKilled true")));
  incident.evidence.lost_bulk = 1;
  EXPECT_THAT(verdict_of(incident).causes[0].reasons_against, Contains("records were lost"));
  EXPECT_LT(verdict_of(incident).causes[0].confidence, 0.85);
}

TEST(VerdictExit, ACauseWithoutItsEndSaysNothing) {
  Incident incident;
  EXPECT_EQ(end_sentence(incident, Cause::kCrashed), "");
  EXPECT_THAT(end_sentence(ended(SIGKILL), Cause::kUnknown), HasSubstr("No record shows the OOM killer"));
}

}  // namespace
}  // namespace memcrest
