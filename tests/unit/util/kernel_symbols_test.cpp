// SPDX-License-Identifier: Apache-2.0
#include "util/kernel_symbols.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

TEST(KernelFunctionNames, OnlyTheCoreKernelsTextIsNamed) {
  testing_support::TempDir proc;
  std::ofstream(proc.path() + "/kallsyms") << "0000000000001000 A per_cpu_thing\n"
                                              "ffffffff81000000 T _stext\n"
                                              "ffffffff81000040 t do_one\n"
                                              "ffffffff81000080 t do_two\n"
                                              "ffffffff81001000 T _etext\n"
                                              "ffffffff83000000 t __init_scratch_end\n"
                                              "ffffffffc0000000 t in_module\t[nf]\n";
  EXPECT_EQ(kernel_function_names(proc.path(), {0xffffffff81000050, 0xffffffff81000090, 0xffffffffc0000010,
                                                0xffffffff81001008, 0xffff800000002000}),
            (std::vector<std::string>{"do_one", "do_two", "", "", ""}));
}

}  // namespace
}  // namespace memcrest
