// SPDX-License-Identifier: Apache-2.0
#include "app/recorded_cgroups.h"

#include <unordered_map>

#include "identity/container_filter.h"
#include "store/container_fields.h"
#include "store/json_fields.h"

namespace memcrest {
namespace {

constexpr int kMaxDepth = 16;

// All that is known is in the JSON; a recording whose JSON says nothing still has its columns.
Container container_of(const RecordedContainer& recorded) {
  const auto shallow = [](int depth, FieldsJson::parse_event_t, FieldsJson&) { return depth <= kMaxDepth; };
  const FieldsJson json = FieldsJson::parse(recorded.json, shallow, false);
  Container out;
  if (json.is_object() && FieldsReader::read(json, out)) {
    return out;
  }
  out = {};
  out.runtime = parse_runtime(recorded.runtime).value_or(Runtime::kUnknown);
  out.id = recorded.id;
  out.name = recorded.name;
  out.image = recorded.image;
  if (!recorded.pod.empty()) {
    out.pod.emplace().name = recorded.pod;
    out.pod->name_space = recorded.name_space;
  }
  return out;
}

}  // namespace

Result<ExportedCgroups> cgroups_of(const RecordingReader& reader) {
  const auto containers = reader.containers();
  if (!containers) {
    return std::unexpected(containers.error());
  }
  const auto cgroups = reader.cgroups();
  if (!cgroups) {
    return std::unexpected(cgroups.error());
  }
  std::unordered_map<std::int64_t, Container> by_row;
  for (const RecordedContainer& one : *containers) {
    by_row.emplace(one.row, container_of(one));
  }
  std::vector<ExportedCgroup> out;
  out.reserve(cgroups->size());
  for (const RecordedCgroup& one : *cgroups) {
    const auto container = one.container ? by_row.find(*one.container) : by_row.end();
    out.push_back({.cgroup_id = one.cgroup_id,
                   .serial = one.serial,
                   .path = one.path,
                   .container = container == by_row.end() ? Container() : container->second,
                   .label = {}});
  }
  return ExportedCgroups(std::move(out));
}

}  // namespace memcrest
