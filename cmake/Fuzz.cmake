# The preset fuzz (Debian: apt-get install clang-16 libclang-rt-16-dev libomp-16-dev) makes programs of libFuzzer,
# tests/fuzz/<reader>_fuzz.cpp -> build-fuzz/fuzz/<reader>:
#
#   cmake --preset fuzz && ninja -C build-fuzz fuzz
#   mkdir new && build-fuzz/fuzz/npy -max_total_time=60 new tests/fuzz/corpus/npy
#
# Most readers need no more than the folders base, formats, data, importers and embed. What loads graphs and models
# needs the whole library, which takes a quarter of an hour: the target fuzz_whole.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "libFuzzer comes with clang; this is ${CMAKE_CXX_COMPILER_ID}")
endif()
file(GLOB reader_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/base/*.cpp
     ${PROJECT_SOURCE_DIR}/src/formats/*.cpp ${PROJECT_SOURCE_DIR}/src/data/*.cpp
     ${PROJECT_SOURCE_DIR}/src/importers/*.cpp ${PROJECT_SOURCE_DIR}/src/embed/*.cpp
     ${PROJECT_SOURCE_DIR}/src/embed/kernels/*.cpp)
list(APPEND reader_sources ${PROJECT_SOURCE_DIR}/apps/serve/protocol.cpp
     ${PROJECT_SOURCE_DIR}/apps/serve/number_lists.cpp)
list(REMOVE_ITEM reader_sources ${PROJECT_SOURCE_DIR}/src/formats/tensor.cpp
     ${PROJECT_SOURCE_DIR}/src/importers/output_shapes.cpp
     ${PROJECT_SOURCE_DIR}/src/data/outliers.cpp)  # these compute
add_library(nacre_readers STATIC EXCLUDE_FROM_ALL ${reader_sources})
target_include_directories(nacre_readers PUBLIC include src apps tests)
target_link_libraries(nacre_readers PUBLIC nacre_build PRIVATE ${nacre_link_libraries})

add_custom_target(fuzz)
add_custom_target(fuzz_whole)
file(GLOB fuzz_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp)
foreach(file ${fuzz_files})
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name ${name})
  add_executable(fuzz_${name} EXCLUDE_FROM_ALL ${file})
  set_target_properties(fuzz_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  if(name MATCHES "^(checkpoint|graph|model|onnx)$")
    target_include_directories(fuzz_${name} PRIVATE src tests)
    target_link_libraries(fuzz_${name} PRIVATE nacre_lib nacre_build)
    add_dependencies(fuzz_whole fuzz_${name})
  else()
    target_link_libraries(fuzz_${name} PRIVATE nacre_readers)
    add_dependencies(fuzz fuzz_${name})
  endif()
endforeach()
