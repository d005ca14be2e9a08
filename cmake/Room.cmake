# SPDX-License-Identifier: Apache-2.0
# memcrest_room(NAME SOURCES … LINKS … PRIVATE_LINKS …): one folder of userspace/ as the static library memcrest_NAME.
function(memcrest_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(memcrest_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(memcrest_${name} PUBLIC memcrest_settings ${ROOM_LINKS} PRIVATE ${ROOM_PRIVATE_LINKS})
endfunction()

# memcrest_test(NAME LABEL label SOURCES … LINKS …): one GoogleTest program; LABEL is the layer (tests/README.md).
function(memcrest_test name)
  cmake_parse_arguments(TEST "" "LABEL" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${TEST_LINKS} GTest::gmock GTest::gtest_main)
  if(MEMCREST_STATIC)
    target_link_options(${name} PRIVATE -static)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT 300)
endfunction()
