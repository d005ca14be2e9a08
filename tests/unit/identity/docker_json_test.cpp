// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <random>

namespace memcrest {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const std::string kId(64, 'a');
const std::string kOther(64, 'b');

json inspect_answer() {
  return {{"Id", kId},
          {"Name", "/web"},
          {"Image", "sha256:0123"},
          {"Args", {"a", {{"Name", "/evil"}}}},
          {"State", {{"Pid", 4711}, {"Running", true}}},
          {"HostConfig", {{"Memory", 67108864}, {"MemorySwap", -1}}},
          {"Config", {{"Image", "my-app:latest"}, {"Labels", {{"com.docker.compose.project", "shop"}}}}}};
}

json list_entry(const std::string& id, const std::string& name) {
  return {{"Id", id},
          {"Names", {"/db/alias", "/" + name}},
          {"Image", "my-app:latest"},
          {"Labels", {{"a", "b"}}},
          {"Ports", {{{"Id", kId}, {"Image", "evil"}}}}};
}

TEST(DockerInspect, TakesWhatWeNeed) {
  const auto facts = read_docker_inspect(inspect_answer().dump(), kId);
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->name, "web");
  EXPECT_EQ(facts->image, "my-app:latest");
  EXPECT_THAT(facts->labels, ElementsAre(Pair("com.docker.compose.project", "shop")));
  EXPECT_EQ(facts->init_pid, 4711U);
  EXPECT_EQ(facts->memory_limit_bytes, 67108864U);
  EXPECT_EQ(facts->swap_limit_bytes, -1);
}

json ended(json state) {
  json answer = inspect_answer();
  answer["State"] = std::move(state);
  answer["RestartCount"] = 2;
  return answer;
}

TEST(DockerInspect, TellsTheStateOfTheEnd) {
  const auto facts = read_docker_inspect(ended({{"Status", "exited"},
                                                {"ExitCode", 137},
                                                {"OOMKilled", true},
                                                {"Error", "no such device"},
                                                {"Pid", 0},
                                                {"FinishedAt", "2026-11-22T09:35:43.841000123Z"}})
                                             .dump(),
                                         kId);
  ASSERT_TRUE(facts && facts->state);
  EXPECT_EQ(facts->state->status, "exited");
  EXPECT_EQ(facts->state->exit_code, 137);
  EXPECT_EQ(facts->state->oom_killed, true);
  EXPECT_EQ(facts->state->error, "no such device");
  EXPECT_EQ(facts->state->restart_count, 2U);
  EXPECT_EQ(facts->state->finished_unix_ns, 1795340143'841000123);
  EXPECT_EQ(facts->init_pid, std::nullopt);

  const auto fine = read_docker_inspect(
      ended({{"Status", "exited"}, {"ExitCode", 0}, {"OOMKilled", false}, {"Error", ""}}).dump(), kId);
  EXPECT_EQ(fine->state->exit_code, 0);
  EXPECT_EQ(fine->state->oom_killed, false);
}

TEST(DockerInspect, DefaultsAreNoFactsBeforeTheEnd) {
  for (const char* status : {"created", "running", "paused", "initialized", "removing"}) {
    const auto facts = read_docker_inspect(
        ended({{"ExitCode", 0}, {"OOMKilled", false}, {"Status", status}, {"FinishedAt", "0001-01-01T00:00:00Z"}})
            .dump(),
        kId);
    ASSERT_TRUE(facts && facts->state);
    EXPECT_EQ(facts->state->status, status);
    EXPECT_EQ(facts->state->exit_code, std::nullopt) << status;
    EXPECT_EQ(facts->state->oom_killed, std::nullopt) << status;
    EXPECT_EQ(facts->state->finished_unix_ns, std::nullopt) << status;
  }
  const auto failed = read_docker_inspect(ended({{"Status", "created"}, {"ExitCode", 127}}).dump(), kId);
  EXPECT_EQ(failed->state->exit_code, 127) << "its start failed";
  const auto between =
      read_docker_inspect(ended({{"Status", "restarting"}, {"ExitCode", 0}, {"OOMKilled", true}}).dump(), kId);
  EXPECT_EQ(between->state->exit_code, 0);
  EXPECT_EQ(between->state->oom_killed, true);
}

TEST(DockerInspect, StateOfWrongTypes) {
  json answer = ended({{"Status", 7}, {"ExitCode", "137"}, {"OOMKilled", "true"}, {"Error", {1}}});
  EXPECT_FALSE(read_docker_inspect(answer.dump(), kId)->state);
  answer = ended(
      {{"Status", "exited"}, {"ExitCode", 1LL << 40U}, {"OOMKilled", 1}, {"Error", nullptr}, {"FinishedAt", "now"}});
  answer["RestartCount"] = -1;
  const auto facts = read_docker_inspect(answer.dump(), kId);
  ASSERT_TRUE(facts && facts->state);
  EXPECT_EQ(facts->state->exit_code, std::nullopt);
  EXPECT_EQ(facts->state->oom_killed, std::nullopt);
  EXPECT_EQ(facts->state->error, "");
  EXPECT_EQ(facts->state->finished_unix_ns, std::nullopt);
  EXPECT_EQ(facts->state->restart_count, std::nullopt);
}

TEST(DockerInspect, PodmansPod) {
  json answer = inspect_answer();
  answer["Name"] = "web";
  answer["Pod"] = kOther;
  answer["IsInfra"] = false;
  auto facts = read_docker_inspect(answer.dump(), kId);
  ASSERT_TRUE(facts && facts->pod);
  EXPECT_EQ(facts->name, "web");
  EXPECT_EQ(facts->pod->uid, kOther);
  EXPECT_FALSE(facts->pod->sandbox);
  answer["Pod"] = "";
  EXPECT_FALSE(read_docker_inspect(answer.dump(), kId)->pod);
}

TEST(DockerInspect, WrongTypesAreAsIfAbsent) {
  json answer = inspect_answer();
  answer["Config"] = json::array({1, 2});
  answer["State"] = {{"Pid", "4711"}};
  answer["HostConfig"] = nullptr;
  auto facts = read_docker_inspect(answer.dump(), kId);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->image, "");
  EXPECT_TRUE(facts->labels.empty());
  EXPECT_EQ(facts->init_pid, std::nullopt);
  EXPECT_EQ(facts->memory_limit_bytes, std::nullopt);

  answer = inspect_answer();
  answer["Config"]["Labels"] = {{"number", 1}, {"list", {"x"}}, {"good", "yes"}, {"nested", {{"deep", "no"}}}};
  facts = read_docker_inspect(answer.dump(), kId);
  ASSERT_TRUE(facts);
  EXPECT_THAT(facts->labels, ElementsAre(Pair("good", "yes")));

  for (const json& pid : {json(0), json(-5), json(4194305), json(18446744073709551615U), json(1.5), json(true)}) {
    answer["State"]["Pid"] = pid;
    EXPECT_EQ(read_docker_inspect(answer.dump(), kId)->init_pid, std::nullopt) << pid;
  }
}

