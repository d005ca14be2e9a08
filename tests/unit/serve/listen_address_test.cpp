// SPDX-License-Identifier: Apache-2.0
#include "serve/listen_address.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "serve/http_server.h"

namespace memcrest {
namespace {

TEST(ListenAddressTest, TellsWhatLeavesTheHost) {
  EXPECT_TRUE(parse_listen_address("127.0.0.1:9464")->local);
  EXPECT_TRUE(parse_listen_address("127.9.0.1:1")->local);
  EXPECT_TRUE(parse_listen_address("[::1]:9464")->local);
  EXPECT_TRUE(parse_listen_address("unix:/run/x")->local);
  EXPECT_FALSE(parse_listen_address("0.0.0.0:9464")->local);
  EXPECT_FALSE(parse_listen_address("[::]:9464")->local);
  EXPECT_FALSE(parse_listen_address("10.0.0.1:9464")->local);
}

TEST(ListenAddressTest, RefusesWhatIsNone) {
  for (const char* text : {"", ":", "9464", "localhost:80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x", "::1:80",
                           "[::1]", "unix:", "unix:relative", "127.0.0.1:-1"}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
  EXPECT_FALSE(parse_listen_address("unix:/" + std::string(200, 'a')));
}

TEST(ListenAddressTest, BeyondTheHostNeedsTlsAndAToken) {
  HttpSettings settings;
  EXPECT_TRUE(check_http_settings(settings));
  settings.listen = "0.0.0.0:9464";
  EXPECT_FALSE(check_http_settings(settings));
  settings.token = "0123456789abcdef";
  EXPECT_FALSE(check_http_settings(settings));
  settings.tls_certificate = "/c";
  EXPECT_FALSE(check_http_settings(settings));
  settings.tls_key = "/k";
  EXPECT_TRUE(check_http_settings(settings));
  settings.token.clear();
  EXPECT_FALSE(check_http_settings(settings));
}

TEST(ListenAddressTest, NamesOfOthersAreNoPlainHost) {
  EXPECT_TRUE(is_plain_host("127.0.0.1:9464"));
  EXPECT_TRUE(is_plain_host("[::1]:9464"));
  EXPECT_TRUE(is_plain_host("localhost"));
  EXPECT_FALSE(is_plain_host("evil.example:9464"));
  EXPECT_FALSE(is_plain_host(""));
  EXPECT_FALSE(is_plain_host("127.0.0.1.evil.example"));
}

TEST(ListenAddressTest, ReplacesASocketThatNobodyListensOn) {
  const std::string path = testing::TempDir() + "/listen.sock";
  {
    const auto first = listen_on(*parse_listen_address("unix:" + path));
    ASSERT_TRUE(first) << first.error().message();
    struct stat about{};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0660U);
    EXPECT_FALSE(listen_on(*parse_listen_address("unix:" + path)));  // somebody does
  }
  EXPECT_TRUE(listen_on(*parse_listen_address("unix:" + path)));
}

}  // namespace
}  // namespace memcrest
