// SPDX-License-Identifier: Apache-2.0
#include "collector/live_surroundings.h"

#include <utility>
#include <variant>

namespace memcrest {
namespace {

constexpr std::size_t kMaxProcesses = 16384;

}  // namespace

MemcgFiles files_of(const CgroupTree& tree) {
  return {tree.version(), tree.limit_file(), tree.peak_file(), tree.swap_limit_file()};
}

LiveSurroundings::LiveSurroundings(Resolver& resolver, const CgroupTree& tree, const Clock& clock,
                                   const SystemRoot& root, CmdlineDetail cmdlines, SymbolizerSettings symbols)
    : resolver_(resolver),
      tree_(tree),
      clock_(clock),
      processes_(root, kMaxProcesses, cmdlines),
      sampler_(tree, resolver, clock),
      ranking_(tree, resolver, clock),
      symbolizer_(std::move(symbols), root) {
  processes_.read_running();
}

void LiveSurroundings::note(const Event& event) {
  std::visit([this](const auto& typed) { note(typed); }, event);
}

void LiveSurroundings::note(const StepEvent& event) {
  ranking_.note(event.cgroup_id, event.time_ns, event.usage_bytes);
  if (!event.foreign) {
    processes_.seen(event.task.process, true);
    symbolizer_.seen(event.task, event.user_stack, event.kernel_stack, event.unwound);
  }
}

void LiveSurroundings::note(const ExecEvent& event) {
  processes_.started(event);
  symbolizer_.started(event.task.process);
}

// While the victim still lives: after this its command line goes. Those that it comes from may follow.
void LiveSurroundings::note(const VictimEvent& event) {
  ranking_.note_kill(event.time_ns, event.chain);
  processes_.seen(event.task.process, true);
  for (const RelativeInfo& parent : event.parents) {
    processes_.seen(parent.process);
  }
}

// While it still lives, which a kill(1) does not for long.
void LiveSurroundings::note(const KillEvent& event) {
  if (!event.from_kernel) {
    processes_.seen(event.sender.process);
  }
}

void LiveSurroundings::note(const BreakpointEvent& event) {
  if (!event.late) {
    processes_.seen(event.task.process, true);
    symbolizer_.seen(event.task, event.user_stack, event.kernel_stack, false);
  }
}

void LiveSurroundings::note(const CgroupEvent& event) {
  if (!event.created) {
    sampler_.forget(event.cgroup_id);
    ranking_.forget(event.cgroup_id);
    resolver_.removed(event.cgroup_id);
  } else if (!event.path_cut) {
    // A cut path would name the wrong cgroup: then the resolver looks for the id itself.
    resolver_.appeared(event.cgroup_id, event.path);
  }
}

std::string LiveSurroundings::stream_gap(const Container& container, const std::string& cgroup_path) {
  return memcrest::stream_gap(resolver_.streams(), container, cgroup_path);
}

std::optional<std::uint64_t> LiveSurroundings::number(const std::string& cgroup_path, const std::string& file) {
  return tree_.read_number(cgroup_path, file).value_or(std::nullopt);
}

std::vector<SampleEvent> LiveSurroundings::sample(const std::vector<std::uint64_t>& cgroup_ids) {
  std::vector<SampleEvent> out;
  sampler_.sample(cgroup_ids, out);
  return out;
}

}  // namespace memcrest
