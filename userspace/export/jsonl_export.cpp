// SPDX-License-Identifier: Apache-2.0
#include "export/jsonl_export.h"

#include "export/json_line.h"
#include "export/json_value.h"
#include "identity/container_filter.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxKept = 16384;

std::string whose_json(const ExportedCgroup& cgroup) {
  JsonLine where;
  where.number("id", cgroup.cgroup_id).number("serial", cgroup.serial).text_or_null("path", cgroup.path);
  std::string out = "\"cgroup\":" + where.take() + ",\"container\":";
  if (cgroup.container.id.empty()) {
    return out + "null";
  }
  const Container& container = cgroup.container;
  JsonLine json;
  json.text("runtime", to_string(container.runtime)).text("id", container.id);
  json.text_or_null("name", container.name).text_or_null("image", container.image);
  json.text_or_null("pod", pod_name(container)).text_or_null("namespace", pod_namespace(container));
  return out + json.take();
}

std::string process_json(const TaskInfo& task) {
  if (task.process.tgid == 0) {
    return "null";
  }
  JsonLine json;
  json.number("pid", task.process.tgid).number("start_boot_time_ns", task.process.start_ns);
  json.number("tid", task.tid).number("container_pid", task.ns_tgid).number("uid", task.uid);
  return json.text("comm", task.comm).text("thread_comm", task.thread_comm).take();
}

template <typename Name>
std::string array_of(const std::vector<std::uint64_t>& stack, Name name) {
  std::string out = "[";
  for (const std::uint64_t address : stack) {
    out += out.size() > 1 ? "," : "";
    append_json_text(out, name(address));
  }
  return out + "]";
}

std::string array_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& one : texts) {
    out += out.size() > 1 ? "," : "";
    append_json_text(out, one);
  }
  return out + "]";
}

std::string loss_json(const LossCount& loss) {
  JsonLine json;
  json.number("critical", loss.critical).number("bulk", loss.bulk).number("throttled", loss.throttled);
  return json.number("invalid", loss.invalid).number("untracked", loss.untracked).take();
}

}  // namespace

void JsonlExport::line(std::string text) {
  text += '\n';
  context_.sink.write(text);
}

const std::string& JsonlExport::whose(const ExportedCgroup& cgroup) {
  // One that is not listed has no place that it keeps.
  if (context_.cgroups.all().empty() || &cgroup < &context_.cgroups.all().front() ||
      &cgroup > &context_.cgroups.all().back()) {
    return unlisted_ = whose_json(cgroup);
  }
  if (whose_.size() >= kMaxKept) {
    whose_.clear();
  }
  const auto [found, is_new] = whose_.try_emplace(&cgroup);
  if (is_new) {
    found->second = whose_json(cgroup);
  }
  return found->second;
}

std::string JsonlExport::user_frames(const StepEvent& step) const {
  return array_of(step.user_stack, [&](std::uint64_t at) { return context_.frames.user(step.task.process, at); });
}

std::string JsonlExport::kernel_frames(const StepEvent& step) const {
  return array_of(step.kernel_stack, [&](std::uint64_t at) { return context_.frames.kernel(at); });
}

void JsonlExport::add(const ExportedStep& step) {
  if (!asked_for(tables_, ExportTable::kSteps)) {
    return;
  }
  const StepEvent& event = step.event;
  JsonLine json;
  json.text("schema", "memcrest.step.v1").time("time", step.unix_ns).number("boot_time_ns", event.time_ns);
  std::string out = json.take();
  out.back() = ',';
  out += whose(step.cgroup);
  json.number("usage_bytes", event.usage_bytes).number("limit_bytes", event.limit_bytes);
  json.number("watermark_bytes", event.watermark_bytes).number("quantum_bytes", event.quantum_bytes);
  json.text_or_null("direction", event.up ? "up" : event.down ? "down" : "");
  json.number("growth_bytes", step.growth.bytes).flag("growth_by_process", step.growth.by_task);
  json.raw("process", process_json(event.task));
  json.flag("ancestor", event.ancestor).flag("foreign", event.foreign).flag("page_cache", event.page_cache);
  json.text("kind", to_string(event.kind));
  json.number("suppressed", event.suppressed).number("oom_events", event.oom_events);
  json.number("reclaim_ns", event.reclaim_ns).number("throttle_ns", event.throttle_ns);
  json.raw("user_stack", user_frames(event)).raw("kernel_stack", kernel_frames(event));
  out += ',';
  out += std::string_view(json.take()).substr(1);
  line(std::move(out));
}

void JsonlExport::add(const ExportedEvent& event) {
  if (!asked_for(tables_, ExportTable::kEvents)) {
    return;
  }
  JsonLine json;
  json.text("schema", "memcrest.event.v1").text("kind", events_.kind(event.event));
  json.time("time", event.unix_ns).number("boot_time_ns", time_of(event.event));
  std::string out = json.take();
  out.back() = ',';
  out += event.cgroup != nullptr ? whose(*event.cgroup) : "\"cgroup\":null,\"container\":null";
  out += ",\"event\":";
  // Again, since what ends a line for some readers may stand in it as it is.
  const Json fields = Json::parse(events_.json(event.event), nullptr, false);
  out += fields.is_discarded() ? "{}" : to_line(fields);
  line(out + "}");
}

void JsonlExport::add(const ExportedLoss& loss) {
  if (!asked_for(tables_, ExportTable::kLoss)) {
    return;
  }
  JsonLine json;
  json.text("schema", "memcrest.loss.v1").time("time", loss.unix_ns).number("boot_time_ns", loss.boot_ns);
  line(json.number("more", loss.more).raw("so_far", loss_json(loss.so_far)).take());
}

void JsonlExport::add(const ExportedIncident& incident) {
  if (asked_for(tables_, ExportTable::kIncidents)) {
    line(incident.json);
  }
}

void JsonlExport::finish(const ExportEnd& end) {
  if (asked_for(tables_, ExportTable::kCgroups)) {
    for (const ExportedCgroup& cgroup : context_.cgroups.all()) {
      line("{\"schema\":\"memcrest.cgroup.v1\"," + whose_json(cgroup) + "}");
    }
  }
  JsonLine host;
  host.text_or_null("name", context_.about("host_name")).text_or_null("kernel", context_.about("kernel"));
  host.text_or_null("boot_id", context_.about("boot_id"));
  JsonLine json;
  json.text("schema", "memcrest.recording.v1").raw("host", host.take());
  json.text_or_null("memcrest_version", context_.about("memcrest_version"));
  json.text_or_null("charge_tier", context_.about("charge_tier")).text_or_null("oom_tier", context_.about("oom_tier"));
  json.flag("complete", end.gaps.empty() && end.lost == LossCount{}).raw("gaps", array_of(end.gaps));
  json.raw("notes", array_of(end.notes));
  line(json.raw("lost", loss_json(end.lost)).take());
}

}  // namespace memcrest
