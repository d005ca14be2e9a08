// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_json.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <nlohmann/json.hpp>

#include "identity/kubernetes_pod_reader.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::string id_of(char digit) { return std::string(64, digit); }

json sample() { return json::parse(*read_file(MEMCREST_TEST_DATA "/pod_list.json")); }

struct Read {
  Result<PodList> list;
  std::vector<KubernetesPod> pods;
};

Read read_list(const std::string& text) {
  std::string_view rest = text;
  JsonStream stream(
      [&] {
        const std::string_view piece = rest.substr(0, 1000);
        rest.remove_prefix(piece.size());
        return piece;
      },
      JsonStream::End::kOfStream, std::size_t{1} << 30U);
  Read out{.list = PodList{}, .pods = {}};
  out.list = read_pod_list(stream, [&](KubernetesPod pod) { out.pods.push_back(std::move(pod)); });
  return out;
}

Result<PodEvent> read_event(const json& event) {
  std::string text = event.dump() + "\n";
  std::string_view rest = text;
  JsonStream stream([&] { return std::exchange(rest, {}); }, JsonStream::End::kOfLine, std::size_t{1} << 24U);
  return stream.more() ? read_pod_event(stream) : fail("", "", 0);
}

const KubernetesContainer& container(const KubernetesPod& pod, std::string_view name) {
  const auto found = std::ranges::find(pod.containers, name, &KubernetesContainer::name);
  if (found == pod.containers.end()) {
    throw std::runtime_error("no container " + std::string(name));
  }
  return *found;
}

TEST(PodList, APodOfADeployment) {
  const Read read = read_list(sample().dump());
  ASSERT_TRUE(read.list) << read.list.error().message();
  EXPECT_EQ(read.list->resource_version, "104823");
  EXPECT_EQ(read.list->continue_token, "");
  ASSERT_THAT(read.pods, SizeIs(3));
  const KubernetesPod& web = read.pods[0];
  EXPECT_EQ(web.pod.uid, "0c1f2b44-51c5-4d0c-9a8e-2f7d6f1f6a01");
  EXPECT_EQ(web.pod.name, "web-6d4b75cb6d-hx7kq");
  EXPECT_EQ(web.pod.name_space, "shop");
  EXPECT_EQ(web.pod.qos, "burstable");
  EXPECT_EQ(web.node, "node-a");
  EXPECT_EQ(web.config_hash, "");
  EXPECT_THAT(web.pod.labels,
              UnorderedElementsAre(Pair("app", "web"), Pair("pod-template-hash", "6d4b75cb6d"), Pair("tier", "front")));
  ASSERT_TRUE(web.pod.owner);
  EXPECT_EQ(web.pod.owner->kind, "Deployment");
  EXPECT_EQ(web.pod.owner->name, "web");
  ASSERT_THAT(web.containers, SizeIs(4));

  const KubernetesContainer& app = container(web, "web");
  EXPECT_EQ(app.runtime, Runtime::kContainerd);
  EXPECT_EQ(app.id, id_of('4'));
  EXPECT_EQ(app.image, "registry.example.com/shop/web:1.4.2");
  EXPECT_EQ(app.memory_limit_bytes, 512U << 20U);
  EXPECT_EQ(app.memory_request_bytes, 256U << 20U);
  EXPECT_EQ(app.state.status, "running");
  EXPECT_EQ(app.state.restart_count, 3U);
  EXPECT_EQ(app.state.reason, "OOMKilled") << "how the one before ended";
  EXPECT_EQ(app.state.exit_code, 137);
  EXPECT_EQ(app.previous_id, id_of('2'));
  EXPECT_EQ(app.previous_state.status, "terminated");
  EXPECT_EQ(app.previous_state.exit_code, 137);

  const KubernetesContainer& proxy = container(web, "proxy");
  EXPECT_EQ(proxy.image, "registry.example.com/mesh/proxy:2") << "the status has only a digest";
  EXPECT_EQ(proxy.memory_limit_bytes, std::nullopt);
  EXPECT_EQ(proxy.memory_request_bytes, 100'000'000U);
  EXPECT_EQ(proxy.state.exit_code, std::nullopt);
  EXPECT_EQ(proxy.state.reason, "");
  EXPECT_EQ(proxy.previous_id, "");

  const KubernetesContainer& init = container(web, "migrate");
  EXPECT_EQ(init.id, id_of('1'));
  EXPECT_EQ(init.state.status, "terminated");
  EXPECT_EQ(init.state.exit_code, 0);
  EXPECT_EQ(init.state.reason, "Completed");
  EXPECT_EQ(init.memory_limit_bytes, 64U << 20U);
  EXPECT_EQ(container(web, "debugger-9x8zq").id, id_of('5'));
}

