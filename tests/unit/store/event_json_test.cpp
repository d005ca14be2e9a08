// SPDX-License-Identifier: Apache-2.0
#include "store/event_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "store/event_fields.h"
#include "store/json_fields.h"
#include "store/questions.h"
#include "support/event_builder.h"

namespace memcrest {

namespace {

using testing::HasSubstr;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// What converts to anything, to count the members of a struct by trying to fill them.
struct Anything {
  template <typename T>
    requires(!fields_detail::IsOptional<T>::value)
  operator T() const {  // NOLINT(google-explicit-constructor)
    std::abort();       // never called: only asked whether it could be
  }
};

template <typename T, typename... Filled>
constexpr std::size_t members() {
  if constexpr (requires { T{Filled{}..., Anything{}}; }) {
    return members<T, Filled..., Anything>();
  } else {
    return sizeof...(Filled);
  }
}

// A copy of a stack is gone before its step is recorded, and whether it was used with it.
template <typename T>
constexpr std::size_t kNotKept = std::is_same_v<T, StepEvent> ? 2 : 0;

// Empties each field, whatever its default is.
struct Emptier {
  template <typename T>
  void operator()(const char* /*name*/, T& value) {
    value = T{};
    if constexpr (std::is_class_v<T> && requires(Emptier& v) { fields(v, value); }) {
      fields(*this, value);
    }
  }
  template <typename T>
  void always(const char* name, T& value) {
    (*this)(name, value);
  }
};

// Gives each field another value, and counts fields on the way.
class Filler {
 public:
  template <typename T>
  void operator()(const char* /*name*/, T& value) {
    ++fields_;
    fill(value);
  }
  template <typename T>
  void always(const char* name, T& value) {
    (*this)(name, value);
  }
  template <typename T>
  void fill(T& value) {
    ++next_;
    if constexpr (fields_detail::IsOptional<T>::value) {
      fill(value.emplace());
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = std::string("t\0\xff\n", 4) + std::to_string(next_);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = true;
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(1);
    } else if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<T>(next_) + 0.5;
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(std::numeric_limits<T>::max() - static_cast<T>(next_ % 100));
    } else if constexpr (fields_detail::IsVector<T>::value) {
      for (int i = 0; i < 2; ++i) {
        fill(value.emplace_back());
      }
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      fill(value["k\x80"]);
    } else {
      Filler inner;
      inner.next_ = next_;
      fields(inner, value);
      EXPECT_EQ(inner.fields_ + kNotKept<T>, members<T>()) << "a member is missing in the fields of this struct";
      next_ = inner.next_;
    }
  }

