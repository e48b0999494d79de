# nacre_runtime: a library that loads and runs program files, with the C interface of nacre.h and
# nacre/runtime.h, and nacre_runner, the program that `nacre convert --to exe` puts models behind.
# They need nothing but the C++ library. Included by the tree, which has the objects already, and by
# cmake/runtime/CMakeLists.txt, which builds them alone (for other machines).
get_filename_component(nacre_root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
set(nacre_runtime_parts
    base/base base/file base/hash base/random base/signals base/text
    data/audio data/bmp data/bytes data/filter data/geometry data/image data/pnm data/resize
    data/steps_audio data/steps_batch data/steps_geometry data/steps_other data/steps_pixel
    data/text_features data/transform data/wav
    embed/all_kernels embed/kernels/elementwise embed/kernels/layout embed/kernels/pools
    embed/kernels/order embed/kernels/products embed/kernels/reduce embed/runtime embed/step)
set(nacre_runtime_sources ${nacre_root}/apps/runtime/c.cpp ${nacre_root}/apps/runtime/decoders.cpp)

# nacre_add_runtime(<the parts as sources or objects>...)
function(nacre_add_runtime)
  add_library(nacre_runtime STATIC ${nacre_runtime_sources} ${ARGN})
  set_target_properties(nacre_runtime PROPERTIES POSITION_INDEPENDENT_CODE ON)
  # Its main(), for the whole runner and for the runners of one model that are linked later.
  add_library(nacre_runner_main STATIC ${nacre_root}/apps/runtime/main.cpp)
  set_target_properties(nacre_runner_main PROPERTIES POSITION_INDEPENDENT_CODE ON OUTPUT_NAME nacre_runner)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp "")
  add_executable(nacre_runner ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
  target_link_libraries(nacre_runner PRIVATE nacre_runner_main nacre_runtime)
  foreach(target nacre_runtime nacre_runner_main)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${nacre_root}/include>
                                                $<INSTALL_INTERFACE:include>
                               PRIVATE ${nacre_root}/src ${nacre_root}/apps)
    target_compile_definitions(${target} PRIVATE NACRE_VERSION="${PROJECT_VERSION}")
  endforeach()
  target_link_options(nacre_runner PRIVATE -Wl,--gc-sections $<$<CONFIG:Release>:-s>)
  # How runners are linked: the compiler, then its options.
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/libnacre_runner.link
       CONTENT "${CMAKE_CXX_COMPILER}\n$<JOIN:$<TARGET_PROPERTY:nacre_runner,LINK_OPTIONS>,\n>\n")
endfunction()
