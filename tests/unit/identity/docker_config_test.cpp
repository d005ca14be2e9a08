// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_config.h"

#include <gmock/gmock.h>

#include "support/fake_bundles.h"

namespace memcrest {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using testing_support::bundle_sample;
using testing_support::replaced;

const std::string kId = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";

TEST(DockerConfig, NameImageAndLabels) {
  const auto container = read_docker_config(bundle_sample("docker.v2.json"), kId);
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->name, "web");
  EXPECT_EQ(container->image, "memcrest-test:latest");
  EXPECT_THAT(container->labels, ElementsAre(Pair("com.docker.compose.project", "shop")));
  EXPECT_EQ(container->runtime, Runtime::kDocker);
}

TEST(DockerConfig, RefusesWhatIsNone) {
  EXPECT_FALSE(read_docker_config(bundle_sample("docker.v2.json"), std::string(64, 'b')));
  EXPECT_FALSE(read_docker_config(replaced(bundle_sample("docker.v2.json"), "\"/web\"", "5"), kId)) << "no name";
  for (const std::string& text : {std::string(), std::string("[]"), std::string("{"), std::string(100'000, '[')}) {
    EXPECT_FALSE(read_docker_config(text, kId)) << text.substr(0, 9);
  }
}

TEST(DockerConfig, LabelsAreBounded) {
  std::string labels;
  for (int i = 0; i < 1000; ++i) {
    labels += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":")" + std::string(8192, 'y') + '"';
  }
  const auto container =
      read_docker_config(R"({"ID":")" + kId + R"(","Name":"/a","Config":{"Labels":{)" + labels + "}}}", kId);
  ASSERT_TRUE(container);
  EXPECT_GT(container->labels.size(), 8U);
  EXPECT_LE(container->labels.size(), 16U);
}

}  // namespace
}  // namespace memcrest
