// SPDX-License-Identifier: Apache-2.0
#include "export/container_json.h"

namespace memcrest {

Json container_json(const Container& container) {
  Json labels = Json::object();
  for (const auto& [key, value] : container.labels) {
    // Two keys that differ only in invalid bytes become one: the first stays, an object must not repeat a key.
    labels.emplace(text(key), text(value));
  }
  Json json;
  json["runtime"] = to_string(container.runtime);
  json["id"] = text_or_null(container.id);
  json["name"] = text_or_null(container.name);
  json["image"] = text_or_null(container.image);
  json["labels"] = std::move(labels);
  json["unknown_reason"] = text_or_null(container.unknown_reason);
  return json;
}

}  // namespace memcrest
