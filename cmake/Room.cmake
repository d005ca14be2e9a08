# SPDX-License-Identifier: Apache-2.0
# memcrest_room(NAME SOURCES … LINKS … PRIVATE_LINKS … [ALONE …]): one folder of userspace/ as the static library
# memcrest_NAME. ALONE: sources that are compiled each for itself even so, since their unnamed namespace has a name that
# another of the room has, too.
function(memcrest_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS;PRIVATE_LINKS;ALONE" ${ARGN})
  set_source_files_properties(${ROOM_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_library(memcrest_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(memcrest_${name} PUBLIC memcrest_settings ${ROOM_LINKS} PRIVATE ${ROOM_PRIVATE_LINKS})
  if(MEMCREST_UNITY)
    set_target_properties(memcrest_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  endif()
endfunction()

# memcrest_test(NAME LABEL label SOURCES … LINKS …): one GoogleTest program; LABEL is the layer (tests/README.md).
function(memcrest_test name)
  cmake_parse_arguments(TEST "" "LABEL" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${TEST_LINKS} GTest::gmock GTest::gtest_main)
  if(MEMCREST_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM test_headers)
  endif()
  if(MEMCREST_STATIC)
    target_link_options(${name} PRIVATE -static)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set(labels ${TEST_LABEL})
  if(name IN_LIST MEMCREST_THREADED_TESTS)
    list(APPEND labels threads)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 300)
  foreach(label IN LISTS labels)  # tests_unit and so on: what a preset needs, and no more
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${name})
  endforeach()
endfunction()
