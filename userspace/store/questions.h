// SPDX-License-Identifier: Apache-2.0
// How a recording calls what the collector asks, and the fields of what it is answered. For the sources of this room
// only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "memcrest/surroundings.h"
#include "store/container_fields.h"
#include "store/json_fields.h"

namespace memcrest {

// So many different questions are remembered; then all are forgotten, by recorder and replay alike.
inline constexpr std::size_t kMaxQuestions = 16384;

namespace question {

// Recorded when the collector is about to finish.
inline constexpr const char* kEnd = "end";

inline std::string find(std::uint64_t cgroup_id) { return "container of cgroup " + std::to_string(cgroup_id); }
inline std::string find_path(const std::string& path) { return "container of path " + path; }
inline std::string wait(std::uint64_t cgroup_id) { return "container at last of cgroup " + std::to_string(cgroup_id); }
inline std::string runtime_state(std::uint64_t cgroup_id) { return "state of cgroup " + std::to_string(cgroup_id); }
inline std::string stream_gap(const Container& container, const std::string& cgroup_path) {
  return "events of " + container.id + " in " + cgroup_path;
}
inline std::string number(const std::string& path, const std::string& file) { return file + " of " + path; }
inline std::string rank() { return "ranking"; }
inline std::string complete_names() { return "ranking with names"; }
inline std::string of_process(const char* what, const ProcessKey& process) {
  return std::string(what) + " of process " + std::to_string(process.tgid) + " " + std::to_string(process.start_ns);
}
inline std::string name_stacks(const std::string& incident_id) { return "stacks of incident " + incident_id; }
inline std::string cmdline(const ProcessKey& process) { return of_process("command line", process); }
inline std::string parents(const ProcessKey& process) { return of_process("parents", process); }
inline std::string environment(const ProcessKey& process) { return of_process("environment", process); }
inline std::string exe(const ProcessKey& process) { return of_process("program", process); }

}  // namespace question

template <typename V, Some<CgroupRef> E>
void fields(V& v, E& e) {
  v("id", e.id);
  v("path", e.path);
}

template <typename V, Some<Identity> E>
void fields(V& v, E& e) {
  v("known", e.known);
  v("pending", e.pending);
  v("more_coming", e.more_coming);
  v("cgroup", e.cgroup);
  v("container", e.container);
}

template <typename V, Some<Parent> E>
void fields(V& v, E& e) {
  v("pid", e.pid);
  v("comm", e.comm);
  v("cmdline", e.cmdline);
}

template <typename V, Some<ParentChain> E>
void fields(V& v, E& e) {
  v("parents", e.parents);
}

template <typename V, Some<RankedCgroup> E>
void fields(V& v, E& e) {
  v("cgroup", e.cgroup);
  v.always("runtime", e.runtime);
  v("container_id", e.container_id);
  v("container_name", e.container_name);
  v("pod_name", e.pod_name);
  v("pod_namespace", e.pod_namespace);
  v("usage_bytes", e.usage_bytes);
  v("growth_bytes", e.growth_bytes);
}

template <typename V, Some<HostRanking> E>
void fields(V& v, E& e) {
  v("growth_window_ms", e.growth_window_ms);
  v("by_usage", e.by_usage);
  v("by_growth", e.by_growth);
  v("incomplete", e.incomplete);
}

template <typename V, Some<Frame> E>
void fields(V& v, E& e) {
  v("name", e.name);
  v("module", e.module);
  v("file", e.file);
  v("line", e.line);
  v("build_id", e.build_id);
  v("offset", e.offset);
  v("inlined", e.inlined);
}

template <typename V, Some<NamedStack> E>
void fields(V& v, E& e) {
  v("frames", e.frames);
  v("gap", e.gap);
}

template <typename V, Some<StackNames> E>
void fields(V& v, E& e) {
  v("pending", e.pending);
  v("stacks", e.stacks);
  v("hints", e.hints);
  v("gap", e.gap);
}

// An answer that may be missing.
template <typename T>
struct Maybe {
  std::optional<T> value;
};

template <typename V, typename E>
  requires requires(E e) { e.value.value(); }
void fields(V& v, E& e) {
  v("value", e.value);
}

}  // namespace memcrest
