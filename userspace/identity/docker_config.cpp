// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_config.h"

#include "identity/docker_json.h"
#include "identity/json_walker.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxNameBytes = 4096;

std::unexpected<Error> bad_config(std::string why) {
  return fail("read Docker's record of the container", {}, EPROTO, std::move(why));
}

}  // namespace

Result<Container> read_docker_config(std::string_view json, const std::string& id) {
  Container container;
  std::string their_id;
  std::size_t label_bytes = 0;
  JsonWalker walker;
  walker.on_value = [&](const JsonWalker::Path& path, const JsonWalker::Value& value) {
    if (!value.is_text()) {
      return;
    }
    if (path.size() == 1 && path[0] == "ID") {
      their_id = cut_utf8(value.text, kMaxNameBytes);
    } else if (path.size() == 1 && path[0] == "Name") {
      container.name = cut_utf8(value.text.substr(value.text.starts_with('/') ? 1 : 0), kMaxNameBytes);
    } else if (path.size() == 2 && path[0] == "Config" && path[1] == "Image") {
      container.image = cut_utf8(value.text, kMaxNameBytes);
    } else if (path.size() == 3 && path[0] == "Config" && path[1] == "Labels") {
      std::string kept = cut_utf8(value.text, kMaxLabelBytes);
      const std::size_t bytes = path[2].size() + kept.size();
      if (path[2].size() <= kMaxLabelBytes && container.labels.size() < kMaxLabels &&
          label_bytes + bytes <= kMaxAllLabelBytes) {
        label_bytes += bytes;
        container.labels.insert_or_assign(path[2], std::move(kept));
      }
    }
  };
  if (!walker.walk(json)) {
    return bad_config(walker.why());
  }
  if (their_id != id) {
    return bad_config("it is about another container");
  }
  if (container.name.empty()) {
    return bad_config("it has no name");
  }
  container.id = id;
  container.runtime = Runtime::kDocker;
  return container;
}

}  // namespace memcrest
