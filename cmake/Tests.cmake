# tests/<area>/*_test.cpp             -> build/test_<area>
# tests/<area>/*_slow_test.cpp        -> build/test_<area>_slow          label slow
# tests/<area>/*_concurrency_test.cpp -> build/test_<area>_concurrency   label concurrency
# tests/<area>/*_fuzz_test.cpp        -> build/test_<area>_fuzz          label fuzz
# Other files tests/<area>/*.cpp are helpers, compiled into test_<area>.
# The targets tests_fast, tests_slow, ... build those of one label.
find_package(GTest REQUIRED)
foreach(label fast slow concurrency fuzz)
  add_custom_target(tests_${label})
endforeach()

function(nacre_test name label)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE NACRE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             NACRE_BUILD_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE nacre_lib nacre_build GTest::gtest GTest::gtest_main)
  add_dependencies(tests_${label} ${name})
  add_test(NAME ${name}
           COMMAND ${PROJECT_SOURCE_DIR}/tools/run_gtest ${PROJECT_BINARY_DIR}/results/${name}
                   $<TARGET_FILE:${name}>
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  # Two test programs run at once: waiting threads must not spin.
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 1800
                                          ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()

file(GLOB entries CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*)
foreach(folder ${entries})
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*_test.cpp)
  get_filename_component(area ${folder} NAME)
  foreach(kind slow concurrency fuzz)
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

# tests/plugins/*.cpp -> build/plugins/<name>.so, loaded by test_ops
file(GLOB plugins CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/plugins/*.cpp)
foreach(file ${plugins} ${PROJECT_SOURCE_DIR}/examples/plugin/bell.cpp)
  nacre_plugin(${file})
endforeach()
target_link_libraries(test_ops PRIVATE nacre::plugin_host)
add_dependencies(test_ops ${nacre_plugins})
add_dependencies(test_cli ${nacre_plugins} nacre)
