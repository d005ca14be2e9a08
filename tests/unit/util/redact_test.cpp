// SPDX-License-Identifier: Apache-2.0
#include "util/redact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "util/secret_words.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Arguments = std::vector<std::string>;

Arguments redacted(const Arguments& arguments, bool cut = false, CmdlineDetail detail = CmdlineDetail::kMasked) {
  return redact_arguments({arguments.begin(), arguments.end()}, cut, detail);
}

std::string raw_of(const Arguments& arguments) {
  std::string out;
  for (const std::string& one : arguments) {
    out += one + '\0';
  }
  return out;
}

struct Case {
  Arguments in;
  Arguments out;
};

void expect_all(const std::vector<Case>& cases, bool cut = false) {
  for (const Case& one : cases) {
    EXPECT_EQ(redacted(one.in, cut), one.out) << testing::PrintToString(one.in);
  }
}

// No token of anybody: made of the shapes' own letters.
const std::string kGithub = "ghp_" + std::string(36, 'a');
const std::string kAws = "AKIA" + std::string(16, 'A');
const std::string kJwt = "eyJ" + std::string(20, 'a') + ".eyJ" + std::string(20, 'b') + "." + std::string(20, 'c');
const std::string kPem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";

TEST(Redact, Options) {
  expect_all({
      {{"mysql", "--password", "hunter2", "-u", "root"}, {"mysql", "--password", "***", "-u", "root"}},
      {{"mysql", "--password=hunter2"}, {"mysql", "--password=***"}},
      {{"x", "--PASSWORD", "a b c"}, {"x", "--PASSWORD", "***"}},
      {{"x", "--db-password", "p"}, {"x", "--db-password", "***"}},
      {{"x", "--dbPassword=p"}, {"x", "--dbPassword=***"}},
      {{"x", "-password", "p"}, {"x", "-password", "***"}},
      {{"x", "--token", "t", "--port", "80"}, {"x", "--token", "***", "--port", "80"}},
      {{"x", "--api-key=k"}, {"x", "--api-key=***"}},
      {{"x", "--apikey", "k"}, {"x", "--apikey", "***"}},
      {{"x", "--client-secret", "-1x"}, {"x", "--client-secret", "***"}},
      {{"x", "--pass", "p"}, {"x", "--pass", "***"}},
      {{"redis-server", "--requirepass", "p"}, {"redis-server", "--requirepass", "***"}},
      {{"openssl", "rsa", "-passin", "pass:p"}, {"openssl", "rsa", "-passin", "***"}},
      {{"keytool", "-storepass", "p"}, {"keytool", "-storepass", "***"}},
      {{"java", "-Dspring.datasource.password=p", "-jar", "a.jar"},
       {"java", "-Dspring.datasource.password=***", "-jar", "a.jar"}},
      {{"kubectl", "create", "secret", "generic", "a", "--from-literal=password=p,q;r"},
       {"kubectl", "create", "secret", "generic", "a", "--from-literal=password=***"}},
      {{"helm", "--set", "auth.rootPassword=p"}, {"helm", "--set", "auth.rootPassword=***"}},
      // The value is missing: the next option is none.
      {{"x", "--password", "--verbose", "file"}, {"x", "--password", "--verbose", "file"}},
      {{"x", "--password", "-h", "db"}, {"x", "--password", "-h", "db"}},
      {{"x", "--password"}, {"x", "--password"}},
      {{"x", "--password="}, {"x", "--password="}},
      {{"x", "--password", "", "y"}, {"x", "--password", "", "y"}},
  });
}

