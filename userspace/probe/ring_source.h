// SPDX-License-Identifier: Apache-2.0
// The EventSource over the kernel's ring buffers. The callback checks, copies and queues; nothing else.
#pragma once

#include <memory>
#include <optional>

#include "memcrest/clock.h"
#include "memcrest/event_source.h"
#include "probe/kallsyms.h"
#include "probe/loader.h"
#include "util/system_root.h"

namespace memcrest {

class RingSource final : public EventSource {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RingSource>> open(std::unique_ptr<LoadedProbe> probe,
                                                                KernelFunctions functions, const Clock& clock,
                                                                SystemRoot root = {});
  ~RingSource() override;

  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] int wait_fd() const override;
  [[nodiscard]] LossCount loss() const override;
  [[nodiscard]] LoadedProbe& probe();

 private:
  struct Impl;
  explicit RingSource(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace memcrest
