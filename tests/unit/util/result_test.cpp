// SPDX-License-Identifier: Apache-2.0
#include "util/result.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

TEST(Result, AMessageNamesOperationObjectAndCause) {
  EXPECT_EQ((Error{"open", "/x", ENOENT, ""}).message(), "open /x: No such file or directory");
  EXPECT_EQ((Error{"open", "/x", EACCES, "why"}).message(), "open /x: Permission denied (why)");
  EXPECT_EQ((Error{"read", "", 0, "too long"}).message(), "read: too long");
}

TEST(Result, WhatTheKernelKeepsToItselfHasATextToo) {
  EXPECT_EQ(errno_text(524), "not supported by this kernel");
  EXPECT_EQ(errno_text(EPERM), "Operation not permitted");
}

}  // namespace
}  // namespace memcrest
