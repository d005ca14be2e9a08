// SPDX-License-Identifier: Apache-2.0
#include "incident/composition.h"

#include <algorithm>
#include <string>
#include <vector>

#include "incident/saturating.h"

namespace memcrest {
namespace {

std::optional<std::uint64_t> stat(const Incident& incident, std::string_view name) {
  const auto found =
      std::ranges::find(incident.memory_stat, name, [](const auto& one) -> std::string_view { return one.first; });
  return found == incident.memory_stat.end() ? std::nullopt : std::optional(found->second);
}

void put(Composition& out, const char* name, std::uint64_t bytes) {
  if (bytes > 0) {
    out.parts.push_back({name, bytes});
  }
}

std::uint64_t sum(const Composition& composition) {
  std::uint64_t out = 0;
  for (const CompositionPart& part : composition.parts) {
    out = saturating_add(out, part.bytes);
  }
  return out;
}

// What no part names: on v1 that is the kernel's own memory, whose kinds its statistics leave out.
void put_rest(Composition& out, const char* name) {
  if (out.total_bytes && sum(out) < *out.total_bytes) {
    put(out, name, *out.total_bytes - sum(out));
  }
}

std::optional<Composition> from_log(const Incident& incident) {
  Composition out{CompositionSource::kKernelLog, incident.usage_bytes, {}};
  const auto shmem = stat(incident, "total_shmem").or_else([&] { return stat(incident, "shmem"); });
  if (const auto anon = stat(incident, "anon"); anon && stat(incident, "file")) {  // v2
    put(out, "anon", *anon);
    put(out, "file", saturating_sub(*stat(incident, "file"), shmem.value_or(0)));
    put(out, "shmem", shmem.value_or(0));
    for (const char* name : {"slab", "kernel_stack", "pagetables", "sock", "percpu", "vmalloc", "zswap"}) {
      put(out, name, stat(incident, name).value_or(0));
    }
    put_rest(out, "kernel");
    return out;
  }
  const auto rss = stat(incident, "total_rss").or_else([&] { return stat(incident, "rss"); });
  const auto cache = stat(incident, "total_cache").or_else([&] { return stat(incident, "cache"); });
  if (!rss || !cache) {
    return std::nullopt;
  }
  put(out, "anon", *rss);
  put(out, "file", saturating_sub(*cache, shmem.value_or(0)));
  put(out, "shmem", shmem.value_or(0));
  put_rest(out, "kernel");
  return out;
}

std::optional<Composition> from_growth(const Incident& incident) {
  if (!incident.burst || incident.burst->kinds.empty()) {
    return std::nullopt;
  }
  Composition out{CompositionSource::kGrowth, std::nullopt, {}};
  std::uint64_t anon = 0;
  for (const KindShare& kind : incident.burst->kinds) {
    if (kind.kind == MemoryKind::kAnon || kind.kind == MemoryKind::kHugePage) {
      anon = saturating_add(anon, kind.bytes);
    } else {
      put(out, to_string(kind.kind), kind.bytes);
    }
  }
  put(out, "anon", anon);
  return out;
}

// The first victim alone: further ones may share its memory.
std::optional<Composition> from_victims(const Incident& incident) {
  if (incident.victims.empty() || !incident.usage_bytes) {
    return std::nullopt;
  }
  const Victim& victim = incident.victims.front();
  Composition out{CompositionSource::kVictims, incident.usage_bytes, {}};
  put(out, "anon", victim.anon_bytes);
  put(out, "shmem", victim.shmem_bytes);
  put(out, "pagetables", victim.pagetable_bytes);
  if (out.parts.empty() || sum(out) > saturating_add(*incident.usage_bytes, *incident.usage_bytes / 8)) {
    return std::nullopt;
  }
  put_rest(out, "other");
  return out;
}

}  // namespace

double share_of(const Composition& composition, std::string_view name) {
  double all = 0;
  double part = 0;
  for (const CompositionPart& one : composition.parts) {
    all += static_cast<double>(one.bytes);
    part += one.name == name ? static_cast<double>(one.bytes) : 0;
  }
  return all > 0 ? part / all : 0;
}

std::optional<Composition> composition_of(const Incident& incident) {
  auto out = from_log(incident);
  if (!out || out->parts.empty()) {
    // What the victim held says most where it held most of it; otherwise what grew.
    out = from_victims(incident);
    if (!out || share_of(*out, "other") > 0.5) {
      const auto grown = from_growth(incident);
      out = grown ? grown : out;
    }
  }
  if (out) {
    std::ranges::stable_sort(out->parts, std::ranges::greater{}, &CompositionPart::bytes);
  }
  return out;
}

}  // namespace memcrest
