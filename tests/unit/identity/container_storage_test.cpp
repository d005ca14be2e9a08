// SPDX-License-Identifier: Apache-2.0
#include "identity/container_storage.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "support/fake_bundles.h"

namespace memcrest {
namespace {

using ::testing::HasSubstr;
using testing_support::bundle_sample;
using testing_support::TempDir;

std::string digits(const char* two) {
  std::string id;
  for (int i = 0; i < 32; ++i) {
    id += two;
  }
  return id;
}

// Hands the text out in pieces of `size`, and counts them.
struct Source {
  std::string text;
  std::size_t size = 1000;
  std::size_t at = 0;
  int pieces = 0;

  PieceReader reader() {
    return [this](std::span<char> piece) {
      const std::size_t count = std::min({size, piece.size(), text.size() - at});
      std::memcpy(piece.data(), text.data() + at, count);
      at += count;
      ++pieces;
      return static_cast<long>(count);
    };
  }
};

Result<std::optional<StoredNames>> read(const std::string& text, const std::string& id, std::size_t piece = 1000) {
  Source source{.text = text, .size = piece};
  return read_storage_list(source.reader(), id);
}

TEST(StorageList, FindsNameAndImageWhateverThePieces) {
  for (const std::size_t piece : {1U, 7U, 100'000U}) {
    const auto names = read(bundle_sample("containers.json"), digits("2b"), piece);
    ASSERT_TRUE(names) << names.error().message();
    ASSERT_TRUE(*names);
    EXPECT_EQ((*names)->name, "pvol");
    EXPECT_EQ((*names)->image, "localhost/memcrest-test:latest");
  }
}

TEST(StorageList, NothingForAnotherId) {
  const auto names = read(bundle_sample("containers.json"), digits("99"));
  ASSERT_TRUE(names);
  EXPECT_FALSE(*names);
  EXPECT_FALSE(read("[]", "x").value());
  EXPECT_FALSE(read(R"([{"id":["x"],"names":["a"]}])", "x").value());
}

TEST(StorageList, StopsWhereItIsFound) {
  Source source{.text = R"([{"id":"x","names":["a"]},)" + std::string(10'000'000, ' ') + "]"};
  const auto names = read_storage_list(source.reader(), "x");
  ASSERT_TRUE(names && *names);
  EXPECT_EQ((*names)->name, "a");
  EXPECT_EQ(source.pieces, 1);
}

TEST(StorageList, NamesStayRawAndBounded) {
  const auto names = read(R"([{"id":"x","names":["\u001b[2J\nq"],"metadata":"{\"image-name\":5}"}])", "x");
  ASSERT_TRUE(names && *names);
  EXPECT_EQ((*names)->name, "\x1b[2J\nq");
  EXPECT_EQ((*names)->image, "");
  const auto large = read(R"([{"id":"x","names":[")" + std::string(1'000'000, 'n') + R"("]}])", "x");
  ASSERT_TRUE(large && *large);
  EXPECT_EQ((*large)->name.size(), 4096U);
}

TEST(StorageList, WithoutNamesTheMetadataHasOne) {
  const auto names = read(R"([{"id":"x","metadata":"{\"name\":\"k8s_app\",\"image-name\":\"i\"}"}])", "x");
  ASSERT_TRUE(names && *names);
  EXPECT_EQ((*names)->name, "k8s_app");
  EXPECT_EQ((*names)->image, "i");
}

TEST(StorageList, RefusesWhatIsNone) {
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[{\"id\":"), std::string(100'000, '['),
                                  std::string(R"({"a":{"id":"y"}})")}) {
    const auto names = read(text, "x");
    ASSERT_FALSE(names) << text.substr(0, 20);
    EXPECT_EQ(names.error().code, EPROTO);
  }
}

TEST(StorageList, EndsWhenTheReaderDoes) {
  const auto names = read_storage_list([](std::span<char>) { return -1L; }, "x");
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().code, ECANCELED);
}

TEST(StorageList, EndlessIsTooBig) {
  std::size_t given = 0;
  const auto names = read_storage_list(
      [&](std::span<char> piece) {
        std::ranges::fill(piece, ' ');
        given += piece.size();
        return static_cast<long>(piece.size());
      },
      "x", 100'000);
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().code, EFBIG);
  EXPECT_GT(given, 100'000U);
  EXPECT_LT(given, 200'000U);
}

TEST(StoredNames, FromEitherFile) {
  const TempDir dir;
  const auto directory = open_directory(dir.path());
  ASSERT_TRUE(directory);
  EXPECT_FALSE(find_stored_names(*directory, ::getuid(), "x", {}).value());
  std::ofstream(dir.path() + "/containers.json") << R"([{"id":"y","names":["kept"]}])";
  std::ofstream(dir.path() + "/volatile-containers.json") << R"([{"id":"x","names":["gone"]}])";
  EXPECT_EQ(find_stored_names(*directory, ::getuid(), "x", {}).value()->name, "gone");
  EXPECT_EQ(find_stored_names(*directory, ::getuid(), "y", {}).value()->name, "kept");
  const auto other = find_stored_names(*directory, ::getuid() + 1, "x", {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, EPERM);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(find_stored_names(*directory, ::getuid(), "x", stop.get_token()).error().code, ECANCELED);
}

TEST(StoredNames, OneBadFileDoesNotHideTheOther) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir.path() + "/containers.json").c_str(), 0600), 0);
  const auto directory = open_directory(dir.path());
  ASSERT_TRUE(directory);
  const auto none = find_stored_names(*directory, ::getuid(), "x", {});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message(), HasSubstr("not a regular file"));
  std::ofstream(dir.path() + "/volatile-containers.json") << R"([{"id":"x","names":["a"]}])";
  EXPECT_EQ(find_stored_names(*directory, ::getuid(), "x", {}).value()->name, "a");
}

}  // namespace
}  // namespace memcrest