TEST(PodList, AStaticPodAndAJob) {
  const Read read = read_list(sample().dump());
  ASSERT_THAT(read.pods, SizeIs(3));
  const KubernetesPod& proxy = read.pods[1];
  EXPECT_EQ(proxy.config_hash, "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(proxy.pod.qos, "besteffort");
  EXPECT_EQ(proxy.pod.owner->kind, "Node");
  const KubernetesContainer& looping = container(proxy, "kube-proxy");
  EXPECT_EQ(looping.runtime, Runtime::kCrio);
  EXPECT_EQ(looping.id, id_of('6'));
  EXPECT_EQ(looping.previous_id, "") << "the dead one is still the current one";
  EXPECT_EQ(looping.state.status, "waiting");
  EXPECT_EQ(looping.state.reason, "Error");
  EXPECT_EQ(looping.state.exit_code, 2);

  const KubernetesPod& job = read.pods[2];
  EXPECT_EQ(job.pod.owner->kind, "Job") << "that a CronJob made it is not certain";
  EXPECT_EQ(job.pod.owner->name, "report-28512345");
  EXPECT_EQ(container(job, "report").id, "");
  EXPECT_EQ(container(job, "report").runtime, Runtime::kUnknown);
}

TEST(PodList, Owner) {
  using Labels = std::map<std::string, std::string>;
  const Labels hash = {{"pod-template-hash", "abc"}};
  const auto text = [](const Owner& owner) { return owner.kind + "/" + owner.name; };
  EXPECT_EQ(text(owner_of("ReplicaSet", "web-abc", hash)), "Deployment/web");
  EXPECT_EQ(text(owner_of("ReplicaSet", "web-abc", {})), "ReplicaSet/web-abc");
  EXPECT_EQ(text(owner_of("ReplicaSet", "web-abd", hash)), "ReplicaSet/web-abd");
  EXPECT_EQ(text(owner_of("ReplicaSet", "webabc", hash)), "ReplicaSet/webabc");
  EXPECT_EQ(text(owner_of("ReplicaSet", "-abc", hash)), "ReplicaSet/-abc");
  EXPECT_EQ(text(owner_of("ReplicaSet", "web-", {{"pod-template-hash", ""}})), "ReplicaSet/web-");
  EXPECT_EQ(text(owner_of("StatefulSet", "db-abc", hash)), "StatefulSet/db-abc");
}

TEST(PodList, OnlyTheControllerOwns) {
  json list = sample();
  json& references = list["items"][0]["metadata"]["ownerReferences"];
  references.push_back({{"kind", "Custom"}, {"name", "x"}});
  references.push_back({{"kind", "Custom"}, {"name", "y"}, {"controller", false}});
  references.push_back({{"kind", "Custom"}, {"name", "z"}, {"controller", "true"}});
  EXPECT_EQ(read_list(list.dump()).pods[0].pod.owner->kind, "Deployment");
  references.erase(0);
  EXPECT_FALSE(read_list(list.dump()).pods[0].pod.owner);
}

TEST(PodList, ResourcesInForceCountMoreThanTheSpec) {
  json list = sample();
  list["items"][0]["status"]["containerStatuses"][1]["resources"] = {{"limits", {{"memory", "1Gi"}, {"cpu", "2"}}},
                                                                     {"requests", {{"memory", "300Mi"}}}};
  const Read read = read_list(list.dump());
  EXPECT_EQ(container(read.pods[0], "web").memory_limit_bytes, 1U << 30U);
  EXPECT_EQ(container(read.pods[0], "web").memory_request_bytes, 300U << 20U);
}

TEST(PodList, OrderOfKeysDoesNotMatter) {
  const json list = sample();
  std::string text = R"({"items":[{"status":)" + list["items"][0]["status"].dump() + R"(,"spec":)" +
                     list["items"][0]["spec"].dump() + R"(,"metadata":)" + list["items"][0]["metadata"].dump() +
                     R"(}],"metadata":{"continue":"next","resourceVersion":"7"},"kind":"PodList"})";
  const Read read = read_list(text);
  ASSERT_TRUE(read.list);
  EXPECT_EQ(read.list->continue_token, "next");
  ASSERT_THAT(read.pods, SizeIs(1));
  EXPECT_EQ(read.pods[0].pod.owner->kind, "Deployment");
  EXPECT_EQ(container(read.pods[0], "web").memory_limit_bytes, 512U << 20U);
}

TEST(PodList, WrongTypesAreAsIfAbsent) {
  json list = sample();
  json& pod = list["items"][0];
  pod["metadata"]["labels"] = {{"good", "yes"}, {"number", 1}, {"list", {"x"}}, {"nested", {{"deep", "no"}}}};
  pod["metadata"]["ownerReferences"] = "web";
  pod["spec"]["nodeName"] = {"node-a"};
  pod["spec"]["containers"] = 7;
  json& status = pod["status"]["containerStatuses"][1];
  status["restartCount"] = -1;
  status["containerID"] = "containerd://" + std::string(63, '4');
  status["lastState"]["terminated"]["exitCode"] = 1e300;
  status["image"] = nullptr;
  const Read read = read_list(list.dump());
  ASSERT_TRUE(read.list) << read.list.error().message();
  EXPECT_THAT(read.pods[0].pod.labels, UnorderedElementsAre(Pair("good", "yes")));
  EXPECT_FALSE(read.pods[0].pod.owner);
  EXPECT_EQ(read.pods[0].node, "");
  const KubernetesContainer& web = container(read.pods[0], "web");
  EXPECT_EQ(web.id, "");
  EXPECT_EQ(web.image, "");
  EXPECT_EQ(web.state.restart_count, std::nullopt);
  EXPECT_EQ(web.state.exit_code, std::nullopt);
  EXPECT_EQ(web.memory_limit_bytes, std::nullopt);
}

TEST(PodList, UnknownRuntimesAndIds) {
  const auto runtime_of = [](const std::string& text) {
    json list = sample();
    list["items"][0]["status"]["containerStatuses"][1]["containerID"] = text;
    const Read read = read_list(list.dump());
    return std::pair(container(read.pods[0], "web").runtime, container(read.pods[0], "web").id);
  };
  EXPECT_EQ(runtime_of("docker://" + id_of('a')), std::pair(Runtime::kDocker, id_of('a')));
  EXPECT_EQ(runtime_of("other://" + id_of('a')), std::pair(Runtime::kUnknown, id_of('a')));
  for (const std::string& text : {id_of('a'), "docker://" + id_of('A'), "docker:/" + id_of('a'), std::string()}) {
    EXPECT_EQ(runtime_of(text).second, "") << text;
  }
}

TEST(PodList, APodWithoutIdentityIsLeftOut) {
  for (const char* key : {"uid", "name", "namespace"}) {
    for (const json& value : {json(nullptr), json(""), json(7), json(std::string(254, 'x'))}) {
      json list = sample();
      list["items"][0]["metadata"][key] = value;
      const Read read = read_list(list.dump());
      EXPECT_TRUE(read.list);
      EXPECT_THAT(read.pods, SizeIs(2)) << key << " " << value;
    }
  }
}

TEST(PodList, RefusesAnythingElse) {
  json wrong_kind = sample();
  wrong_kind["kind"] = "SecretList";
  json no_version = sample();
  no_version["metadata"] = json::object();
  json long_token = sample();
  long_token["metadata"]["continue"] = std::string(100'000, 'c');
  for (const std::string& text : {std::string("null"), std::string("7"), std::string("[]"), std::string("{}"),
                                  std::string("<html>"), wrong_kind.dump(), no_version.dump(), long_token.dump()}) {
    const Read read = read_list(text);
    ASSERT_FALSE(read.list) << text.substr(0, 100);
    EXPECT_EQ(read.list.error().code, EPROTO);
  }
  EXPECT_EQ(read_list(sample().dump().substr(0, 3000)).list.error().code, ENODATA);
}

TEST(PodList, KeepsNoMoreThanItsLimits) {
  json list = sample();
  json& pod = list["items"][0];
  for (int i = 0; i < 5000; ++i) {
    pod["metadata"]["labels"]["k" + std::to_string(i)] = "v";
    pod["status"]["containerStatuses"].push_back({{"name", "c" + std::to_string(i)}});
  }
  pod["metadata"]["annotations"]["long"] = std::string(1'000'000, 'a');
  pod["status"]["containerStatuses"][1]["image"] = std::string(1'000'000, 'i');
  pod["status"]["containerStatuses"][1]["lastState"]["terminated"]["reason"] = std::string(1'000'000, 'r');
  const Read read = read_list(list.dump());
  ASSERT_TRUE(read.list) << read.list.error().message();
  EXPECT_THAT(read.pods, SizeIs(3));
  EXPECT_THAT(read.pods[0].pod.labels, SizeIs(kMaxPodLabels));
  EXPECT_THAT(read.pods[0].containers, SizeIs(kMaxPodContainers));
  EXPECT_EQ(container(read.pods[0], "web").image.size(), kMaxKubernetesTextBytes);
  EXPECT_EQ(container(read.pods[0], "web").state.reason.size(), kMaxKubernetesTextBytes);
}

// The list of a node with 110 pods of 100 KB each, which is made as it is read.
TEST(PodList, MemoryDoesNotGrowWithTheList) {
  json pod = sample()["items"][0];
  pod["metadata"]["managedFields"].push_back({{"fieldsV1", {{"f:x", std::string(40'000, 'm')}}}});
  for (int i = 0; i < 900; ++i) {
    pod["spec"]["containers"][0]["env"].push_back({{"name", "E" + std::to_string(i)}, {"value", std::string(60, 'v')}});
  }
  const std::string item = pod.dump();
  ASSERT_GT(item.size(), 100'000U);
  const std::string head = R"({"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[)";
  const std::string next = "," + item;
  int piece = 0;
  JsonStream stream(
      [&]() -> std::string_view {
        ++piece;
        return piece == 1     ? std::string_view(head)
               : piece == 2   ? std::string_view(item)
               : piece <= 111 ? std::string_view(next)
               : piece == 112 ? std::string_view("]}")
                              : std::string_view();
      },
      JsonStream::End::kOfStream, std::size_t{1} << 30U);
  const auto in_use = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  const std::size_t before = in_use();
  std::size_t most = 0;
  int pods = 0;
  const auto list = read_pod_list(stream, [&](const KubernetesPod&) {
    ++pods;
    most = std::max(most, in_use());
  });
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(pods, 110);
  EXPECT_LT(most - std::min(most, before), 256U << 10U);
}

TEST(PodEvent, Kinds) {
  const json pod = [] {
    json out = sample()["items"][0];
    out["kind"] = "Pod";
    out["apiVersion"] = "v1";
    return out;
  }();
  const auto added = read_event({{"type", "ADDED"}, {"object", pod}});
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_EQ(added->type, PodEvent::Type::kAdded);
  EXPECT_EQ(added->resource_version, "104790");
  ASSERT_TRUE(added->pod);
  EXPECT_EQ(added->pod->pod.name, "web-6d4b75cb6d-hx7kq");
  EXPECT_THAT(added->pod->containers, SizeIs(4));
  EXPECT_EQ(read_event({{"type", "MODIFIED"}, {"object", pod}})->type, PodEvent::Type::kModified);
  EXPECT_EQ(read_event({{"type", "DELETED"}, {"object", pod}})->type, PodEvent::Type::kDeleted);

  const auto bookmark = read_event(
      {{"type", "BOOKMARK"}, {"object", {{"kind", "Pod"}, {"metadata", {{"resourceVersion", "200"}}}, {"spec", {}}}}});
  EXPECT_EQ(bookmark->type, PodEvent::Type::kBookmark);
  EXPECT_EQ(bookmark->resource_version, "200");
  EXPECT_FALSE(bookmark->pod);

  const auto gone = read_event({{"type", "ERROR"},
                                {"object",
                                 {{"kind", "Status"},
                                  {"apiVersion", "v1"},
                                  {"status", "Failure"},
                                  {"message", "too old resource version: 1 (2)"},
                                  {"reason", "Expired"},
                                  {"code", 410}}}});
  EXPECT_EQ(gone->type, PodEvent::Type::kError);
  EXPECT_EQ(gone->code, 410);
  EXPECT_EQ(gone->message, "too old resource version: 1 (2)");
  EXPECT_FALSE(gone->pod);

  EXPECT_EQ(read_event({{"type", "SOMETHING"}, {"object", pod}})->type, PodEvent::Type::kOther);
  EXPECT_FALSE(read_event({{"type", "SOMETHING"}, {"object", pod}})->pod);
  json secret = pod;
  secret["kind"] = "Secret";
  EXPECT_FALSE(read_event({{"type", "ADDED"}, {"object", secret}})->pod);
}

TEST(StatusMessage, OfARefusal) {
  EXPECT_EQ(read_status_message(R"({"kind":"Status","message":"pods is forbidden","details":{"message":"no"}})"),
            "pods is forbidden");
  EXPECT_THAT(read_status_message("<html>"), IsEmpty());
  EXPECT_THAT(read_status_message(""), IsEmpty());
  EXPECT_THAT(read_status_message(R"({"message":7})"), IsEmpty());
  EXPECT_EQ(read_status_message(R"({"message":")" + std::string(10'000, 'x') + "\"}").size(), 512U);
}

TEST(CutText, NeverWithinACharacter) {
  EXPECT_EQ(cut_text("abc", 3), "abc");
  EXPECT_EQ(cut_text("abc", 2), "ab");
  EXPECT_EQ(cut_text("aäb", 2), "a");
  EXPECT_EQ(cut_text("aäb", 3), "aä");
  EXPECT_EQ(cut_text("\x80\x80\x80", 1), "");
}

}  // namespace
}  // namespace memcrest
