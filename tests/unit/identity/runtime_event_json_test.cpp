// SPDX-License-Identifier: Apache-2.0
#include "identity/runtime_event_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace memcrest {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using Action = RuntimeEvent::Action;

const std::string kId(64, 'a');

json event_of(const std::string& action) {
  return {{"status", action},
          {"id", kId},
          {"from", "my-app:latest"},
          {"Type", "container"},
          {"Action", action},
          {"Actor", {{"ID", kId}, {"Attributes", {{"exitCode", "137"}, {"image", "my-app:latest"}, {"name", "web"}}}}},
          {"scope", "local"},
          {"time", 1795340000},
          {"timeNano", 1795340000123456789}};
}

TEST(RuntimeEventJson, TakesWhatWeNeed) {
  const auto event = read_runtime_event(event_of("die").dump());
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->action, Action::kDie);
  EXPECT_EQ((*event)->container_id, kId);
  EXPECT_EQ((*event)->name, "web");
  EXPECT_EQ((*event)->exit_code, 137);
  EXPECT_EQ((*event)->unix_ns, 1795340000123456789);
}

TEST(RuntimeEventJson, AllActions) {
  for (const auto& [word, action] :
       {std::pair{"create", Action::kCreate}, std::pair{"start", Action::kStart}, std::pair{"die", Action::kDie},
        std::pair{"oom", Action::kOom}, std::pair{"restart", Action::kRestart}, std::pair{"rename", Action::kRename},
        std::pair{"destroy", Action::kDestroy}}) {
    const auto event = read_runtime_event(event_of(word).dump());
    ASSERT_TRUE(event && *event) << word;
    EXPECT_EQ((*event)->action, action);
    EXPECT_STREQ(to_string((*event)->action), word);
    EXPECT_EQ((*event)->exit_code.has_value(), action == Action::kDie) << "else a label of that name";
  }
  EXPECT_EQ((*read_runtime_event(event_of("died").dump()))->action, Action::kDie) << "Podman's word";
  EXPECT_EQ((*read_runtime_event(event_of("remove").dump()))->action, Action::kDestroy) << "Podman's word";
}

TEST(RuntimeEventJson, OthersAreOfNoConcern) {
  for (const char* action : {"exec_create: /bin/sh", "health_status: healthy", "kill", "", "DIE"}) {
    const auto event = read_runtime_event(event_of(action).dump());
    ASSERT_TRUE(event) << action;
    EXPECT_FALSE(*event) << action;
  }
  json network = event_of("destroy");
  network["Type"] = "network";
  EXPECT_FALSE(*read_runtime_event(network.dump()));
  for (const char* text : {"{}", "[]", "null", "7", "\"die\"", "[{\"Type\":\"container\",\"Action\":\"die\"}]"}) {
    const auto event = read_runtime_event(text);
    ASSERT_TRUE(event) << text;
    EXPECT_FALSE(*event) << text;
  }
}

TEST(RuntimeEventJson, RefusesWhatIsNoEvent) {
  for (const std::string& text : {std::string(), std::string("{"), event_of("die").dump() + "x", std::string("\xff"),
                                  std::string(100, '['), std::string("{\"a\":1e999}")}) {
    EXPECT_EQ(read_runtime_event(text).error().code, EPROTO) << text;
  }
  for (const json& id : {json(kId.substr(1)), json(std::string(64, 'A')), json("../x"), json(7), json(nullptr)}) {
    json event = event_of("die");
    event["Actor"]["ID"] = id;
    EXPECT_THAT(read_runtime_event(event.dump()).error().message(), HasSubstr("without its id")) << id;
  }
}

TEST(RuntimeEventJson, WrongTypesAreAsIfAbsent) {
  json event = event_of("die");
  event["timeNano"] = "now";
  event["Actor"]["Attributes"] = {{"name", 7}, {"exitCode", 137}};
  auto read = read_runtime_event(event.dump());
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->name, "");
  EXPECT_EQ((*read)->exit_code, std::nullopt);
  EXPECT_EQ((*read)->unix_ns, 0);
  for (const char* code : {"", "x", "1x", "4294967296"}) {
    event["Actor"]["Attributes"] = {{"exitCode", code}, {"name", std::string(100'000, 'n')}};
    read = read_runtime_event(event.dump());
    EXPECT_EQ((*read)->exit_code, std::nullopt) << code;
    EXPECT_LE((*read)->name.size(), 4096U);
  }
}

}  // namespace
}  // namespace memcrest