TEST(DockerInspect, RefusesWhatIsNotAnAnswer) {
  json nameless = inspect_answer();
  nameless["Name"] = 7;
  json other = inspect_answer();
  other["Id"] = kOther;
  const std::string text = inspect_answer().dump();
  for (const std::string& answer :
       {std::string(), std::string("null"), std::string("7"), std::string("\"x\""), std::string("[]"),
        std::string("{}"), std::string("{\"Id\""), text + "x", text.substr(1), text.substr(0, text.size() - 1),
        nameless.dump(), other.dump(), "[" + text + "]", std::string("\xff\xfe{}"), std::string("{\"Name\":\"\xff\"}"),
        std::string(100, '\0'), std::string("{\"a\":1e999999}")}) {
    const auto facts = read_docker_inspect(answer, kId);
    ASSERT_FALSE(facts) << answer;
    EXPECT_EQ(facts.error().code, EPROTO);
  }
}

TEST(DockerInspect, DepthIsBounded) {
  constexpr std::size_t kDeep = std::size_t{4} << 20U;
  EXPECT_THAT(read_docker_inspect(std::string(kDeep, '['), kId).error().message(), HasSubstr("nested"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) {
    objects += "{\"a\":";
  }
  EXPECT_THAT(read_docker_inspect(objects, kId).error().message(), HasSubstr("nested"));
}

TEST(DockerInspect, LabelsAreBounded) {
  json answer = inspect_answer();
  json labels = json::object();
  for (int i = 0; i < 5000; ++i) {
    labels["l" + std::to_string(i)] = "v";
  }
  answer["Config"]["Labels"] = labels;
  EXPECT_EQ(read_docker_inspect(answer.dump(), kId)->labels.size(), kMaxLabels);

  const std::string wide = std::string(kMaxLabelBytes - 1, 'x') + "\u65e5\u672c";
  answer["Config"]["Labels"] = {{"wide", wide}, {std::string(5000, 'k'), "too long a key"}};
  auto facts = read_docker_inspect(answer.dump(), kId);
  ASSERT_TRUE(facts);
  EXPECT_THAT(facts->labels, ElementsAre(Pair("wide", std::string(kMaxLabelBytes - 1, 'x'))));

  labels = json::object();
  for (int i = 0; i < 100; ++i) {
    labels["l" + std::to_string(i)] = std::string(kMaxLabelBytes, 'v');
  }
  answer["Config"]["Labels"] = labels;
  facts = read_docker_inspect(answer.dump(), kId);
  ASSERT_TRUE(facts);
  EXPECT_LE(facts->labels.size(), kMaxAllLabelBytes / kMaxLabelBytes);
  EXPECT_GE(facts->labels.size(), 10U);

  answer = inspect_answer();
  answer["Name"] = "/" + std::string(100000, 'n');
  EXPECT_LE(read_docker_inspect(answer.dump(), kId)->name.size(), 4096U);
}

TEST(DockerList, FindsTheEntryOfTheId) {
  const json list = {list_entry(kOther, "other"), list_entry(kId, "web"), list_entry(kOther, "third")};
  const auto facts = read_docker_list(list.dump(), kId);
  ASSERT_TRUE(facts);
  ASSERT_TRUE(*facts);
  EXPECT_EQ((*facts)->name, "web") << "not the alias that a link gave";
  EXPECT_EQ((*facts)->image, "my-app:latest");
  EXPECT_THAT((*facts)->labels, ElementsAre(Pair("a", "b")));
  EXPECT_EQ((*facts)->init_pid, std::nullopt);
}

TEST(DockerList, TellsWhetherItHasEnded) {
  json entry = list_entry(kId, "web");
  EXPECT_FALSE((*read_docker_list(json({entry}).dump(), kId))->state);
  entry["State"] = "exited";
  json other = list_entry(kOther, "other");
  other["State"] = "running";
  const auto facts = read_docker_list(json({entry, other}).dump(), kId);
  ASSERT_TRUE(facts && *facts && (*facts)->state);
  EXPECT_EQ((*facts)->state->status, "exited");
  EXPECT_EQ((*facts)->state->exit_code, std::nullopt);
}

TEST(DockerList, PodmansPod) {
  json entry = list_entry(kId, "infra");
  entry["Names"] = {"infra"};
  entry["Pod"] = kOther;
  entry["PodName"] = "shop";
  entry["IsInfra"] = true;
  const auto facts = read_docker_list(json({list_entry(kOther, "other"), entry}).dump(), kId);
  ASSERT_TRUE(facts && *facts && (*facts)->pod);
  EXPECT_EQ((*facts)->name, "infra");
  EXPECT_EQ((*facts)->pod->uid, kOther);
  EXPECT_EQ((*facts)->pod->name, "shop");
  EXPECT_TRUE((*facts)->pod->sandbox);
}

TEST(DockerList, NoEntryIsNoError) {
  for (const std::string& text : {std::string("[]"), std::string(" [ ]\n"),
                                  json::array({list_entry(kOther, "x")}).dump(), std::string("[1,\"x\",null,[],{}]")}) {
    const auto facts = read_docker_list(text, kId);
    ASSERT_TRUE(facts) << text;
    EXPECT_FALSE(*facts) << text;
  }
}

TEST(DockerList, RefusesWhatIsNoList) {
  const std::string list = json::array({list_entry(kId, "web")}).dump();
  json nameless = json::array({list_entry(kId, "web")});
  nameless[0]["Names"] = json::array();
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("null"), std::string("[{]"), list + list, list.substr(0, 40),
        list_entry(kId, "web").dump(), "{\"\":" + list_entry(kId, "web").dump() + "}", nameless.dump(),
        "[" + std::string(100, '[')}) {
    EXPECT_FALSE(read_docker_list(text, kId)) << text;
  }
}

TEST(DockerMessage, OfAnErrorAnswer) {
  EXPECT_EQ(read_docker_message(R"({"message":"No such container: x"})"), "No such container: x");
  EXPECT_EQ(read_docker_message(R"({"message":7})"), "");
  EXPECT_EQ(read_docker_message("404 page not found\n"), "");
  EXPECT_LE(read_docker_message(json({{"message", std::string(5000, 'x')}}).dump()).size(), 512U);
}

TEST(DockerJson, DamagedAnswersDoNotCrash) {
  const std::string good[] = {inspect_answer().dump(), json::array({list_entry(kId, "web")}).dump()};
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string text = good[round % 2];
    for (auto i = 1 + random() % 4; i > 0; --i) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    text.resize(text.size() - random() % 3);
    (void)read_docker_inspect(text, kId);
    (void)read_docker_list(text, kId);
    (void)read_docker_message(text);
  }
}

}  // namespace
}  // namespace memcrest
