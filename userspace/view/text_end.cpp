// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include "util/signal_name.h"
#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

void put_sender(Layout& page, std::string_view before, const Sender& sender) {
  page.piece(before, escape_terminal(sender.cmdline.empty() ? sender.comm : sender.cmdline), Tone::kBold);
  page.piece("   ", process(sender.comm, sender.pid));
  page.piece(", ", "uid " + std::to_string(sender.uid));
  if (sender.same_container) {
    page.piece(kDot, "in the same container");
  } else if (!sender.container_id.empty()) {
    page.piece(kDot,
               escape_terminal("container " + (sender.container_name.empty() ? sender.container_id.substr(0, kShortId)
                                                                             : sender.container_name)));
  } else if (!sender.unit.empty()) {
    page.piece(kDot, escape_terminal(sender.unit));
  }
  if (sender.parents.empty()) {
    return;
  }
  page.row("child of");
  for (const Parent& parent : sender.parents) {
    page.piece(&parent == sender.parents.data() ? "" : " → ", process(parent.comm, parent.pid));
  }
}

void put_role(Layout& page, const Incident& incident, const ProcessEnd& end) {
  if (!end.main_process_known) {
    page.piece(", ", "main process or child: not known");
  } else if (is_container(incident.container.runtime)) {
    // Who is asked may handle it, and end with whatever code it likes.
    const std::string code = end.signal == SIGTERM ? "" : ": exit " + std::to_string(128 + end.signal);
    page.piece(", ", end.main_process ? "main process" + code : "a child: the container may live on");
  }
}

}  // namespace

void put_end(Layout& page, const Incident& incident) {
  if (!incident.end) {
    return;
  }
  const ProcessEnd& end = *incident.end;
  page.row("ended");
  page.piece("", escape_terminal(end.cmdline.empty() ? end.comm : end.cmdline), Tone::kBold);
  page.piece("   ", pid_words(end.pid, end.container_pid));
  put_role(page, incident, end);
  page.row("signal");
  page.piece("", signal_name(end.signal), Tone::kBold);
  if (end.core_dumped) {
    page.piece(kDot, "core dumped");
  }
  if (end.by_kernel) {
    page.piece(kDot, "by the kernel");
  } else if (end.without_info && end.signal == SIGKILL) {
    page.piece(kDot, "by cgroup.kill or a parent's death");
  }
  if (end.sender && !end.by_kernel) {
    page.row("sent by");
    put_sender(page, "", *end.sender);
  }
  if (end.asked) {
    page.row("asked");
    page.piece("", signal_name(end.asked->signal) + ", " + milliseconds(end.asked->before_ms) + " before");
    if (end.asked->sender) {
      put_sender(page, kDot, *end.asked->sender);
    }
  }
  if (end.left_out > 0) {
    page.row("");
    page.words("", counted(end.left_out, "end", "ends") + " of this cgroup before it were left out by the rate limit",
               Tone::kNotice);
  }
}

}  // namespace memcrest::view
