# SPDX-License-Identifier: Apache-2.0
# Flags that every target of the project shares, carried by one interface target.
add_library(memcrest_settings INTERFACE)
target_compile_options(memcrest_settings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wno-missing-field-initializers)
# clang++ says this of g++ 12's own headers (std::stable_sort).
target_compile_options(memcrest_settings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-deprecated-declarations>)
target_include_directories(memcrest_settings INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/userspace)
target_compile_definitions(memcrest_settings INTERFACE MEMCREST_VERSION="${PROJECT_VERSION}")

option(MEMCREST_WERROR "Warnings are errors" OFF)
if(MEMCREST_WERROR)
  target_compile_options(memcrest_settings INTERFACE -Werror)
endif()

set(MEMCREST_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
if(MEMCREST_SANITIZE)
  target_compile_options(memcrest_settings INTERFACE -fsanitize=${MEMCREST_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(memcrest_settings INTERFACE -fsanitize=${MEMCREST_SANITIZE})
endif()