 private:
  std::size_t fields_ = 0;
  int next_ = 0;
};

template <typename T>
class EveryEvent : public testing::Test {};

template <typename T>
struct TypesOf;
template <typename... T>
struct TypesOf<std::variant<T...>> {
  using Type = testing::Types<T...>;
};
TYPED_TEST_SUITE(EveryEvent, TypesOf<Event>::Type);

TYPED_TEST(EveryEvent, ComesBackAsItWas) {
  TypeParam event;
  Filler().fill(event);
  const std::string json = event_to_json(event);
  const auto back = event_from_json(kind_of(event), json);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_TRUE(std::holds_alternative<TypeParam>(*back));
  EXPECT_EQ(event_to_json(*back), json);
}

TYPED_TEST(EveryEvent, WithNothingSetIsEmpty) {
  const Event event = TypeParam{};
  EXPECT_EQ(event_to_json(event), "{}");
  const auto back = event_from_json(kind_of(event), "{}");
  ASSERT_TRUE(back);
  EXPECT_EQ(event_to_json(*back), "{}");
}

template <typename T>
void expect_zero_to_come_back() {
  T event;
  Emptier empty;
  fields(empty, event);
  const FieldsJson json = FieldsWriter::json_of(event);
  T back;
  ASSERT_TRUE(FieldsReader::read(json, back));
  EXPECT_EQ(FieldsWriter::json_of(back), json);
}

TYPED_TEST(EveryEvent, ZeroIsNotTheDefaultOfEveryField) { expect_zero_to_come_back<TypeParam>(); }

TEST(EventJson, ZeroIsNotTheDefaultOfEveryField) {
  expect_zero_to_come_back<StuckTask>();
  expect_zero_to_come_back<OuterContainer>();
  expect_zero_to_come_back<RankedCgroup>();
  expect_zero_to_come_back<Identity>();
}

template <typename T>
T filled_and_back() {
  T value;
  Filler().fill(value);
  const FieldsJson json = FieldsWriter::json_of(value);
  T back;
  EXPECT_TRUE(FieldsReader::read(json, back));
  EXPECT_EQ(FieldsWriter::json_of(back), json);
  return back;
}

TEST(Answers, ComeBackAsTheyWere) {
  EXPECT_EQ(filled_and_back<Identity>().container.pod->labels.begin()->first, "k\x80");
  EXPECT_THAT(filled_and_back<HostRanking>().by_growth, SizeIs(2));
}

TEST(EventJson, BytesThatAreNoTextAreKept) {
  ExecEvent event;
  event.cmdline = std::string("a\0\xff", 3);
  event.exe = "/bin/\xc3\xa4";
  EXPECT_EQ(event_to_json(event), "{\"cmdline\":{\"hex\":\"6100ff\"},\"exe\":\"/bin/\xc3\xa4\"}");
  const auto back = event_from_json("exec", event_to_json(event));
  ASSERT_TRUE(back);
  EXPECT_EQ(std::get<ExecEvent>(*back).cmdline, event.cmdline);
}

TEST(EventJson, NothingAndZeroAreNotTheSame) {
  MemcgState memcg;
  memcg.limit_bytes = 0;
  OomEvent event;
  event.chain.entries = {memcg, MemcgState{}};
  const auto back = event_from_json("oom", event_to_json(event));
  ASSERT_TRUE(back);
  const auto& entries = std::get<OomEvent>(*back).chain.entries;
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].limit_bytes, 0U);
  EXPECT_EQ(entries[1].limit_bytes, std::nullopt);
}

TEST(EventJson, WhatIsNewIsLeftAside) {
  const auto event = event_from_json("sample", R"({"usage_bytes":7,"of_tomorrow":{"a":[1]}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<SampleEvent>(*event).usage_bytes, 7U);
}

TEST(EventJson, RefusesWhatCannotBe) {
  const struct {
    const char* kind;
    const char* json;
    const char* says;
  } cases[] = {
      {"sampel", "{}", "unknown kind"},
      {"", "{}", "unknown kind"},
      {"sample", "", "no JSON"},
      {"sample", "[]", "no JSON"},
      {"sample", "{", "no JSON"},
      {"sample", R"({"usage_bytes":-1})", "usage_bytes"},
      {"sample", R"({"usage_bytes":1.5})", "usage_bytes"},
      {"sample", R"({"usage_bytes":"7"})", "usage_bytes"},
      {"sample", R"({"usage_bytes":18446744073709551616})", "usage_bytes"},
      {"exec", R"({"parent_pid":4294967296})", "parent_pid"},
      {"exec", R"({"task":[]})", "task"},
      {"exec", R"({"task":{"uid":-1}})", "task"},
      {"exec", R"({"cmdline":{"hex":"0"}})", "cmdline"},
      {"exec", R"({"cmdline":{"hex":"zz"}})", "cmdline"},
      {"exec", R"({"cmdline":{}})", "cmdline"},
      {"oom", R"({"constraint":"all"})", "constraint"},
      {"oom", R"({"constraint":1})", "constraint"},
      {"oom", R"({"chain":{"entries":{}}})", "chain"},
      {"cgroup", R"({"created":1})", "created"},
  };
  for (const auto& one : cases) {
    const auto event = event_from_json(one.kind, one.json);
    ASSERT_FALSE(event) << one.kind << one.json;
    EXPECT_EQ(event.error().code, EBADMSG);
    EXPECT_THAT(event.error().message(), HasSubstr(one.says)) << one.json;
  }
  const std::string deep(100'000, '[');
  EXPECT_FALSE(event_from_json("sample", "{\"x\":" + deep + "}"));
}

}  // namespace
}  // namespace memcrest
