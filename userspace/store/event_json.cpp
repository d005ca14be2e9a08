// SPDX-License-Identifier: Apache-2.0
#include "store/event_json.h"

#include <array>
#include <variant>

#include "store/event_fields.h"
#include "store/json_fields.h"

namespace memcrest {

namespace {

// In the order of Event's alternatives.
constexpr std::array kKinds{"step",   "sample", "exec",           "throttle", "oom",       "victim", "kill",
                            "cgroup", "exit",   "charge_failure", "log_oom",  "oom_count", "stuck",  "breakpoint"};
static_assert(kKinds.size() == std::variant_size_v<Event>);
constexpr int kMaxDepth = 16;

template <std::size_t I = 0>
Result<Event> read_as(std::size_t index, const FieldsJson& json) {
  if constexpr (I == std::variant_size_v<Event>) {
    return fail("read an event", "", EBADMSG, "unknown kind");
  } else {
    if (index != I) {
      return read_as<I + 1>(index, json);
    }
    std::variant_alternative_t<I, Event> event;
    FieldsReader reader(json);
    fields(reader, event);
    if (!reader.bad().empty()) {
      return fail("read an event", kKinds[I], EBADMSG, "its field " + reader.bad() + " has no such value");
    }
    return Event(std::move(event));
  }
}

}  // namespace

const char* kind_of(const Event& event) { return kKinds[event.index()]; }

std::string event_to_json(const Event& event) {
  return std::visit([](const auto& one) { return FieldsWriter::json_of(one).dump(); }, event);
}

Result<Event> event_from_json(std::string_view kind, std::string_view text) {
  std::size_t index = 0;
  while (index < kKinds.size() && kind != kKinds[index]) {
    ++index;
  }
  const auto shallow = [](int depth, FieldsJson::parse_event_t, FieldsJson&) { return depth <= kMaxDepth; };
  const FieldsJson json = FieldsJson::parse(text, shallow, false);
  if (!json.is_object()) {
    return fail("read an event", std::string(kind), EBADMSG, "no JSON object");
  }
  return read_as(index, json);
}

}  // namespace memcrest
