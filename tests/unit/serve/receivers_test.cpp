// SPDX-License-Identifier: Apache-2.0
#include "serve/receivers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "export/json.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kHostile = "<!here> \n\x1b[2J\xff\"}]&";

Incident hostile() {
  Incident out;
  out.id = "id-1";
  out.container.runtime = Runtime::kDocker;
  out.container.id = std::string(64, 'a');
  out.container.name = kHostile;
  out.unix_ns = 1'795'000'000'000'000'000;
  out.limit.bytes = 64U << 20U;
  out.victims.resize(1);
  out.victims[0].comm = kHostile;
  return out;
}

TEST(ReceiversTest, TemplatesAreJsonWhateverTheNames) {
  const Incident incident = hostile();
  const std::string json = to_json(incident);
  const auto own = nlohmann::json::parse(webhook_body(WebhookFormat::kJson, incident, json));
  EXPECT_EQ(own["schema"], "memcrest.webhook.v1");
  EXPECT_EQ(own["incident"]["id"], "id-1");
  const auto slack = nlohmann::json::parse(webhook_body(WebhookFormat::kSlack, incident, json));
  EXPECT_THAT(slack["text"].get<std::string>(), HasSubstr("&lt;!here&gt;"));
  EXPECT_THAT(slack["text"].get<std::string>(), Not(HasSubstr("<!here>")));
  const auto alerts = nlohmann::json::parse(webhook_body(WebhookFormat::kAlertmanager, incident, json));
  ASSERT_EQ(alerts.size(), 1U);
  EXPECT_EQ(alerts[0]["labels"]["alertname"], "MemcrestOom");
  EXPECT_EQ(alerts[0]["annotations"]["incident_id"], "id-1");
  EXPECT_FALSE(alerts[0]["labels"].contains("pod")) << "empty labels are none";
}

TEST(ReceiversTest, SignatureIsHmacSha256) {
  // printf '1.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
  EXPECT_EQ(webhook_signature("0123456789abcdef", "1", "{}"),
            "v1=2af693cb56b22c16912222aeefdc75a01de562bf70ee2015f41ecea48382997f");
}

TEST(ReceiversTest, UrlsAndHeadersAreChecked) {
  for (const char* url : {"", "ftp://a", "http://", "http://user@a/", "http://a:0/", "http://a:99999/", "http://a/ b",
                          "http://a/\r\nX: y", "http://[::1", "https://a#b"}) {
    EXPECT_FALSE(HttpPost::make(url, {}, {})) << url;
  }
  for (const char* url : {"http://127.0.0.1:4318", "https://[::1]:1/a?b=c", "http://collector"}) {
    EXPECT_TRUE(HttpPost::make(url, {}, {})) << url;
  }
  EXPECT_FALSE(HttpPost::make("http://a", {}, {{"A", "b\r\nC: d"}}));
  EXPECT_FALSE(HttpPost::make("http://a", {}, {{"A b", "c"}}));
  const auto headers = parse_headers("# words\n\nAuthorization: Bearer x:y\r\nX-Scope: 1\n");
  ASSERT_TRUE(headers);
  EXPECT_EQ(*headers, (HttpHeaders{{"Authorization", "Bearer x:y"}, {"X-Scope", "1"}}));
  EXPECT_FALSE(parse_headers("no colon"));
}

TEST(ReceiversTest, AnAnswerThatIsNoMessageIsNoPartialSuccess) {
  EXPECT_EQ(read_partial_success(std::string("\x0a\x06\x08\x03\x12\x02no", 8)).rejected, 3U);
  EXPECT_EQ(read_partial_success(std::string("\x0a\x06\x08\x03\x12\x02no", 8)).message, "no");
  for (const char* bytes : {"", "\x0a", "\x0a\x7f", "{}", "\xff\xff\xff"}) {
    EXPECT_EQ(read_partial_success(bytes).rejected, 0U);
  }
}

TEST(ReceiversTest, TheHostLogGetsOneLineOrFields) {
  const std::string path = testing::TempDir() + "/log-" + std::to_string(::getpid());
  const Fd log(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(log.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::stop_source source;
  const StopEvent stop(source.get_token());
  const std::vector<SpooledIncident> incidents = {{1, "id-1", to_json(hostile())}};
  const auto sent_by = [&](HostLog kind) {
    EXPECT_EQ(make_host_log(kind, path)->send(incidents, stop).outcome, Outcome::kTaken);
    std::string out(65536, 0);
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(::recv(log.get(), out.data(), out.size(), MSG_DONTWAIT), 0)));
    return out;
  };
  const std::string line = sent_by(HostLog::kSyslog);
  EXPECT_THAT(line, testing::StartsWith("<27>"));
  EXPECT_THAT(line, HasSubstr("memcrest["));
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  const std::string entry = sent_by(HostLog::kJournald);
  EXPECT_THAT(entry, testing::StartsWith("MESSAGE\n"));
  EXPECT_THAT(entry, HasSubstr(std::string("MEMCREST_INCIDENT_ID\n\x04\0\0\0\0\0\0\0id-1\n", 34)));
  ::unlink(path.c_str());
  EXPECT_EQ(make_host_log(HostLog::kSyslog, path)->send(incidents, stop).outcome, Outcome::kLater);
}

}  // namespace
}  // namespace memcrest
