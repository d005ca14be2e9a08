# SPDX-License-Identifier: Apache-2.0
# Toolchain for arm64 on a Debian host of another architecture. MEMCREST_SYSROOT holds the libraries (scripts/build-arm64);
# libc and libstdc++ are the cross compiler's own.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc-12)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++-12)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MEMCREST_SYSROOT)
if(NOT EXISTS "${MEMCREST_SYSROOT}/usr/include")
  message(FATAL_ERROR "MEMCREST_SYSROOT has no libraries for arm64: use scripts/build-arm64")
endif()
set(CMAKE_SYSROOT ${MEMCREST_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${MEMCREST_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${MEMCREST_SYSROOT}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/pkgconfig:${MEMCREST_SYSROOT}/usr/share/pkgconfig)
