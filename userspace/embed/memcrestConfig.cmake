# SPDX-License-Identifier: Apache-2.0
# find_package(memcrest): the target memcrest::memcrest.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/memcrestTargets.cmake)
