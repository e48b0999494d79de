# tests/<area>/*_test.cpp             -> build/test_<area>
# tests/<area>/*_slow_test.cpp        -> build/test_<area>_slow          label slow
# tests/<area>/*_long_test.cpp        -> build/test_<area>_long          label long
# tests/<area>/*_concurrency_test.cpp -> build/test_<area>_concurrency   label concurrency
# tests/<area>/*_fuzz_test.cpp        -> build/test_<area>_fuzz          label fuzz
# Other files tests/<area>/*.cpp are helpers, compiled into test_<area>.
# The targets tests_fast, tests_slow, ... build those of one label.
find_package(GTest REQUIRED)
# The long ones, of minutes each, are built and run for `./test --all` alone.
foreach(label fast slow long concurrency fuzz)
  add_custom_target(tests_${label})
endforeach()

# How all tests are compiled. Their time goes to headers and to GoogleTest's macros, so they share a
# precompiled header and are optimised little. With such a header GCC 12 falsely finds std::string to
# leave its bounds.
add_library(nacre_test_build INTERFACE)
target_include_directories(
  nacre_test_build INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(nacre_test_build INTERFACE NACRE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                                      NACRE_BUILD_DIR="${PROJECT_BINARY_DIR}")
target_compile_options(nacre_test_build INTERFACE $<$<CONFIG:Release>:-Og> ${NACRE_FEWER_CHECKS})
target_link_libraries(nacre_test_build INTERFACE nacre_lib nacre_build GTest::gtest)
if(NACRE_PCH)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(nacre_test_build INTERFACE -Wno-array-bounds -Wno-stringop-overflow
                                                      -Wno-stringop-overread)
  endif()
  file(GENERATE OUTPUT ${NACRE_GEN_DIR}/test_headers.cpp CONTENT "")
  add_library(nacre_test_headers OBJECT EXCLUDE_FROM_ALL ${NACRE_GEN_DIR}/test_headers.cpp)
  target_link_libraries(nacre_test_headers PRIVATE nacre_test_build)
  target_precompile_headers(
    nacre_test_headers PRIVATE <gtest/gtest.h> <algorithm> <cmath> <filesystem> <fstream>
                               <functional> <map> <string> <vector> <nacre/autograd.h> <nacre/ops.h>
                               <nacre/train.h> <nacre/zoo.h>)
endif()

function(nacre_test name label)
  add_executable(${name} ${ARGN})
  nacre_unity(${name} 9 ${ARGN})
  target_link_libraries(${name} PRIVATE nacre_test_build GTest::gtest_main)
  if(NACRE_PCH)
    target_precompile_headers(${name} REUSE_FROM nacre_test_headers)
  endif()
  add_dependencies(tests_${label} ${name})
  add_test(NAME ${name}
           COMMAND ${PROJECT_SOURCE_DIR}/tools/run_gtest ${PROJECT_BINARY_DIR}/results/${name}
                   $<TARGET_FILE:${name}>
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  # Two test programs run at once: waiting threads must not spin.
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 1800
                                          ENVIRONMENT OMP_WAIT_POLICY=passive)
  if(label STREQUAL long)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    set_tests_properties(${name} PROPERTIES
      TIMEOUT 14400 ENVIRONMENT "OMP_WAIT_POLICY=passive;NACRE_TEST_TIMEOUT=14000")
  endif()
endfunction()

file(GLOB entries CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*)
foreach(folder ${entries})
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*_test.cpp)
  get_filename_component(area ${folder} NAME)
  foreach(kind slow long concurrency fuzz)
    set(special ${files})
    list(FILTER special INCLUDE REGEX "_${kind}_test.cpp$")
    list(FILTER files EXCLUDE REGEX "_${kind}_test.cpp$")
    if(special)
      nacre_test(test_${area}_${kind} ${kind} ${special})
    endif()
  endforeach()
  if(files)
    file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.cpp)
    list(FILTER helpers EXCLUDE REGEX "_(test|fuzz).cpp$")
    nacre_test(test_${area} fast ${files} ${helpers})
  endif()
endforeach()

foreach(name serve serve_concurrency cli embed fuzz)
  if(TARGET test_${name})
    target_link_libraries(test_${name} PRIVATE nacre_serve)
  endif()
endforeach()

# tests/plugins/*.cpp -> build/plugins/<name>.so, loaded by test_ops
file(GLOB plugins CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/plugins/*.cpp)
foreach(file ${plugins} ${PROJECT_SOURCE_DIR}/examples/plugin/bell.cpp)
  nacre_plugin(${file})
endforeach()
target_link_libraries(test_ops PRIVATE nacre::plugin_host)
target_link_libraries(test_zoo PRIVATE xgboost) # an oracle
add_dependencies(test_ops ${nacre_plugins})
add_dependencies(test_cli ${nacre_plugins} nacre)
add_dependencies(test_attacks nacre)
add_executable(classify_runtime examples/classify.c)
target_link_libraries(classify_runtime PRIVATE nacre_runtime)
add_dependencies(test_embed nacre classify_runtime)
add_dependencies(test_autodl nacre)
add_dependencies(test_autodl_slow nacre)
if(NACRE_EXAMPLES)  # the slow test runs the script of an example
  add_dependencies(test_autodl_slow examples_defect_pictures)
endif()
