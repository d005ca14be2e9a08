// SPDX-License-Identifier: Apache-2.0
#include "collector/waiting_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_proc.h"

namespace memcrest {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): fixtures

class WaitingTasksTest : public testing::Test {
 protected:
  WaitingTasksTest() : tree_(*CgroupTree::open(host_.root())) { host_.add("/a"); }
  WaitingTasks find(const std::vector<std::string>& paths = {"/a"}) { return find_waiting(tree_, host_.root(), paths); }

  FakeCgroups host_;
  CgroupTree tree_;
};

TEST_F(WaitingTasksTest, ThoseThatSleepInTheOomPathOnly) {
  host_.write("/a", "tasks", "10\n11\n20\n30\n");
  put_task(host_, {10, 10, "web", 'D', "mem_cgroup_oom_synchronize"});
  put_task(host_, {10, 11, "web-io", 'S', "futex_wait_queue"});
  put_task(host_, {20, 20, "busy", 'R', "0"});
  put_task(host_, {30, 30, "child\\nx\\\\", 'D', "__memcg_oom_wait"});
  const auto found = find();
  ASSERT_THAT(found.tasks, SizeIs(2));
  EXPECT_EQ(found.total, 2);
  EXPECT_EQ(found.tasks[0].pid, 10);
  EXPECT_EQ(found.tasks[0].tid, 10);
  EXPECT_EQ(found.tasks[0].comm, "web");
  EXPECT_EQ(found.tasks[1].comm, "child\nx\\");
}

TEST_F(WaitingTasksTest, TheStackSaysItWhereTheWaitChannelDoesNot) {
  host_.write("/a", "tasks", "10\n11\n");
  put_task(host_, {10, 10, "web", 'D', "0", "[<0>] mem_cgroup_oom_synchronize+0x155/0x1a0\n"});
  put_task(host_, {10, 11, "web", 'S', "0", "[<0>] do_nanosleep+0x1/0x2\n"});
  EXPECT_THAT(find().tasks, SizeIs(1));
}

TEST_F(WaitingTasksTest, AllThatSleepWhereNothingMayBeRead) {
  host_.write("/a", "tasks", "10\n11\n12\n");
  put_task(host_, {10, 10, "web", 'D', "0"});
  put_task(host_, {10, 11, "web", 'S', "0"});
  put_task(host_, {10, 12, "web", 'Z', "0"});
  EXPECT_THAT(find().tasks, SizeIs(2));
}

TEST_F(WaitingTasksTest, AThreadsPidIsThatOfItsProcess) {
  host_.write("/a", "tasks", "11\n");
  put_task(host_, {10, 11, "worker", 'D', "mem_cgroup_oom_synchronize"});
  EXPECT_EQ(find().tasks.at(0).pid, 10);
  EXPECT_EQ(find().tasks.at(0).tid, 11);
}

TEST_F(WaitingTasksTest, SixtyFourAreNamedAllAreCounted) {
  std::string tids;
  for (std::uint32_t tid = 100; tid < 180; ++tid) {
    put_task(host_, {tid, tid, "w", 'D', "mem_cgroup_oom_synchronize"});
    tids += std::to_string(tid) + "\n";
  }
  host_.add("/a/b");
  host_.write("/a/b", "tasks", tids);
  const auto found = find({"/a", "/a/b", "/gone"});
  EXPECT_THAT(found.tasks, SizeIs(64));
  EXPECT_EQ(found.total, 80);
}

TEST_F(WaitingTasksTest, OddFilesAreNoTasks) {
  host_.write("/a", "tasks", "10\nx\n");
  EXPECT_THAT(find().tasks, IsEmpty());
  put_task(host_, {10, 10, "web", 'D', "mem_cgroup_oom_synchronize"});
  EXPECT_THAT(find().tasks, SizeIs(1));
}

}  // namespace
}  // namespace memcrest
