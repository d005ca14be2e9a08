// SPDX-License-Identifier: Apache-2.0
#include "app/recorded_settings.h"

#include "store/json_fields.h"

namespace memcrest {

template <typename V, Some<MemcgFiles> E>
void fields(V& v, E& e) {
  v.always("version", e.version);
  v("limit", e.limit);
  v("peak", e.peak);
  v("swap_limit", e.swap_limit);
}

template <typename V, Some<BurstSettings> E>
void fields(V& v, E& e) {
  v("min_bytes", e.min_bytes);
  v.always("window_ns", e.window);
  v.always("max_cgroups", e.max_cgroups);
  v("foreign_wait_ns", e.foreign_wait);
}

template <typename V, Some<OomSettings> E>
void fields(V& v, E& e) {
  v.always("settle_ns", e.settle);
  v.always("group_settle_ns", e.group_settle);
  v.always("log_wait_ns", e.log_wait);
  v.always("group_log_wait_ns", e.group_log_wait);
  v.always("host_log_wait_ns", e.host_log_wait);
  v("memsw", e.memsw);
  v.always("page_size", e.page_size);
}

template <typename V, Some<Host> E>
void fields(V& v, E& e) {
  v("name", e.name);
  v("kernel", e.kernel);
  v("boot_id", e.boot_id);
}

template <typename V, Some<CollectorSettings> E>
void fields(V& v, E& e) {
  v("files", e.files);
  v("bursts", e.bursts);
  v("ooms", e.ooms);
  v("charge_tier", e.charge_tier);
  v("oom_tier", e.oom_tier);
  v("standing_gaps", e.standing_gaps);
  v("host", e.host);
  v("host_memory_bytes", e.host_memory_bytes);
  v.always("identity_wait_ns", e.identity_wait);
  v("stalls_are_seen", e.stalls_are_seen);
  v("throttle_is_seen", e.throttle_is_seen);
  v("falls_are_seen", e.falls_are_seen);
  v("ends_are_told", e.ends_are_told);
}

namespace {

constexpr const char* kSettings = "settings";

}  // namespace

std::map<std::string, std::string> meta_of(const CollectorSettings& settings) {
  return {{"memcrest_version", MEMCREST_VERSION},
          {"host_name", settings.host.name},
          {"kernel", settings.host.kernel},
          {"boot_id", settings.host.boot_id},
          {"charge_tier", settings.charge_tier},
          {"oom_tier", settings.oom_tier},
          {kSettings, FieldsWriter::json_of(settings).dump()}};
}

Result<CollectorSettings> settings_of(const std::map<std::string, std::string>& meta) {
  const auto found = meta.find(kSettings);
  if (found == meta.end()) {
    return fail("read the recording's settings", "", EBADMSG, "it has none");
  }
  const FieldsJson json = FieldsJson::parse(found->second, nullptr, false);
  CollectorSettings out;
  if (json.is_discarded() || !json.is_object()) {
    return fail("read the recording's settings", "", EBADMSG, "no JSON object");
  }
  FieldsReader reader(json);
  fields(reader, out);
  if (!reader.bad().empty()) {
    return fail("read the recording's settings", reader.bad(), EBADMSG, "no such value");
  }
  return out;
}

}  // namespace memcrest
