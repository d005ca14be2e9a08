// SPDX-License-Identifier: Apache-2.0
#include "identity/owned_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using ::testing::UnorderedElementsAre;
using testing_support::TempDir;

class OwnedFile : public ::testing::Test {
 protected:
  OwnedFile() : directory_(open_directory(dir_.path()).value()) { std::filesystem::create_directories(at("sub/deep")); }

  [[nodiscard]] std::string at(const std::string& name) const { return dir_.path() + "/" + name; }
  void put(const std::string& name, const std::string& text) const { std::ofstream(at(name)) << text; }
  [[nodiscard]] Result<std::string> read(const std::string& name, std::size_t limit = 100) const {
    return read_owned(directory_, name, ::getuid(), limit);
  }
  [[nodiscard]] int code(const std::string& name) const {
    const auto text = read(name);
    return text ? 0 : text.error().code;
  }

  TempDir dir_;
  Fd directory_;
};

TEST_F(OwnedFile, ReadsARegularFile) {
  put("sub/deep/a", "text");
  put("empty", "");
  EXPECT_EQ(read("sub/deep/a").value(), "text");
  EXPECT_EQ(read("empty").value(), "");
  EXPECT_EQ(code("none"), ENOENT);
}

TEST_F(OwnedFile, SymlinksAreNotFollowed) {
  put("sub/a", "text");
  std::filesystem::create_symlink("a", at("sub/link"));
  std::filesystem::create_directory_symlink("sub", at("way"));
  std::filesystem::create_symlink("/proc/self/environ", at("out"));
  EXPECT_EQ(code("sub/link"), ELOOP);
  EXPECT_EQ(code("way/a"), ELOOP);
  EXPECT_EQ(code("out"), ELOOP);
}

TEST_F(OwnedFile, NeverLeavesTheDirectory) {
  put("a", "text");
  const auto sub = open_directory_below(directory_, "sub", Symlinks::kRefuse);
  ASSERT_TRUE(sub);
  EXPECT_EQ(read_owned(*sub, "../a", ::getuid(), 100).error().code, EXDEV);
  EXPECT_EQ(read_owned(*sub, "/etc/hostname", ::getuid(), 100).error().code, EXDEV);
}

TEST_F(OwnedFile, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  at("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(code("fifo"), EINVAL);
  EXPECT_EQ(code("socket"), EINVAL);
  EXPECT_EQ(code("sub"), EINVAL);
  ::close(socket);
  const auto dev = open_directory("/dev");
  ASSERT_TRUE(dev);
  EXPECT_EQ(read_owned(*dev, "zero", 0, 100).error().code, EINVAL);
}

// Nobody notices that it was looked at: who waits for a reader goes on waiting.
TEST_F(OwnedFile, AFifoIsNotTouched) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  EXPECT_EQ(code("fifo"), EINVAL);
  EXPECT_EQ(::open(at("fifo").c_str(), O_WRONLY | O_NONBLOCK), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST_F(OwnedFile, OnlyTheOwnersAndNotEverybodys) {
  put("a", "text");
  EXPECT_EQ(read_owned(directory_, "a", ::getuid() + 1, 100).error().code, EPERM);
  ASSERT_EQ(::chmod(at("a").c_str(), 0666), 0);
  EXPECT_EQ(code("a"), EPERM);
}

TEST_F(OwnedFile, NoMoreThanTheLimit) {
  put("a", std::string(100, 'x'));
  EXPECT_EQ(read("a", 100).value().size(), 100U);
  EXPECT_EQ(read("a", 99).error().code, EFBIG);
  const int file = ::open(at("large").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::ftruncate(file, 1L << 30), 0);
  ::close(file);
  EXPECT_EQ(code("large"), EFBIG);
}

TEST_F(OwnedFile, DirectoriesBelowARoot) {
  std::filesystem::create_directory_symlink("/sub", at("absolute"));
  std::filesystem::create_directory_symlink("../../../../../../..", at("up"));
  put("sub/a", "text");
  for (const char* const path : {"absolute", "/absolute", "up/sub", "/sub", "sub/../sub", "//sub/"}) {
    const auto found = open_directory_below(directory_, path, Symlinks::kWithinRoot);
    ASSERT_TRUE(found) << path << found.error().message();
    EXPECT_EQ(read_owned(*found, "a", ::getuid(), 100).value(), "text") << path;
  }
  EXPECT_EQ(open_directory_below(directory_, "absolute", Symlinks::kRefuse).error().code, ELOOP);
  EXPECT_EQ(open_directory_below(directory_, "..", Symlinks::kRefuse).error().code, EXDEV);
  EXPECT_TRUE(open_directory_below(directory_, "/", Symlinks::kRefuse));
  EXPECT_EQ(open_directory_below(directory_, "sub/a", Symlinks::kRefuse).error().code, ENOTDIR);
}

TEST_F(OwnedFile, ParentAndNames) {
  const auto deep = open_directory(at("sub/deep"));
  ASSERT_TRUE(deep);
  put("sub/b", "");
  const auto sub = open_parent(*deep);
  ASSERT_TRUE(sub);
  EXPECT_THAT(names_in(*sub, 10), UnorderedElementsAre("deep", "b"));
  EXPECT_EQ(names_in(*sub, 1).size(), 1U);
  EXPECT_EQ(owner_of(*sub).value(), ::getuid());
}

}  // namespace
}  // namespace memcrest
