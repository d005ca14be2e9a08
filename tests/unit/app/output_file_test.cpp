// SPDX-License-Identifier: Apache-2.0
#include "app/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing_support::TempDir;

class OutputFileTest : public testing::Test {
 protected:
  std::string file() const { return dir_.path() + "/out"; }
  std::string text() const {
    std::ostringstream out;
    out << std::ifstream(file()).rdbuf();
    return out.str();
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(dir_.path()), {}));
  }
  TempDir dir_;
};

TEST_F(OutputFileTest, IsThereWhenItIsWhole) {
  auto out = OutputFile::create(file());
  ASSERT_TRUE(out) << out.error().message();
  out->write(std::string(1'000'000, 'x'));
  EXPECT_FALSE(std::filesystem::exists(file()));
  out->write("end");
  ASSERT_TRUE(out->finish());
  EXPECT_EQ(text().size(), 1'000'003U);
  EXPECT_EQ(out->bytes(), 1'000'003U);
  struct stat status{};
  ASSERT_EQ(::stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(files(), 1U);
}

TEST_F(OutputFileTest, WithoutAnEndNothingIsLeft) {
  {
    auto out = OutputFile::create(file());
    ASSERT_TRUE(out);
    out->write(std::string(1'000'000, 'x'));
  }
  EXPECT_EQ(files(), 0U);
}

TEST_F(OutputFileTest, NeverTakesAFileThatIsThere) {
  std::ofstream(file()) << "precious";
  const auto out = OutputFile::create(file());
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, EEXIST);
  EXPECT_EQ(text(), "precious");
  ASSERT_EQ(::symlink("/nowhere", (file() + "2").c_str()), 0);
  EXPECT_EQ(OutputFile::create(file() + "2").error().code, EEXIST);
  EXPECT_EQ(OutputFile::create(dir_.path()).error().code, EEXIST);
  EXPECT_EQ(OutputFile::create(dir_.path() + "/no/such").error().code, ENOENT);
}

TEST_F(OutputFileTest, NorOneThatComesMeanwhile) {
  auto out = OutputFile::create(file());
  ASSERT_TRUE(out);
  out->write("new");
  std::ofstream(file()) << "precious";
  const auto done = out->finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EEXIST);
  EXPECT_EQ(text(), "precious");
}

TEST_F(OutputFileTest, AFileThatMayNotGrowLeavesNoHalf) {
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    auto out = OutputFile::create(file());
    ASSERT_TRUE(out);
    const struct rlimit small{100'000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 100; ++i) {
      out->write(std::string(10'000, 'x'));
    }
    EXPECT_TRUE(out->failed());
    const auto done = out->finish();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, EFBIG);
    EXPECT_THAT(done.error().message(), HasSubstr(file()));
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(files(), 0U);
}

TEST_F(OutputFileTest, APipeGetsTheBytesAsTheyCome) {
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  const int reader = ::open(file().c_str(), O_RDONLY | O_NONBLOCK);
  auto out = OutputFile::create(file());
  ASSERT_TRUE(out) << out.error().message();
  out->write("hello");
  ASSERT_TRUE(out->finish());
  std::array<char, 16> bytes{};
  EXPECT_EQ(::read(reader, bytes.data(), bytes.size()), 5);
  ::close(reader);
}

TEST_F(OutputFileTest, AStreamStaysOpen) {
  const int fd = ::open(file().c_str(), O_CREAT | O_RDWR, 0600);
  {
    OutputFile out = OutputFile::of_stream(fd, "standard output");
    out.write("hello");
    ASSERT_TRUE(out.finish());
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), 0);
  EXPECT_EQ(text(), "hello");
  ::close(fd);
}

}  // namespace
}  // namespace memcrest