TEST(Redact, Assignments) {
  expect_all({
      {{"env", "DB_PASSWORD=a;b&c d", "run"}, {"env", "DB_PASSWORD=***", "run"}},
      {{"env", "MYSQL_PWD=p"}, {"env", "MYSQL_PWD=***"}},
      {{"env", "github_token=t"}, {"env", "github_token=***"}},
      {{"env", "GITHUBTOKEN=t"}, {"env", "GITHUBTOKEN=***"}},
      {{"env", "AWS_SECRET_ACCESS_KEY=k/k+k"}, {"env", "AWS_SECRET_ACCESS_KEY=***"}},
      {{"env", "SSH_PRIVATE_KEY=k"}, {"env", "SSH_PRIVATE_KEY=***"}},
      {{"env", "REGISTRY_CREDENTIALS=c"}, {"env", "REGISTRY_CREDENTIALS=***"}},
      {{"docker", "run", "-e", "PGPASSWORD=p", "img"}, {"docker", "run", "-e", "PGPASSWORD=***", "img"}},
      {{"docker", "run", "-ePASSWD=p"}, {"docker", "run", "-ePASSWD=***"}},
      {{"psql", "host=db password=p dbname=x"}, {"psql", "host=db password=*** dbname=x"}},
      {{"app", "Server=db;Password=a,b;User=u"}, {"app", "Server=db;Password=***"}},
      {{"app", "config[password]=p"}, {"app", "config[password]=***"}},
      {{"http", "password:=p"}, {"http", "password:=***"}},
      {{"curl", "https://h/a?page=1&access_token=t"}, {"curl", "https://h/a?page=1&access_token=***"}},
      {{"curl", "-d", R"({"user":"u","password":"p"})"}, {"curl", "-d", R"({"user":"u","password":***)"}},
      {{"curl", "-d", R"({"password": "a \" b", "user": "u"})"}, {"curl", "-d", R"({"password": *** "user": "u"})"}},
      {{"python", "-c", "connect(user='u', password = 'a b')"}, {"python", "-c", "connect(user='u', password = ***"}},
  });
}

