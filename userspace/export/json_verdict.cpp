// SPDX-License-Identifier: Apache-2.0
#include "export/json_verdict.h"

namespace memcrest {
namespace {

constexpr Cause kCauses[] = {Cause::kUnknown,
                             Cause::kLimitTooSmallForBurst,
                             Cause::kLeak,
                             Cause::kGrowthToPlateau,
                             Cause::kPageCache,
                             Cause::kTmpfs,
                             Cause::kKernelMemory,
                             Cause::kManyProcesses,
                             Cause::kRuntimeHeapVsLimit,
                             Cause::kAncestorLimit,
                             Cause::kHostExhausted,
                             Cause::kSwapFull,
                             Cause::kCpuset,
                             Cause::kMempolicy,
                             Cause::kLimitLowered,
                             Cause::kAskedFor,
                             Cause::kStoppedByRuntime,
                             Cause::kStoppedByServiceManager,
                             Cause::kEarlyOomKiller,
                             Cause::kKilledFromHost,
                             Cause::kKilledWithin,
                             Cause::kKilledByKernel,
                             Cause::kCrashed,
                             Cause::kAborted};
constexpr CompositionSource kSources[] = {CompositionSource::kKernelLog, CompositionSource::kVictims,
                                          CompositionSource::kGrowth};

Json cause_json(const JudgedCause& cause) {
  Json json;
  json["cause"] = to_string(cause.cause);
  json["confidence"] = finite(cause.confidence);
  json["reasons_for"] = array_json(cause.reasons_for, text);
  json["reasons_against"] = array_json(cause.reasons_against, text);
  return json;
}

Json verdict_json(const Verdict& verdict) {
  Json json;
  json["text"] = text(verdict.text);
  json["causes"] = array_json(verdict.causes, cause_json);
  return json;
}

Json line_json(const AdviceLine& line) {
  Json json;
  json["tool"] = text(line.tool);
  json["text"] = text(line.text);
  return json;
}

Json advice_json(const Advice& advice) {
  Json json;
  json["text"] = text(advice.text);
  json["needed_bytes"] = number_or_null(advice.needed_bytes);
  json["needed_estimated"] = advice.needed_estimated;
  json["limit_bytes"] = number_or_null(advice.limit_bytes);
  json["limit_guessed"] = advice.limit_guessed;
  json["margin_percent"] = advice.margin_percent;
  json["lines"] = array_json(advice.lines, line_json);
  return json;
}

Json part_json(const CompositionPart& part) {
  Json json;
  json["name"] = text(part.name);
  json["bytes"] = part.bytes;
  return json;
}

Json composition_json(const Composition& composition) {
  Json json;
  json["source"] = to_string(composition.source);
  json["total_bytes"] = number_or_null(composition.total_bytes);
  json["parts"] = array_json(composition.parts, part_json);
  return json;
}

Json trend_json(const FloorTrend& trend) {
  Json json;
  json["window_ms"] = span_ms(trend.window_ms);
  json["floors"] = trend.floors;
  json["first_bytes"] = trend.first_bytes;
  json["last_bytes"] = trend.last_bytes;
  json["slope_bytes_per_s"] = finite(trend.slope_bytes_per_s);
  json["p_value"] = finite(trend.p_value);
  json["rising"] = trend.rising;
  json["levelling"] = trend.levelling;
  json["falls"] = trend.falls;
  json["from_start"] = trend.from_start;
  json["with_rise"] = trend.with_rise;
  json["horizon_ms"] = trend.horizon_ms ? Json(span_ms(*trend.horizon_ms)) : Json(nullptr);
  return json;
}

Json setting_json(const RuntimeSetting& setting) {
  Json json;
  json["pid"] = pid_or_null(setting.pid);
  json["comm"] = text(setting.comm);
  json["name"] = text(setting.name);
  json["value"] = text(setting.value);
  json["bytes"] = number_or_null(setting.bytes);
  json["from"] = text_or_null(setting.from);
  return json;
}

Json processes_json(const ProcessCount& processes) {
  Json json;
  json["count"] = processes.count;
  json["largest_bytes"] = processes.largest_bytes;
  json["total_bytes"] = processes.total_bytes;
  return json;
}

void read_cause(const JsonReader& json, JudgedCause& out) {
  json.word("cause", out.cause, kCauses);
  json.real("confidence", out.confidence);
  json.texts("reasons_for", out.reasons_for);
  json.texts("reasons_against", out.reasons_against);
}

void read_line(const JsonReader& json, AdviceLine& out) {
  json.text("tool", out.tool);
  json.text("text", out.text);
}

void read_advice(const JsonReader& json, Advice& out) {
  json.text("text", out.text);
  json.number("needed_bytes", out.needed_bytes);
  json.boolean("needed_estimated", out.needed_estimated);
  json.number("limit_bytes", out.limit_bytes);
  json.boolean("limit_guessed", out.limit_guessed);
  json.number("margin_percent", out.margin_percent);
  json.objects("lines", out.lines, read_line);
}

void read_part(const JsonReader& json, CompositionPart& out) {
  json.text("name", out.name);
  json.number("bytes", out.bytes);
}

void read_composition(const JsonReader& json, Composition& out) {
  json.word("source", out.source, kSources);
  json.number("total_bytes", out.total_bytes);
  json.objects("parts", out.parts, read_part);
}

void read_trend(const JsonReader& json, FloorTrend& out) {
  json.real("window_ms", out.window_ms);
  json.number("floors", out.floors);
  json.number("first_bytes", out.first_bytes);
  json.number("last_bytes", out.last_bytes);
  json.real("slope_bytes_per_s", out.slope_bytes_per_s);
  json.real("p_value", out.p_value);
  json.boolean("rising", out.rising);
  json.boolean("levelling", out.levelling);
  json.number("falls", out.falls);
  json.boolean("from_start", out.from_start);
  json.boolean("with_rise", out.with_rise);
  if (json.has("horizon_ms")) {
    json.real("horizon_ms", out.horizon_ms.emplace());
  }
}

void read_setting(const JsonReader& json, RuntimeSetting& out) {
  json.number("pid", out.pid);
  json.text("comm", out.comm);
  json.text("name", out.name);
  json.text("value", out.value);
  json.number("bytes", out.bytes);
  json.text("from", out.from);
}

void read_processes(const JsonReader& json, ProcessCount& out) {
  json.number("count", out.count);
  json.number("largest_bytes", out.largest_bytes);
  json.number("total_bytes", out.total_bytes);
}

}  // namespace

void add_verdict(Json& json, const Incident& incident) {
  json["verdict"] = object_or_null(incident.verdict, verdict_json);
  json["advice"] = object_or_null(incident.advice, advice_json);
  json["composition"] = object_or_null(incident.composition, composition_json);
  json["trend"] = object_or_null(incident.trend, trend_json);
  json["processes"] = object_or_null(incident.processes, processes_json);
  json["settings"] = array_json(incident.settings, setting_json);
  json["mapped_bytes"] = number_or_null(incident.mapped_bytes);
}

void read_verdict(const JsonReader& json, Incident& out) {
  json.object("verdict", out.verdict, [](const JsonReader& verdict, Verdict& into) {
    verdict.text("text", into.text);
    verdict.objects("causes", into.causes, read_cause);
  });
  json.object("advice", out.advice, read_advice);
  json.object("composition", out.composition, read_composition);
  json.object("trend", out.trend, read_trend);
  json.object("processes", out.processes, read_processes);
  json.objects("settings", out.settings, read_setting);
  json.number("mapped_bytes", out.mapped_bytes);
}

}  // namespace memcrest
