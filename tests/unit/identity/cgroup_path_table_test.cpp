// SPDX-License-Identifier: Apache-2.0
// cgroup_paths.txt, row by row: everything that a row does not name must be empty.
#include <gmock/gmock.h>

#include <cctype>
#include <fstream>
#include <map>
#include <sstream>

#include "identity/cgroup_path.h"

namespace memcrest {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

struct Row {
  std::size_t line = 0;
  std::string path;
  std::string runtime;
  std::map<std::string, std::string> want;  // by key; a flag has no value
  std::string from;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    out.push_back(part);
  }
  return out;
}

// Runs of 64 hexadecimal digits with no letter or digit beside them.
std::vector<std::string> long_ids(const std::string& path) {
  std::vector<std::string> out;
  std::string run;
  for (const char c : path + "/") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      run += c;
      continue;
    }
    if (is_container_id(run)) {
      out.push_back(run);
    }
    run.clear();
  }
  return out;
}

// "#1" -> the first of the ids.
std::string with_ids(const std::string& text, const std::vector<std::string>& ids) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#' && i + 1 < text.size()) {
      out += ids.at(static_cast<std::size_t>(text[++i] - '1'));
    } else {
      out += text[i];
    }
  }
  return out;
}

Row read_row(const std::string& text, std::size_t line) {
  const std::vector<std::string> columns = split(text, '\t');
  Row row{.line = line};
  if (columns.size() != 3) {
    ADD_FAILURE() << "line " << line << ": " << columns.size() << " columns";
    return row;
  }
  row.path = columns[0];
  row.from = columns[2];
  const std::vector<std::string> ids = long_ids(row.path);
  for (const std::string& word : split(with_ids(columns[1], ids), ' ')) {
    const std::size_t equals = word.find('=');
    if (row.runtime.empty()) {
      row.runtime = word;
    } else if (equals != std::string::npos) {
      row.want[word.substr(0, equals)] = word.substr(equals + 1);
    } else {
      row.want[is_container_id(word) ? "id" : word] = word;
    }
  }
  return row;
}

std::vector<Row> rows() {
  std::vector<Row> out;
  std::ifstream file(CGROUP_PATHS);
  std::size_t line = 0;
  for (std::string text; std::getline(file, text);) {
    ++line;
    if (!text.empty() && text.front() != '#') {
      out.push_back(read_row(text, line));
    }
  }
  return out;
}

std::string take(Row& row, const std::string& key) {
  const auto node = row.want.extract(key);
  return node ? node.mapped() : "";
}

std::string expected_name(Row& row, const CgroupPath& parsed) {
  if (row.want.contains("name")) {
    return take(row, "name");
  }
  if (!parsed.container_id.empty()) {
    return row.runtime == "lxc" ? parsed.container_id : "";
  }
  return parsed.machine.empty() ? parsed.unit : parsed.machine;
}

void check_container_path(const std::string& path, const CgroupPath& parsed) {
  EXPECT_EQ(parsed.container_path.empty(), parsed.container_id.empty());
  EXPECT_TRUE(path.starts_with(parsed.container_path));
  EXPECT_THAT(parsed.container_path.substr(parsed.container_path.rfind('/') + 1), HasSubstr(parsed.container_id));
  EXPECT_TRUE(parsed.container_path.size() == path.size() || parsed.container_path.empty() ||
              path[parsed.container_path.size()] == '/');
}

void check(Row row) {
  SCOPED_TRACE("line " + std::to_string(row.line) + ": " + row.path + " (" + row.from + ")");
  const CgroupPath parsed = parse_cgroup_path(row.path);
  const Container container = container_from_path(parsed);
  check_container_path(row.path, parsed);
  EXPECT_EQ(to_string(parsed.runtime), row.runtime);
  EXPECT_EQ(parsed.container_id, take(row, "id"));
  EXPECT_EQ(container.name, expected_name(row, parsed));
  EXPECT_EQ(parsed.pod_uid, take(row, "pod"));
  EXPECT_EQ(parsed.qos, take(row, "qos"));
  EXPECT_EQ(parsed.unit, take(row, "unit"));
  EXPECT_EQ(parsed.machine, take(row, "machine"));
  EXPECT_EQ(parsed.docker_candidate, !take(row, "docker?").empty() ||
                                         (parsed.runtime == Runtime::kDocker && is_container_id(parsed.container_id)));
  std::vector<std::string> outer;
  for (const CgroupPath::Outer& around : parsed.outer_ids) {
    outer.push_back(std::string(to_string(around.runtime)) + ":" + around.id);
  }
  EXPECT_THAT(outer, ElementsAreArray(split(take(row, "outer"), ',')));
  EXPECT_EQ(parsed.candidate ? parsed.candidate->name_space + "/" + parsed.candidate->id : "", take(row, "try"));
  if (parsed.candidate) {
    EXPECT_TRUE(row.path.starts_with(parsed.candidate->path)) << parsed.candidate->path;
    EXPECT_TRUE(parsed.candidate->path.ends_with("/" + parsed.candidate->id)) << parsed.candidate->path;
  }
  const std::string why = take(row, "why");
  EXPECT_EQ(parsed.reason.empty(), why.empty()) << parsed.reason;
  EXPECT_THAT(parsed.reason, HasSubstr(why));
  EXPECT_TRUE(row.want.empty()) << "not understood: " << row.want.begin()->first;
}

TEST(CgroupPathTable, EveryRow) {
  const std::vector<Row> all = rows();
  EXPECT_GE(all.size(), 100U);
  for (const Row& row : all) {
    check(row);
  }
}

// The container's own cgroup alone tells the same container, and so does anything that the container makes inside.
TEST(CgroupPathTable, TheContainersOwnCgroupIsEnough) {
  std::size_t containers = 0;
  for (const Row& row : rows()) {
    const CgroupPath parsed = parse_cgroup_path(row.path);
    if (parsed.container_id.empty()) {
      continue;
    }
    ++containers;
    for (const char* below : {"", "/", "/child", "/lxc", "/docker", "/kubepods", "/0/1/2"}) {
      const std::string path = parsed.container_path + below;
      const CgroupPath again = parse_cgroup_path(path);
      EXPECT_EQ(again.container_id, parsed.container_id) << path;
      EXPECT_EQ(again.runtime, parsed.runtime) << path;
      EXPECT_EQ(again.outer_ids, parsed.outer_ids) << path;
      EXPECT_EQ(again.pod_uid, parsed.pod_uid) << path;
      EXPECT_EQ(again.container_path, parsed.container_path) << path;
    }
  }
  EXPECT_GE(containers, 60U);
}

}  // namespace
}  // namespace memcrest
