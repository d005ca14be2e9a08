// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_cache.h"

#include <gmock/gmock.h>

#include <thread>

namespace memcrest {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using TimePoint = KubernetesCache::TimePoint;

const TimePoint kStart = TimePoint(std::chrono::hours(1));
constexpr const char* kHash = "d41d8cd98f00b204e9800998ecf8427e";

std::string id_of(char digit) { return std::string(64, digit); }

KubernetesContainer container(const std::string& name, const std::string& id) {
  KubernetesContainer out{.name = name, .image = name + ":1", .runtime = Runtime::kContainerd, .id = id};
  out.memory_limit_bytes = 1U << 20U;
  out.state = {.status = "running", .restart_count = 0};
  return out;
}

KubernetesPod pod(const std::string& uid, std::vector<KubernetesContainer> containers = {}) {
  KubernetesPod out;
  out.pod = {.uid = uid, .name = "pod-" + uid, .name_space = "ns", .labels = {{"app", uid}}};
  out.containers = std::move(containers);
  return out;
}

std::string name_of(const KubernetesCache& cache, const std::string& id, const std::string& uid) {
  const auto found = cache.find(id, uid);
  return !found ? "nothing" : found->pod->name + "/" + found->name;
}

TEST(KubernetesCache, ByContainerAndByPod) {
  KubernetesCache cache;
  cache.put(pod("u1", {container("web", id_of('1')), container("db", id_of('2'))}), kStart);
  const auto found = cache.find(id_of('2'), "u1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "db");
  EXPECT_EQ(found->id, id_of('2'));
  EXPECT_EQ(found->image, "db:1");
  EXPECT_EQ(found->runtime, Runtime::kContainerd);
  EXPECT_EQ(found->memory_limit_bytes, 1U << 20U);
  EXPECT_EQ(found->state->restart_count, 0U);
  EXPECT_EQ(found->pod->labels.at("app"), "u1");
  EXPECT_EQ(name_of(cache, id_of('1'), ""), "pod-u1/web");
  EXPECT_EQ(name_of(cache, id_of('9'), "u1"), "pod-u1/") << "of the pod it is, more is not known";
  EXPECT_EQ(name_of(cache, id_of('9'), "u2"), "nothing");
  EXPECT_EQ(name_of(cache, id_of('9'), ""), "nothing");
}

TEST(KubernetesCache, AContainerOfAnotherPodIsNotTold) {
  KubernetesCache cache;
  cache.put(pod("u1", {container("web", id_of('1'))}), kStart);
  EXPECT_EQ(name_of(cache, id_of('1'), "u2"), "nothing");
  cache.put(pod("u2", {container("thief", id_of('1'))}), kStart);
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/web");
  EXPECT_EQ(name_of(cache, id_of('1'), "u2"), "nothing");
  cache.remove("u2", kStart);
  cache.put(pod("u3"), kStart + minutes(11));  // prunes u2
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/web");
}

TEST(KubernetesCache, StaticPodsByTheirHash) {
  KubernetesCache cache;
  KubernetesPod mirror = pod("u1", {container("proxy", id_of('1'))});
  mirror.config_hash = kHash;
  cache.put(mirror, kStart);
  EXPECT_EQ(name_of(cache, id_of('1'), kHash), "pod-u1/proxy");
  EXPECT_EQ(name_of(cache, id_of('9'), kHash), "pod-u1/");

  KubernetesPod thief = pod("u2");
  thief.config_hash = kHash;
  cache.put(thief, kStart);
  EXPECT_EQ(name_of(cache, id_of('9'), kHash), "pod-u1/") << "who was there first keeps it";

  cache.remove("u1", kStart);  // the kubelet makes the mirror anew
  mirror.pod.uid = "u3";
  mirror.pod.name = "pod-u3";
  mirror.containers = {container("proxy", id_of('3'))};
  cache.put(mirror, kStart);
  EXPECT_EQ(name_of(cache, id_of('9'), kHash), "pod-u3/");
  EXPECT_EQ(name_of(cache, id_of('1'), kHash), "pod-u1/proxy") << "a tombstone";
  mirror.config_hash.clear();
  cache.put(mirror, kStart);
  EXPECT_EQ(name_of(cache, id_of('9'), kHash), "nothing");
}

TEST(KubernetesCache, RestartedContainersKeepTheirNames) {
  KubernetesCache cache;
  cache.put(pod("u1", {container("web", id_of('1'))}), kStart);
  KubernetesContainer second = container("web", id_of('2'));
  second.image = "web:2";
  second.state = {.status = "running", .exit_code = 137, .reason = "OOMKilled", .restart_count = 1};
  second.previous_id = id_of('1');
  second.previous_state = {.status = "terminated", .exit_code = 137, .reason = "OOMKilled", .restart_count = 1};
  cache.put(pod("u1", {second}), kStart + seconds(10));
  auto first = cache.find(id_of('1'), "u1");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name, "web");
  EXPECT_EQ(first->image, "web:1") << "as it was then";
  EXPECT_EQ(first->state->status, "terminated");
  EXPECT_EQ(first->state->reason, "OOMKilled");
  EXPECT_EQ(cache.find(id_of('2'), "u1")->image, "web:2");
  EXPECT_EQ(cache.find(id_of('2'), "u1")->state->status, "running");

  cache.put(pod("u1", {container("web", id_of('3'))}), kStart + seconds(20));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/web");
  EXPECT_EQ(name_of(cache, id_of('2'), "u1"), "pod-u1/web");
  cache.put(pod("u1", {container("web", id_of('3'))}), kStart + minutes(11));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/") << "too long ago";
  EXPECT_EQ(name_of(cache, id_of('3'), "u1"), "pod-u1/web");
}

TEST(KubernetesCache, APreviousOneThatWasNeverSeenHasNoImage) {
  KubernetesCache cache;
  KubernetesContainer current = container("web", id_of('2'));
  current.previous_id = id_of('1');
  current.previous_state = {.status = "terminated", .exit_code = 1};
  cache.put(pod("u1", {current}), kStart);
  const auto found = cache.find(id_of('1'), "u1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "web");
  EXPECT_EQ(found->image, "");
  EXPECT_EQ(found->memory_limit_bytes, std::nullopt);
  EXPECT_EQ(found->state->exit_code, 1);
}

TEST(KubernetesCache, ACrashLoopIsBounded) {
  KubernetesCache cache({.past_containers = 4});
  std::size_t bytes = 0;
  for (int i = 0; i < 100; ++i) {
    std::string id = std::to_string(1000 + i) + std::string(60, 'a');
    cache.put(pod("u1", {container("web", id)}), kStart + seconds(i));
    if (i == 10) {
      bytes = cache.state().bytes;
    }
  }
  EXPECT_EQ(cache.state().bytes, bytes);
  EXPECT_EQ(name_of(cache, "1099" + std::string(60, 'a'), "u1"), "pod-u1/web");
  EXPECT_EQ(name_of(cache, "1095" + std::string(60, 'a'), "u1"), "pod-u1/web");
  EXPECT_EQ(name_of(cache, "1094" + std::string(60, 'a'), "u1"), "pod-u1/");
}

TEST(KubernetesCache, TombstonesForTheirTime) {
  KubernetesCache cache;
  cache.put(pod("u1", {container("web", id_of('1'))}), kStart);
  cache.remove("u1", kStart + seconds(1));
  cache.remove("unheard of", kStart + seconds(1));
  cache.put(pod("u2"), kStart + minutes(10));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/web");
  cache.put(pod("u2"), kStart + minutes(10) + seconds(2));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "nothing");
  EXPECT_EQ(cache.state().pods, 1U);
}

TEST(KubernetesCache, AListSaysWhatHasGone) {
  KubernetesCache cache;
  EXPECT_FALSE(cache.state().listed);
  cache.begin_list();
  cache.put(pod("u1", {container("web", id_of('1'))}), kStart);
  cache.put(pod("u2", {container("db", id_of('2'))}), kStart);
  cache.end_list(kStart);
  EXPECT_TRUE(cache.state().listed);
  cache.begin_list();
  cache.put(pod("u2", {container("db", id_of('2'))}), kStart + minutes(1));
  // Cut off here: nothing is known to be gone.
  cache.put(pod("u3"), kStart + minutes(20));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/web");
  cache.begin_list();
  cache.put(pod("u2", {container("db", id_of('2'))}), kStart + minutes(20));
  cache.end_list(kStart + minutes(20));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "pod-u1/web");
  cache.put(pod("u2", {container("db", id_of('2'))}), kStart + minutes(31));
  EXPECT_EQ(name_of(cache, id_of('1'), "u1"), "nothing");
  EXPECT_EQ(name_of(cache, id_of('2'), "u2"), "pod-u2/db");
}

