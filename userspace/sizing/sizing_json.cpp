// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_json.h"

#include "export/container_json.h"
#include "export/json_value.h"
#include "util/units.h"

namespace memcrest {
namespace {

Json time_or_null(const std::optional<std::int64_t>& unix_ns) {
  return unix_ns ? Json(format_rfc3339(*unix_ns)) : Json(nullptr);
}

Json loss_json(const LossCount& lost) {
  Json json;
  json["critical"] = lost.critical;
  json["bulk"] = lost.bulk;
  json["throttled"] = lost.throttled;
  json["invalid"] = lost.invalid;
  json["untracked"] = lost.untracked;
  return json;
}

// null without windows: nothing was seen.
Json percentiles_json(const WindowPeaks& peaks) {
  if (peaks.windows() == 0) {
    return nullptr;
  }
  Json json;
  for (const unsigned percent : {50U, 90U, 95U, 99U, 100U}) {
    json["p" + std::to_string(percent)] = peaks.percentile(percent);
  }
  return json;
}

Json ooms_json(const SizedOoms& ooms) {
  Json json;
  json["own_limit"] = ooms.own;
  json["elsewhere"] = ooms.elsewhere;
  json["limit_bytes"] = ooms.own == 0 ? Json(nullptr) : Json(ooms.limit_bytes);
  json["page_cache_share"] = ooms.cache_share ? Json(finite(*ooms.cache_share)) : Json(nullptr);
  return json;
}

Json limit_json(const OtherLimit& limit) {
  Json json;
  json["bytes"] = limit.bytes;
  json["kind"] = to_string(limit.kind);
  json["windows_above"] = number_or_null(limit.windows_above);
  return json;
}

Json line_json(const AdviceLine& line) {
  Json json;
  json["tool"] = text(line.tool);
  json["text"] = text(line.text);
  return json;
}

Json sizing_json(const Sizing& one) {
  const SizedUsage& usage = one.usage;
  const bool seen = usage.peaks.windows() > 0;
  Json json;
  json["name"] = text(usage.label);
  json["container"] = container_json(usage.container);
  json["cgroup"]["id"] = usage.cgroup.id;
  json["cgroup"]["path"] = text(usage.cgroup.path);
  json["containers"] = usage.containers;
  json["class"] = to_string(one.size_class);
  json["reasons"] = array_json(one.reasons, text);
  json["has_limit"] = usage.limit_known ? Json(usage.limit_bytes.has_value()) : Json(nullptr);
  json["limit_bytes"] = number_or_null(usage.limit_bytes);
  json["limits_differ"] = usage.limits_differ;
  json["peak_bytes"] = seen ? Json(usage.peak_bytes) : Json(nullptr);
  json["peak_exact"] = usage.peak_exact;
  json["mark_bytes"] = usage.mark_bytes == 0 ? Json(nullptr) : Json(usage.mark_bytes);
  json["windows"] = usage.peaks.windows();
  json["observed_ns"] = usage.observed_ns;
  json["window_peaks"] = percentiles_json(usage.peaks);
  json["window_peaks_grain_bytes"] = usage.peaks.grain();
  json["page_cache_share"] = usage.cache_share() ? Json(finite(*usage.cache_share())) : Json(nullptr);
  json["reclaim_ns"] = usage.reclaim_ns;
  json["suppressed_steps"] = usage.suppressed;
  json["ooms"] = ooms_json(usage.ooms);
  json["leak_confidence"] = usage.leak_confidence ? Json(finite(*usage.leak_confidence)) : Json(nullptr);
  json["needed_bytes"] = number_or_null(one.needed_bytes);
  json["needed_estimated"] = one.needed_estimated;
  json["advised_bytes"] = number_or_null(one.advised_bytes);
  json["advised_guessed"] = one.advised_guessed;
  json["request_bytes"] = number_or_null(one.request_bytes);
  json["other_limits"] = array_json(one.other_limits, limit_json);
  json["lines"] = array_json(one.lines, line_json);
  return json;
}

}  // namespace

std::string to_json(const SizingReport& report) {
  Json json;
  json["schema"] = "memcrest.advise.v1";
  json["host"] = text_or_null(report.host);
  json["charge_tier"] = text_or_null(report.charge_tier);
  json["live"] = report.live;
  json["recordings"] = report.recordings;
  json["begin"] = time_or_null(report.begin_unix_ns);
  json["end"] = time_or_null(report.end_unix_ns);
  json["window_ns"] = report.settings.window.count();
  json["least_windows"] = kLeastWindows;
  json["margin_percent"] = report.settings.margin_percent;
  json["by"] = to_string(report.settings.by);
  json["complete"] = report.gaps.empty();
  json["gaps"] = array_json(report.gaps, text);
  json["notes"] = array_json(report.notes, text);
  json["lost"] = loss_json(report.lost);
  json["left_out"] = report.left_out;
  json["containers"] = array_json(report.sizings, sizing_json);
  return to_line(json);
}

}  // namespace memcrest
