# nacre_runtime: a library that loads and runs program files, with the C interface of nacre.h and
# nacre/runtime.h, and nacre_runner, the program that `nacre convert --to exe` puts models behind.
# They need nothing but the C++ library. Included by the tree, which has the objects already, and by
# cmake/runtime/CMakeLists.txt, which builds them alone (for other machines).
get_filename_component(nacre_root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
set(nacre_runtime_parts
    base/base base/file base/hash base/random base/signals base/text
    data/bmp data/bytes data/geometry data/image data/pnm data/resize data/steps_batch
    data/steps_geometry data/steps_other data/steps_pixel data/text_features data/transform
    embed/kernels embed/runtime)
set(nacre_runtime_sources ${nacre_root}/apps/runtime/c.cpp ${nacre_root}/apps/runtime/decoders.cpp)

# nacre_add_runtime(<the parts as sources or objects>...)
function(nacre_add_runtime)
  add_library(nacre_runtime STATIC ${nacre_runtime_sources} ${ARGN})
  set_target_properties(nacre_runtime PROPERTIES POSITION_INDEPENDENT_CODE ON)
  add_executable(nacre_runner ${nacre_root}/apps/runtime/main.cpp)
  target_link_libraries(nacre_runner PRIVATE nacre_runtime)
  foreach(target nacre_runtime nacre_runner)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${nacre_root}/include>
                                                $<INSTALL_INTERFACE:include>
                               PRIVATE ${nacre_root}/src ${nacre_root}/apps)
    target_compile_definitions(${target} PRIVATE NACRE_VERSION="${PROJECT_VERSION}")
  endforeach()
  target_link_options(nacre_runner PRIVATE -Wl,--gc-sections $<$<CONFIG:Release>:-s>)
endfunction()