TEST(KubernetesCache, BoundedInPods) {
  KubernetesCache cache({.pods = 10});
  for (int i = 0; i < 10; ++i) {
    cache.put(pod("u" + std::to_string(i)), kStart);
  }
  cache.put(pod("late"), kStart);
  EXPECT_EQ(cache.state().pods, 10U);
  EXPECT_EQ(cache.state().left_out, 1U);
  EXPECT_EQ(name_of(cache, "", "late"), "nothing");
  cache.remove("u3", kStart + seconds(1));
  cache.remove("u5", kStart + seconds(2));
  cache.put(pod("late"), kStart + seconds(3));
  EXPECT_EQ(name_of(cache, "", "late"), "pod-late/");
  EXPECT_EQ(name_of(cache, "", "u3"), "nothing") << "the oldest tombstone makes room";
  EXPECT_EQ(name_of(cache, "", "u5"), "pod-u5/");
}

TEST(KubernetesCache, BoundedInBytes) {
  KubernetesCache cache({.bytes = 200'000});
  for (int i = 0; i < 100; ++i) {
    KubernetesPod big = pod("u" + std::to_string(i));
    big.pod.labels["long"] = std::string(10'000, 'x');
    cache.put(big, kStart);
    EXPECT_LE(cache.state().bytes, 200'000U);
  }
  EXPECT_GT(cache.state().left_out, 70U);
  EXPECT_GT(cache.state().pods, 10U);
  for (int i = 0; i < 100; ++i) {
    cache.remove("u" + std::to_string(i), kStart);
  }
  cache.put(pod("last"), kStart + minutes(11));
  EXPECT_EQ(cache.state().pods, 1U);
  EXPECT_LT(cache.state().bytes, 2000U);
}

TEST(KubernetesCache, WaitsForAChange) {
  KubernetesCache cache;
  const std::uint64_t seen = cache.changes();
  const auto now = std::chrono::steady_clock::now();
  EXPECT_FALSE(cache.wait_for_change(seen, now + std::chrono::milliseconds(20), {}));
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cache.put(pod("u1"), kStart);
  });
  EXPECT_TRUE(cache.wait_for_change(seen, now + seconds(30), {}));
  later.join();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(cache.wait_for_change(cache.changes(), now + seconds(30), stop.get_token()));
  cache.set_unavailable("it broke");
  EXPECT_EQ(cache.state().why_not, "it broke");
  cache.set_available();
  EXPECT_TRUE(cache.state().available);
}

}  // namespace
}  // namespace memcrest
