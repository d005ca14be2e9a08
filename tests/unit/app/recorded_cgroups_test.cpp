// SPDX-License-Identifier: Apache-2.0
#include "app/recorded_cgroups.h"

#include <gtest/gtest.h>

#include "store/database.h"
#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class RecordedCgroupsTest : public testing::Test {
 protected:
  std::string file() const { return dir_.path() + "/a.memcrest"; }
  void record(Container container) {
    RecordingSettings settings;
    settings.min_free_bytes = 0;
    auto writer = RecordingWriter::create(file(), settings, {});
    ASSERT_TRUE(writer) << writer.error().message();
    const Event step = StepBuilder(100).first(1, 1_MiB);
    (*writer)->add(std::span(&step, 1));
    (*writer)->add(CgroupRef{100, "/docker/" + container.id}, container);
    ASSERT_TRUE((*writer)->finish());
  }
  ExportedCgroup read() {
    const auto reader = RecordingReader::open(file());
    EXPECT_TRUE(reader) << reader.error().message();
    auto cgroups = cgroups_of(*reader);
    EXPECT_TRUE(cgroups) << cgroups.error().message();
    return cgroups->find(100);
  }
  TempDir dir_;
};

TEST_F(RecordedCgroupsTest, KnowsTheContainerAsItWasRecorded) {
  Container container = oom_incident().container;
  container.pod = Pod{};
  container.pod->name = "shop-1";
  container.pod->labels = {{"app", "shop"}};
  record(container);
  const ExportedCgroup cgroup = read();
  EXPECT_EQ(cgroup.serial, 1'000'100U);
  EXPECT_EQ(cgroup.path, "/docker/" + container.id);
  EXPECT_EQ(cgroup.label, "shop-1/web");
  EXPECT_EQ(cgroup.container.labels, container.labels) << "filters ask for them";
  EXPECT_EQ(cgroup.container.pod->labels, container.pod->labels);
}

TEST_F(RecordedCgroupsTest, TakesTheColumnsWhereTheJsonIsNone) {
  for (const char* json : {"{", "[]", "{\"name\":5}"}) {
    std::filesystem::remove(file());
    record(oom_incident().container);
    const std::string sql = std::string("sqlite3 ") + file() +
                            " \"UPDATE containers SET pod = 'p', namespace = 'n', json = '" +
                            (std::string(json) == "{\"name\":5}" ? "{\\\"name\\\":5}" : json) + "'\"";
    ASSERT_EQ(std::system(sql.c_str()), 0);
    const ExportedCgroup cgroup = read();
    EXPECT_EQ(cgroup.label, "n/p/web");
    EXPECT_EQ(cgroup.container.runtime, Runtime::kDocker);
    EXPECT_EQ(cgroup.container.image, "my-app:latest");
  }
}

}  // namespace
}  // namespace memcrest
