// SPDX-License-Identifier: Apache-2.0
// The EventSource over the kernel log: what is left where no hook may be attached, and what tells order, gfp mask,
// constraint and the limit that was hit where hooks cannot. Delivers LogOomEvents only. Needs no BPF; needs CAP_SYSLOG
// where kernel.dmesg_restrict is 1.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>

#include "memcrest/clock.h"
#include "memcrest/event_source.h"
#include "probe/kernel_log_clock.h"
#include "probe/kernel_log_parser.h"
#include "util/fd.h"
#include "util/system_root.h"

namespace memcrest {

class KernelLogSource final : public EventSource {
 public:
  using Read = ssize_t (*)(int fd, void* buffer, std::size_t size);

  // Begins behind the newest record: what was logged before is not told. `clock` must outlive the source. The page
  // size is this machine's. An error says what is missing.
  [[nodiscard]] static Result<std::unique_ptr<KernelLogSource>> open(const Clock& clock,
                                                                     KernelLogSettings settings = {},
                                                                     const SystemRoot& root = {},
                                                                     const std::string& path = "/dev/kmsg");
  // Over a descriptor that does not block and gives one record for each `read`.
  [[nodiscard]] static Result<std::unique_ptr<KernelLogSource>> over(Fd log, const Clock& clock,
                                                                     KernelLogSettings settings = {},
                                                                     Read read = ::read);

  // kEnd: the log cannot be read any more; what was open is told first.
  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  // Readable for new records, and when an event is due that waited for more of them.
  [[nodiscard]] int wait_fd() const override { return wait_.get(); }
  // Nothing: records overwritten in the log are none of the rings'. The next event tells of them in its gaps.
  [[nodiscard]] LossCount loss() const override { return {}; }
  // Records of the log that were overwritten before they were read, whatever they said. From any thread.
  [[nodiscard]] std::uint64_t overwritten() const { return overwritten_.load(std::memory_order_relaxed); }

 private:
  KernelLogSource(Fd log, Fd timer, Fd wait, const Clock& clock, KernelLogSettings settings, Read read);

  void wait(std::chrono::milliseconds timeout) const;
  bool read_records(std::vector<Event>& out);  // false: no more, ever
  void deliver(std::uint64_t now_ns, std::vector<Event>& out);
  void set_timer() const;

  Fd log_;
  Fd timer_;
  Fd wait_;  // epoll over the two
  const Clock& clock_;
  Read read_;
  KernelLogParser parser_;
  KernelLogClock log_clock_;
  std::vector<char> buffer_;
  std::atomic<std::uint64_t> overwritten_{0};
};

}  // namespace memcrest
