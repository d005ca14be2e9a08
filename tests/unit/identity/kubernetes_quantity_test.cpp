// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_quantity.h"

#include <gtest/gtest.h>

#include <string>

namespace memcrest {
namespace {

TEST(ParseQuantity, AsKubernetesWritesThem) {
  EXPECT_EQ(parse_quantity("0"), 0U);
  EXPECT_EQ(parse_quantity("128974848"), 128974848U);
  EXPECT_EQ(parse_quantity("129e6"), 129000000U);
  EXPECT_EQ(parse_quantity("129E6"), 129000000U);
  EXPECT_EQ(parse_quantity("1e+3"), 1000U);
  EXPECT_EQ(parse_quantity("1E"), 1000000000000000000U);
  EXPECT_EQ(parse_quantity("129M"), 129000000U);
  EXPECT_EQ(parse_quantity("123Mi"), 128974848U);
  EXPECT_EQ(parse_quantity("128974848000m"), 128974848U);
  EXPECT_EQ(parse_quantity("1.5Gi"), 1610612736U);
  EXPECT_EQ(parse_quantity(".5Ki"), 512U);
  EXPECT_EQ(parse_quantity("1.Ki"), 1024U);
  EXPECT_EQ(parse_quantity("+64Mi"), 67108864U);
  EXPECT_EQ(parse_quantity("0.1"), 1U) << "rounded up";
  EXPECT_EQ(parse_quantity("1n"), 1U);
  EXPECT_EQ(parse_quantity("100u"), 1U);
  EXPECT_EQ(parse_quantity("5k"), 5000U);
  EXPECT_EQ(parse_quantity("7Ei"), 8070450532247928832U);
  EXPECT_EQ(parse_quantity("000000000000000000000000001Mi"), 1048576U);
}

TEST(ParseQuantity, AnythingElseIsUnknown) {
  for (const char* text : {"",
                           ".",
                           "-1",
                           "-1Mi",
                           "Mi",
                           "1 Mi",
                           "1mi",
                           "1K",
                           "1MB",
                           "1e",
                           "1e++3",
                           "1e+-3",
                           "1e400",
                           "1.2.3",
                           "1e-400",
                           "0x10",
                           "++1",
                           "12345678901234567890",
                           "8Ei",
                           "9223372036854775808",
                           "99999999999999999999999999999",
                           "1Zi",
                           "1Mi ",
                           "1e3Mi"}) {
    EXPECT_EQ(parse_quantity(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_quantity(std::string("1\0Mi", 4)), std::nullopt);
  EXPECT_EQ(parse_quantity(std::string(100000, '9')), std::nullopt);
}

}  // namespace
}  // namespace memcrest
