// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kMs = 1'000'000;

class FakeClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t boot_ns() const override { return now; }
  [[nodiscard]] std::int64_t unix_ns() const override { return 0; }
  std::uint64_t now = 100'000 * kMs;
};

std::string killed(int sequence, std::uint64_t log_ms, int pid) {
  return "3," + std::to_string(sequence) + "," + std::to_string(log_ms * 1000) + ",-;Out of memory: Killed process " +
         std::to_string(pid) + " (hog) total-vm:8kB, anon-rss:4kB\n";
}

bool readable(int fd, std::chrono::milliseconds timeout = 0ms) {
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&ready, 1, static_cast<int>(timeout.count())) == 1;
}

// A socket that keeps records apart, in place of /dev/kmsg.
class KernelLogSourceTest : public testing::Test {
 protected:
  KernelLogSourceTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    log = Fd(ends[1]);
    auto opened = KernelLogSource::over(Fd(ends[0]), clock);
    EXPECT_TRUE(opened);
    source = std::move(*opened);
  }
  void write(const std::string& record) const {
    EXPECT_EQ(::write(log.get(), record.data(), record.size()), static_cast<ssize_t>(record.size()));
  }
  std::vector<Event> poll(EventSource::Status expected = EventSource::Status::kMore) const {
    std::vector<Event> out;
    EXPECT_EQ(source->poll(0ms, out), expected);
    return out;
  }

  FakeClock clock;
  Fd log;
  std::unique_ptr<KernelLogSource> source;
};

TEST_F(KernelLogSourceTest, DeliversOnceSettled) {
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_FALSE(readable(source->wait_fd()));
  write(killed(1, 40'000, 7));
  EXPECT_TRUE(readable(source->wait_fd()));
  EXPECT_THAT(poll(), IsEmpty());
  // The timer runs on the real clock: 20 ms from now.
  EXPECT_FALSE(readable(source->wait_fd()));
  EXPECT_TRUE(readable(source->wait_fd(), 1000ms));
  clock.now += 20 * kMs;
  const auto events = poll();
  ASSERT_EQ(events.size(), 1U);
  const auto& event = std::get<LogOomEvent>(events[0]);
  EXPECT_EQ(event.victims.at(0).pid, 7U);
  EXPECT_EQ(event.time_ns, 100'000 * kMs);
  EXPECT_FALSE(readable(source->wait_fd()));
  EXPECT_EQ(source->loss(), LossCount{});
}

TEST_F(KernelLogSourceTest, WaitsForTheDeadlineAndNotTheWholeTimeout) {
  write(killed(1, 40'000, 7));
  EXPECT_THAT(poll(), IsEmpty());
  const auto before = std::chrono::steady_clock::now();
  std::vector<Event> out;
  source->poll(10s, out);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
}

TEST_F(KernelLogSourceTest, TimeOfTheFastestRead) {
  clock.now += 50 * kMs;  // this one was read late
  write("6,1,40000000,-;usb\n");
  EXPECT_THAT(poll(), IsEmpty());
  clock.now += 1000 * kMs;
  write(killed(2, 41'049, 7));  // and this one at once, 1 ms
  EXPECT_THAT(poll(), IsEmpty());
  clock.now += 20 * kMs;
  const auto events = poll();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(time_of(events[0]), 101'050 * kMs);
}

TEST_F(KernelLogSourceTest, EndsAndTellsWhatWasOpen) {
  write(killed(1, 40'000, 7));
  log.reset();
  EXPECT_THAT(poll(EventSource::Status::kEnd), SizeIs(1));
}

TEST_F(KernelLogSourceTest, SurvivesWhatIsNoRecord) {
  write("what is this");
  write(killed(1, 40'000, 7));
  poll();
  clock.now += 20 * kMs;
  const auto events = poll();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_THAT(std::get<LogOomEvent>(events[0]).gaps, Contains(HasSubstr("overwritten")));
}

// A read for the reader to give: an errno or a record.
std::deque<std::pair<int, std::string>> g_reads;
ssize_t scripted_read(int /*fd*/, void* buffer, std::size_t size) {
  if (g_reads.empty()) {
    errno = EAGAIN;
    return -1;
  }
  const auto [error, text] = g_reads.front();
  g_reads.pop_front();
  if (error != 0) {
    errno = error;
    return -1;
  }
  EXPECT_LE(text.size(), size);
  return static_cast<ssize_t>(text.copy(static_cast<char*>(buffer), size));
}

TEST(KernelLogSource, Overwritten) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  const Fd writer(ends[1]);
  FakeClock clock;
  auto source = KernelLogSource::over(Fd(ends[0]), clock, {}, scripted_read);
  ASSERT_TRUE(source);
  g_reads = {{0, "6,1,40000000,-;usb\n"}, {EINTR, ""}, {EPIPE, ""},
             {0, killed(12, 40'001, 7)},  {EPIPE, ""}, {EINVAL, ""}};
  std::vector<Event> out;
  (*source)->poll(0ms, out);
  EXPECT_EQ((*source)->overwritten(), 10U);
  clock.now += 20 * kMs;
  (*source)->poll(0ms, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_THAT(std::get<LogOomEvent>(out[0]).gaps, Contains(HasSubstr("10 records")));
  g_reads = {{EIO, ""}};
  EXPECT_EQ((*source)->poll(0ms, out), EventSource::Status::kEnd);
}

TEST(KernelLogSource, SaysWhyItCannotBeOpened) {
  const FakeClock clock;
  const auto missing = KernelLogSource::open(clock, {}, {}, "/nonexistent/kmsg");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message(), HasSubstr("container needs the host's /dev/kmsg"));
}

TEST(KernelLogSource, BeginsAtTheEnd) {
  const SystemClock clock;
  const auto source = KernelLogSource::open(clock);
  if (!source) {
    GTEST_SKIP() << "the kernel log cannot be read: " << source.error().message();
  }
  std::vector<Event> out;
  EXPECT_EQ((*source)->poll(0ms, out), EventSource::Status::kMore);
  EXPECT_EQ((*source)->overwritten(), 0U);
}

TEST(KernelLogClock, FollowsTheClocksApart) {
  constexpr std::uint64_t kSecond = 1000 * kMs;
  KernelLogClock clock;
  EXPECT_EQ(clock.boot_of(5), 5U);
  clock.note(10 * kSecond, 15 * kSecond + 3 * kMs);
  clock.note(11 * kSecond, 16 * kSecond + 1 * kMs);
  clock.note(12 * kSecond, 17 * kSecond + 40 * kMs);  // a slow read says nothing
  EXPECT_EQ(clock.boot_of(12 * kSecond), 17 * kSecond + 1 * kMs);
  // Slow drift: what was the least a minute ago counts no more.
  clock.note(112 * kSecond, 117 * kSecond + 4 * kMs);
  EXPECT_EQ(clock.boot_of(112 * kSecond), 117 * kSecond + 4 * kMs);
  // Suspended for an hour: the log's clock stood still. All was read a moment before this record.
  clock.note_empty(3717 * kSecond + 400 * kMs);
  clock.note(112 * kSecond + 500 * kMs, 3717 * kSecond + 504 * kMs);
  EXPECT_EQ(clock.boot_of(112 * kSecond + 500 * kMs), 3717 * kSecond + 504 * kMs);
  // A log ahead of the boot clock.
  KernelLogClock ahead;
  ahead.note(10 * kSecond, 9 * kSecond);
  EXPECT_EQ(ahead.boot_of(10 * kSecond), 9 * kSecond);
  EXPECT_EQ(ahead.boot_of(0), 0U);
}

}  // namespace
}  // namespace memcrest
