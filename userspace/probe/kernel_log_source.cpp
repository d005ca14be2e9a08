// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace memcrest {
namespace {

// Records per poll: a log that never runs dry must not hold the collector for ever.
constexpr std::size_t kBatch = 4096;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

std::string why_refused(int code, const SystemRoot& root) {
  if (code == ENOENT) {
    return "a container needs the host's /dev/kmsg";
  }
  if (code != EPERM && code != EACCES) {
    return {};
  }
  const auto restricted = read_start(root.proc + "/sys/kernel/dmesg_restrict", 1);
  if (restricted && *restricted == "0") {
    return "the file's mode, or a container's list of devices, forbids it";
  }
  return "needs CAP_SYSLOG, since kernel.dmesg_restrict is 1";
}

Result<void> watch(const Fd& epoll, const Fd& fd, const char* what) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
    return fail_errno("wait for", what);
  }
  return {};
}

}  // namespace

KernelLogSource::KernelLogSource(Fd log, Fd timer, Fd wait, const Clock& clock, KernelLogSettings settings, Read read)
    : log_(std::move(log)),
      timer_(std::move(timer)),
      wait_(std::move(wait)),
      clock_(clock),
      read_(read),
      parser_(settings),
      buffer_(kMaxKernelLogRecord) {}

Result<std::unique_ptr<KernelLogSource>> KernelLogSource::open(const Clock& clock, KernelLogSettings settings,
                                                               const SystemRoot& root, const std::string& path) {
  auto log = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!log) {
    Error error = log.error();
    error.detail = why_refused(error.code, root);
    return std::unexpected(std::move(error));
  }
  if (::lseek(log->get(), 0, SEEK_END) < 0) {
    return fail_errno("seek to the end of", path);
  }
  settings.page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return over(std::move(*log), clock, settings);
}

Result<std::unique_ptr<KernelLogSource>> KernelLogSource::over(Fd log, const Clock& clock, KernelLogSettings settings,
                                                               Read read) {
  Fd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) {
    return fail_errno("make", "timer");
  }
  Fd wait(::epoll_create1(EPOLL_CLOEXEC));
  if (!wait) {
    return fail_errno("make", "epoll");
  }
  if (auto done = watch(wait, log, "kernel log"); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = watch(wait, timer, "timer"); !done) {
    return std::unexpected(done.error());
  }
  return std::unique_ptr<KernelLogSource>(
      new KernelLogSource(std::move(log), std::move(timer), std::move(wait), clock, settings, read));
}

EventSource::Status KernelLogSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  wait(timeout);
  const std::size_t first = out.size();
  const bool more = read_records(out);
  deliver(more ? clock_.boot_ns() : std::numeric_limits<std::uint64_t>::max(), out);
  overwritten_.store(parser_.overwritten(), std::memory_order_relaxed);
  set_timer();
  std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                   [](const Event& a, const Event& b) { return time_of(a) < time_of(b); });
  return more ? Status::kMore : Status::kEnd;
}

void KernelLogSource::wait(std::chrono::milliseconds timeout) const {
  if (const auto due = parser_.deadline()) {
    const std::uint64_t now = clock_.boot_ns();
    // Rounded up: woken a moment early, there would be nothing to deliver.
    const std::uint64_t left = *due > now ? (*due - now) / 1'000'000 + 1 : 0;
    timeout = std::chrono::milliseconds(
        std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(timeout.count(), 0)), left));
  }
  pollfd ready{.fd = wait_.get(), .events = POLLIN, .revents = 0};
  ignore_result(::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(timeout.count(), 1'000'000))));
}

bool KernelLogSource::read_records(std::vector<Event>& out) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    const ssize_t got = read_(log_.get(), buffer_.data(), buffer_.size());
    if (got > 0) {
      const std::uint64_t now = clock_.boot_ns();
      const auto log_ns = parser_.feed({buffer_.data(), static_cast<std::size_t>(got)}, now);
      if (log_ns) {
        log_clock_.note(*log_ns, now);
      }
      deliver(now, out);
      continue;
    }
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && errno == EAGAIN) {
      log_clock_.note_empty(clock_.boot_ns());
      return true;
    }
    // EPIPE: overwritten. EINVAL: a record that is longer than the kernel says records are. Both are behind us.
    if (got < 0 && (errno == EPIPE || errno == EINVAL)) {
      parser_.note_overwritten();
      continue;
    }
    return false;
  }
  return true;
}

void KernelLogSource::deliver(std::uint64_t now_ns, std::vector<Event>& out) {
  for (auto& event : parser_.take(now_ns)) {
    event.time_ns = log_clock_.boot_of(event.time_ns);
    out.emplace_back(std::move(event));
  }
}

void KernelLogSource::set_timer() const {
  itimerspec when{};  // zero: off, and no longer readable
  if (const auto due = parser_.deadline()) {
    const std::uint64_t now = clock_.boot_ns();
    const std::uint64_t left = *due > now ? *due - now : 1;
    when.it_value.tv_sec = static_cast<time_t>(left / kSecondNs);
    when.it_value.tv_nsec = static_cast<long>(left % kSecondNs);
  }
  ignore_result(::timerfd_settime(timer_.get(), 0, &when, nullptr));
}

}  // namespace memcrest
