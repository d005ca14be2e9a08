// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_lines.h"

#include <gmock/gmock.h>

#include "sizing/judge_size.h"
#include "support/sizing_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using testing::HasSubstr;
using testing::Not;

SizingReport report_of(std::vector<SizedUsage> usages) {
  SizingReport out;
  for (SizedUsage& one : usages) {
    out.sizings.push_back(judge_size(std::move(one), out.settings));
  }
  return out;
}

SizedUsage in_pod(std::uint64_t peak, std::optional<Owner> owner) {
  SizedUsage out = usage_of(peak, std::nullopt);
  out.container.runtime = Runtime::kContainerd;
  out.container.name = "app";
  out.container.pod.emplace().name = "cart-1";
  out.container.pod->name_space = "shop";
  out.container.pod->owner = std::move(owner);
  return out;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t out = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++out;
  }
  return out;
}

TEST(SizingLines, DockerIsAScriptOfWhatChanges) {
  SizedUsage fine = usage_of(50_MiB, 100_MiB);
  fine.container.name = fine.label = "good";
  const std::string text = to_lines(report_of({usage_of(100_MiB, 1_GiB), fine}), LineFormat::kDocker);
  EXPECT_THAT(text, HasSubstr("\ndocker update --memory 120m --memory-swap 120m web\n"));
  EXPECT_THAT(text, Not(HasSubstr("good")));
}

TEST(SizingLines, ComposeNamesEachServiceOnceWithTheLargestLimit) {
  SizedUsage other = usage_of(200_MiB, 1_GiB);
  SizedUsage db = usage_of(50_MiB, 1_GiB);
  db.container.labels["com.docker.compose.service"] = "db";
  const std::string text = to_lines(report_of({usage_of(100_MiB, 1_GiB), other, db}), LineFormat::kCompose);
  EXPECT_EQ(count(text, "services:\n"), 1U);
  EXPECT_EQ(count(text, "  \"web\":\n"), 1U);
  EXPECT_EQ(count(text, "  \"db\":\n"), 1U);
  EXPECT_THAT(text, HasSubstr("memory: 240m\n"));
  EXPECT_THAT(text, Not(HasSubstr("memory: 120m\n")));
}

TEST(SizingLines, KubernetesPatchesTheOwner) {
  const Owner owner{"Deployment", "cart"};
  const std::string text = to_lines(report_of({in_pod(100_MiB, owner), in_pod(200_MiB, owner), in_pod(50_MiB, {})}),
                                    LineFormat::kKubernetes);
  EXPECT_THAT(text, HasSubstr("# patch of Deployment shop/cart, container app\n"));
  EXPECT_THAT(text, HasSubstr("its owner is not known"));
  EXPECT_EQ(count(text, "---\n"), 1U);
  EXPECT_THAT(text, HasSubstr("limits:\n            memory: 240Mi\n"));
  EXPECT_THAT(text, HasSubstr("requests:\n            memory: 100Mi\n")) << "the 95th percentile of its windows";
}

TEST(SizingLines, WhatHasNoLineIsSaid) {
  const std::string text = to_lines(report_of({in_pod(100_MiB, {})}), LineFormat::kDocker);
  EXPECT_THAT(text, HasSubstr("# no line of this format for web"));
  SizedUsage leak = oomed(64_MiB);
  leak.leak_confidence = 0.9;
  EXPECT_THAT(to_lines(report_of({leak}), LineFormat::kDocker), HasSubstr("# no limit advised for web: leaking"));
}

TEST(SizingLines, NamesEndNoComment) {
  SizedUsage usage = usage_of(100_MiB, 1_GiB);
  const std::string evil = "a\nrm -rf /\r\n\xe2\x80\xa8$(reboot)'\"";
  usage.label = usage.container.name = evil;
  usage.container.labels["com.docker.compose.service"] = evil;
  usage.container.labels["com.docker.compose.project"] = evil;
  SizedUsage pod = in_pod(100_MiB, Owner{evil, evil});
  pod.container.name = pod.container.pod->name_space = evil;
  SizingReport report = report_of({usage, pod});
  report.gaps = {evil};
  for (const auto format : {LineFormat::kDocker, LineFormat::kCompose, LineFormat::kKubernetes}) {
    const std::string text = to_lines(report, format);
    EXPECT_THAT(text, Not(HasSubstr("\nrm"))) << text;
    EXPECT_THAT(text, Not(HasSubstr("\r")));
    EXPECT_THAT(text, Not(HasSubstr("\xe2\x80\xa8")));
  }
}

}  // namespace
}  // namespace memcrest
