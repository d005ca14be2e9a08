// SPDX-License-Identifier: Apache-2.0
#include "util/kernel_symbols.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

constexpr const char* kSymbols =
    "0000000000001000 A per_cpu_thing\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000040 t do_one\n"
    "ffffffff81000080 t do_two\n"
    "ffffffff81001000 T _etext\n"
    "ffffffff83000000 t __init_scratch_end\n"
    "ffffffffc0000000 t in_module\t[nf]\n";

TEST(KernelFunctionNames, OnlyTheCoreKernelsTextIsNamed) {
  testing_support::TempDir proc;
  std::ofstream(proc.path() + "/kallsyms") << kSymbols;
  EXPECT_EQ(kernel_function_names(proc.path(), {0xffffffff81000050, 0xffffffff81000090, 0xffffffffc0000010,
                                                0xffffffff81001008, 0xffff800000002000}),
            (std::vector<std::string>{"do_one", "do_two", "", "", ""}));
}

TEST(KernelNames, AFunctionThatWasMetIsNotReadAgain) {
  testing_support::TempDir proc;
  std::ofstream(proc.path() + "/kallsyms") << kSymbols;
  KernelNames names(proc.path());
  EXPECT_FALSE(names.knows(0xffffffff81000050));
  EXPECT_EQ(names.at({0xffffffff81000050}), std::vector<std::string>{"do_one"});
  EXPECT_EQ(names.passes(), 1U);
  // Its first and last byte, and all that is no function of the core kernel.
  EXPECT_EQ(names.at({0xffffffff81000040, 0xffffffff8100007f, 0xffffffffc0000010, 0x10}),
            (std::vector<std::string>{"do_one", "do_one", "", ""}));
  EXPECT_EQ(names.passes(), 1U);
  EXPECT_EQ(names.at({0xffffffff81000080, 0xffffffff81000041}), (std::vector<std::string>{"do_two", "do_one"}));
  EXPECT_EQ(names.passes(), 2U);
  EXPECT_TRUE(names.at({}).empty());
  EXPECT_EQ(names.passes(), 2U);
}

TEST(KernelNames, HiddenAddressesAreAskedForOnce) {
  testing_support::TempDir proc;
  std::ofstream(proc.path() + "/kallsyms") << "0000000000000000 T _stext\n0000000000000000 t do_one\n";
  KernelNames names(proc.path());
  EXPECT_EQ(names.at({0xffffffff81000050}), std::vector<std::string>{""});
  EXPECT_EQ(names.at({0xffffffff81000051}), std::vector<std::string>{""});
  EXPECT_EQ(names.passes(), 1U);
}

}  // namespace
}  // namespace memcrest
