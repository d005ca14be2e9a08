# SPDX-License-Identifier: Apache-2.0
# Flags that every target of the project shares, carried by one interface target.
add_library(memcrest_settings INTERFACE)
target_compile_options(memcrest_settings INTERFACE -Wall -Wextra -Wconversion -Wno-missing-field-initializers)

# For builds from nothing, which it makes in a third of the time (configure_and_build in scripts/lib.sh). Off where one
# works: a header that a source forgot is noticed only without it, as is what of one source shadows another's.
option(MEMCREST_UNITY "Compile a dozen sources of a room at once" OFF)
if(MEMCREST_UNITY)
  target_compile_options(memcrest_settings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
else()
  target_compile_options(memcrest_settings INTERFACE -Wshadow)
endif()

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
