# SPDX-License-Identifier: Apache-2.0
# bpf_object(NAME SOURCE file DEFINES … DEPENDS …): compiles one BPF object and its skeleton NAME.skel.h into the build tree and
# offers both as the interface target NAME.
find_program(BPF_CLANG NAMES clang-19 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(BPF_TARGET_ARCH arm64)
else()
  set(BPF_TARGET_ARCH x86)
endif()

function(bpf_object name)
  cmake_parse_arguments(BPF "" "SOURCE" "DEFINES;DEPENDS" ${ARGN})
  list(TRANSFORM BPF_DEFINES PREPEND -D)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  add_custom_command(
    OUTPUT ${object}
    # The path of the source tree must not reach the object's debug data.
    COMMAND ${BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${BPF_TARGET_ARCH} ${BPF_DEFINES} -Wall -Wextra -Werror
            -Wno-unused-parameter -Wno-unused-function -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
            -I${PROJECT_SOURCE_DIR}/include -idirafter ${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${BPF_SOURCE} -o ${object}
    DEPENDS ${BPF_SOURCE} ${BPF_DEPENDS}
    COMMENT "BPF object ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3\" > \"$4.tmp\" && mv \"$4.tmp\" \"$4\"" _ ${BPFTOOL} ${object}
            ${name}_bpf ${skeleton}
    DEPENDS ${object}
    COMMENT "BPF skeleton ${name}"
    VERBATIM)
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(${name}_bpf INTERFACE)
  add_dependencies(${name}_bpf ${name}_skeleton)
  target_include_directories(${name}_bpf SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
  # bpftool writes the C spelling, which g++ takes in C++ and clang++ does not.
  target_compile_definitions(${name}_bpf INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,Clang>:_Bool=bool>)
  set(${name}_BPF_OBJECT ${object} PARENT_SCOPE)
endfunction()