TEST(Redact, CommandsInsideAnArgument) {
  expect_all({
      {{"sh", "-c", "mysql --password=p -u root"}, {"sh", "-c", "mysql --password=*** -u root"}},
      {{"sh", "-c", "mysql --password 'a b' -u root"}, {"sh", "-c", "mysql --password *** -u root"}},
      {{"sh", "-c", "export TOKEN=\"a b\"c; run"}, {"sh", "-c", "export TOKEN=*** run"}},
      {{"sh", "-c", "exec 'app' '--token=t' 80"}, {"sh", "-c", "exec 'app' '--token=***' 80"}},
      {{"sh", "-c", R"(app --password a\ b --port 80)"}, {"sh", "-c", "app --password *** --port 80"}},
      {{"sh", "-c", R"(curl -d "{\"password\": \"a b\", \"u\": 1}" h)"},
       {"sh", "-c", R"(curl -d "{\"password\": *** \"u\": 1}" h)"}},
      {{"sh", "-c", "app --password --verbose file"}, {"sh", "-c", "app --password --verbose file"}},
      {{"sh", "-c", "PASSWORD=a b"}, {"sh", "-c", "PASSWORD=***"}},
      {{"worker: --password p idle"}, {"worker: --password *** idle"}},
  });
}

TEST(Redact, Urls) {
  expect_all({
      {{"app", "postgres://user:pass@db:5432/x"}, {"app", "postgres://user:***@db:5432/x"}},
      {{"app", "--url=redis://:pass@cache:6379"}, {"app", "--url=redis://:***@cache:6379"}},
      {{"app", "amqp://u:p@q@h/v"}, {"app", "amqp://u:***@h/v"}},
      {{"app", "mongodb://u:p@a:1,b:2/db?x=1"}, {"app", "mongodb://u:***@a:1,b:2/db?x=1"}},
      {{"app", "jdbc:mysql://u:p@h/db"}, {"app", "jdbc:mysql://u:***@h/db"}},
      {{"app", "postgres://u:pa/ss@h/db"}, {"app", "postgres://u:***@h/db"}},
      {{"git", "clone", "https://0123456789abcdef0123@host/r"}, {"git", "clone", "https://***@host/r"}},
      {{"sh", "-c", "wget 'http://u:p@h/x' && y"}, {"sh", "-c", "wget 'http://u:***@h/x' && y"}},
      {{"a", "http://u:p@h/@scope", "http://v:q@i"}, {"a", "http://u:***@h/@scope", "http://v:***@i"}},
  });
}

TEST(Redact, HeadersAndTokens) {
  expect_all({
      {{"curl", "-H", "Authorization: Bearer a.b c"}, {"curl", "-H", "Authorization: ***"}},
      {{"curl", "--header=authorization:Basic abc="}, {"curl", "--header=authorization:***"}},
      {{"curl", "-H", "X-Api-Key:k", "h"}, {"curl", "-H", "X-Api-Key:***", "h"}},
      {{"curl", "-H", "Cookie: a=b; c=d"}, {"curl", "-H", "Cookie: ***"}},
      {{"curl", "-H", "Accept: */*", "-H", "PRIVATE-TOKEN: t"},
       {"curl", "-H", "Accept: */*", "-H", "PRIVATE-TOKEN: ***"}},
      {{"sh", "-c", "curl -H 'Authorization: Bearer a b' http://h"},
       {"sh", "-c", "curl -H 'Authorization: ***' http://h"}},
      {{"x", "Authorization:", "Bearer", "abc", "y"}, {"x", "Authorization:", "Bearer", "***", "y"}},
      {{"x", "say Bearer abc now"}, {"x", "say Bearer *** now"}},
      {{"x", kGithub}, {"x", "***"}},
      {{"x", "user/" + kGithub + "@h"}, {"x", "user/***@h"}},
      {{"x", "id=" + kAws + "&a=b"}, {"x", "id=***&a=b"}},
      {{"x", "xoxb-123456789012-abcdef"}, {"x", "***"}},
      {{"x", "--auth", kJwt, "y"}, {"x", "--auth", "***", "y"}},
      {{"x", "key:" + kPem + "!"}, {"x", "key:***!"}},
      {{"x", "-----BEGIN PRIVATE KEY-----\nMII"}, {"x", "***"}},
  });
}

// What only sounds like a secret, or is not certain to be one.
TEST(Redact, LeavesTheRest) {
  const std::vector<Arguments> cases = {
      {"hog", "anon", "256m", "--no-thp"},
      {"x", "--token-file", "/run/secrets/token"},
      {"x", "--password-file=/run/secrets/db"},
      {"x", "--passwords-enabled", "yes"},
      {"x", "--no-password", "db"},
      {"x", "--disable-token-auth", "y"},
      {"docker", "login", "--password-stdin", "-u", "me", "registry"},
      {"chromium", "--password-store=basic"},
      {"git", "-c", "credential.helper=store", "pull"},
      {"mysql", "-phunter2", "-uroot"},
      {"python", "train.py", "--tokenizer", "gpt2", "--max-tokens", "4096", "--max_new_tokens=5"},
      {"x", "TOKENIZERS_PARALLELISM=false"},
      {"x", "PWD=/srv", "OLDPWD=/"},
      {"x", "TOKEN_URL=https://auth.example/token"},
      {"kubectl", "get", "secret", "db-password"},
      {"passwd", "root"},
      {"cat", "/etc/passwd"},
      {"docker", "run", "-v", "/secrets:/run/secrets:ro", "my-secret:latest"},
      {"x", "--mount", "type=secret,id=npm"},
      {"x", "http://localhost:8080/a@b"},
      {"x", "ssh://git@github.com/o/r"},
      {"x", "http://[::1]:80/"},
      {"x", "me@example.org:22"},
      {"x", "AKIA-short", "ghp_short", "eyJ", "sk-learn", "xoxo"},
      {"x", "the password is elsewhere"},
      {"x", "a==b", "--key=k.pem", "--user=me", "-p", "8080"},
      {"", "", ""},
      {},
  };
  for (const Arguments& one : cases) {
    EXPECT_EQ(redacted(one), one) << testing::PrintToString(one);
  }
}

TEST(Redact, WhatWasCutLeavesNoHalfSecret) {
  expect_all(
      {
          {{"x", "--password", "hun"}, {"x", "--password", "***"}},
          {{"x", "--token=a"}, {"x", "--token=***"}},
          {{"x", "ghp_a"}, {"x", "***"}},
          {{"x", "AKIAAB"}, {"x", "***"}},
          {{"x", "eyJhb"}, {"x", "***"}},
          {{"x", "xoxb-1"}, {"x", "***"}},
          {{"x", "-----BEGIN PRI"}, {"x", "***"}},
          {{"x", "postgres://user:pa"}, {"x", "postgres://user:***"}},
          {{"x", "postgres://user:12"}, {"x", "postgres://user:***"}},
          {{"x", "postgres://user:pa/ss"}, {"x", "postgres://user:***"}},
          {{"x", "https://0123456789abcdef0123"}, {"x", "https://***"}},
          {{"curl", "-H", "Authorization: Bea"}, {"curl", "-H", "Authorization: ***"}},
          // Only the last one may go on.
          {{"ghp_a", "http://h:80", "x"}, {"ghp_a", "http://h:80", "x"}},
          {{"x", "https://example.org/a-long-path/that/is/cut"}, {"x", "https://example.org/a-long-path/that/is/cut"}},
      },
      true);
}

// However short the piece is that was kept of it, nothing of the secret's own letters shows.
TEST(Redact, NoCutShowsPartOfASecret) {
  const std::string secret = "Zq7Zq7Zq7Zq7Zq7Zq7Zq7";
  for (const Arguments& whole : std::vector<Arguments>{{"x", "--password", secret},
                                                       {"x", "--password=" + secret},
                                                       {"x", "DB_PASSWORD=" + secret},
                                                       {"x", "http://user:" + secret + "@host/"},
                                                       {"x", "-H", "Authorization: Bearer " + secret},
                                                       {"x", "xoxb-" + secret},
                                                       {"x", "ghp_" + secret},
                                                       {"x", "eyJ" + secret + "." + secret},
                                                       {"sh", "-c", "run --token '" + secret + " " + secret + "' now"},
                                                       {"sh", "-c", R"(curl -d "{\"secret\": \")" + secret + "\"}"}}) {
    const std::string raw = raw_of(whole);
    for (std::size_t length = 0; length <= raw.size(); ++length) {
      const std::string line = redact_cmdline(raw.substr(0, length), length < raw.size(), CmdlineDetail::kMasked);
      ASSERT_THAT(line, Not(HasSubstr("Zq"))) << length;
      ASSERT_THAT(line, Not(HasSubstr("q7"))) << length;
    }
  }
}

TEST(Redact, TheProgramOnly) {
  const auto program_only = [](const Arguments& in, bool cut = false) {
    return redacted(in, cut, CmdlineDetail::kProgramOnly);
  };
  EXPECT_THAT(program_only({"hog", "anon", "64m"}), ElementsAre("hog", "[redacted]"));
  EXPECT_THAT(program_only({"/usr/bin/hog"}), ElementsAre("/usr/bin/hog"));
  EXPECT_THAT(program_only({"nginx: worker for customer"}), ElementsAre("nginx:", "[redacted]"));
  EXPECT_THAT(program_only({"/very/long"}, true), ElementsAre("/very/long", "[redacted]"));
  EXPECT_THAT(program_only({kGithub, "x"}), ElementsAre("***", "[redacted]"));
  EXPECT_THAT(program_only({}), ElementsAre());
}

TEST(Redact, ALineIsJoinedAsAShellWouldSplitIt) {
  const auto line = [](const std::string& raw, bool cut = false, CmdlineDetail detail = CmdlineDetail::kMasked) {
    return redact_cmdline(raw, cut, detail);
  };
  EXPECT_EQ(line(raw_of({"sh", "-c", "echo hi; wait"})), "sh -c 'echo hi; wait'");
  EXPECT_EQ(line(raw_of({"x", "--password", "p"})), "x --password '***'");
  EXPECT_EQ(line(raw_of({"a", "", "b"})), "a '' b");
  EXPECT_EQ(line("java"), "java");
  EXPECT_EQ(line("java", true), "java …");
  EXPECT_EQ(line(""), "");
  EXPECT_EQ(line(std::string(3, '\0')), "");
  EXPECT_EQ(line("nginx: worker process" + std::string(40, '\0')), "nginx: worker process");
  EXPECT_EQ(line("nginx: worker process" + std::string(40, '\0'), false, CmdlineDetail::kProgramOnly),
            "nginx: [redacted]");
  EXPECT_EQ(line("nginx" + std::string(40, '\0'), false, CmdlineDetail::kProgramOnly), "nginx");
  EXPECT_EQ(line(raw_of({"hog", "anon"}), true, CmdlineDetail::kProgramOnly), "hog [redacted]");
}

// Any bytes: as many arguments come out, none much longer, and masking what is masked changes no more.
TEST(Redact, SurvivesAnything) {
  std::mt19937_64 random(20261126);
  const std::vector<std::string> pieces = {
      "--password", "=",     " ",     "\"",   "'",     "\\",  "://",    "@",          ":",    "token", "Bearer ",
      "ghp_",       "eyJ",   ".",     "AKIA", "xoxb-", "A",   "secret", "-----BEGIN", "\n",   "]",     "Authorization",
      "\xff",       "\xc3(", "--end", "/",    "-",     "***", "?",      "-----END",   "user", "\x1b[", "pass"};
  for (int round = 0; round < 5000; ++round) {
    Arguments arguments(random() % 4);
    for (std::string& one : arguments) {
      const std::size_t count = random() % 12;
      for (std::size_t i = 0; i < count; ++i) {
        one += random() % 4 == 0 ? std::string(1, static_cast<char>(random() % 255 + 1))
                                 : pieces[random() % pieces.size()];
      }
    }
    for (const bool cut : {false, true}) {
      const Arguments out = redacted(arguments, cut);
      ASSERT_EQ(out.size(), arguments.size());
      for (std::size_t i = 0; i < out.size(); ++i) {
        ASSERT_LE(out[i].size(), 3 * arguments[i].size()) << testing::PrintToString(arguments);
      }
      ASSERT_LE(redacted(arguments, cut, CmdlineDetail::kProgramOnly).size(), 2U);
    }
  }
}

TEST(Redact, IsQuickEnoughForTheWorst) {
  for (const char* piece : {"://", "://a:b/", "eyJ-", "x=", "\\\"", "--password ", "'", "ghp_."}) {
    std::string text;
    while (text.size() < 4096) {
      text += piece;
    }
    EXPECT_LE(redacted({text}).front().size(), 3 * text.size()) << piece;
  }
}

TEST(SecretWords, Names) {
  using secret_words::names_secret;
  for (const char* name : {"password", "--Password", "PGPASSWORD", "db.passwd", "api-key", "API_KEY", "accessKeyId",
                           "x-vault-token", "DB_PASS", "smtp-pass", "MYSQL_PWD", "clientSecret", "CREDENTIAL"}) {
    EXPECT_TRUE(names_secret(name)) << name;
  }
  for (const char* name : {"", "-", "key", "keyfile", "pwd", "pass-file", "tokenizer", "secretPath", "passwordLength",
                           "max-tokens", "no-secret", "compass", "bypass", "monkey", "author", "passing"}) {
    EXPECT_FALSE(names_secret(name)) << name;
  }
}

}  // namespace
}  // namespace memcrest
