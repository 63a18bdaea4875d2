# What takes longer to read than all the rest of most files that work with connections.
set(DROVER_ASIO_AND_JSON
    <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/basic_stream_socket.hpp>
    <boost/asio/co_spawn.hpp> <boost/asio/ip/tcp.hpp> <boost/json.hpp>
    <chrono> <functional> <map> <memory> <optional> <string> <unordered_map> <vector>)

# drover_component(NAME
#   SOURCES ...    its .cpp files, listed, never globbed
#   HEADERS ...    its .hpp files; each must compile alone (all_verify_interface_header_sets)
#   DEPENDS ...    other components
#   EXTERNAL ...   third-party targets
#   PRECOMPILED ...  headers that most of its files include, read once. Not with DROVER_UNITY, where so few files are
#                  compiled that it costs more
#   COLD           it runs when the server starts or when somebody types a command, or is a small part of what a request
#                  takes (control, engines: no difference in 4 pairs of wrk runs): a release is optimised less there, which
#                  takes a quarter less time to compile
#   TESTS ...      unit tests beside the code: binary drover_NAME_test, ctest names "NAME.*"
#   TEST_LABEL unit|component   ctest label of the tests (default unit, 10 s each)
#   TEST_EXTERNAL ...  third-party targets that only the tests need)
# makes library drover_NAME with alias drover::NAME and include root src/.
function(drover_component name)
  cmake_parse_arguments(arg "COLD" "TEST_LABEL"
                        "SOURCES;HEADERS;DEPENDS;EXTERNAL;PRECOMPILED;TESTS;TEST_EXTERNAL" ${ARGN})
  set(target drover_${name})
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(${target} PRIVATE drover_options)
    if(DROVER_UNITY)
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24)
      # It takes the files that are put together for headers, whose anonymous namespaces would be a mistake.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    elseif(arg_PRECOMPILED)
      target_precompile_headers(${target} PRIVATE ${arg_PRECOMPILED})
    endif()
    if(arg_COLD)
      target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(drover::${name} ALIAS ${target})
  target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/src FILES ${arg_HEADERS})
  set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  list(TRANSFORM arg_DEPENDS PREPEND drover::)
  target_link_libraries(${target} ${scope} ${arg_DEPENDS} ${arg_EXTERNAL})
  if(DROVER_TESTS AND arg_TESTS)
    if(NOT arg_TEST_LABEL)
      set(arg_TEST_LABEL unit)
    endif()
    drover_test(${target}_test PREFIX ${name} LABEL ${arg_TEST_LABEL} SOURCES ${arg_TESTS}
                LINK drover::${name} ${arg_TEST_EXTERNAL})
  endif()
endfunction()

# drover_test(TARGET PREFIX p LABEL l SOURCES ... LINK ...): a GoogleTest binary whose tests ctest
# knows as "p.Suite.Claim" under one label.
function(drover_test target)
  cmake_parse_arguments(arg "" "PREFIX;LABEL" "SOURCES;LINK" ${ARGN})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE drover_options ${arg_LINK} GTest::gmock GTest::gtest_main)
  set(timeout 10)
  if(NOT arg_LABEL STREQUAL unit)
    set(timeout 300)
  endif()
  gtest_discover_tests(${target} TEST_PREFIX "${arg_PREFIX}." DISCOVERY_TIMEOUT 30
                       PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${timeout})
endfunction()
