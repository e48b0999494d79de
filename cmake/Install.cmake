# Installs headers, library, program, and what CMake and pkg-config need to find them. All paths in
# the installed files are relative, so the tree can be moved.
include(CMakePackageConfigHelpers)

install(TARGETS nacre_lib nacre_headers nacre_runtime EXPORT nacreTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET nacre)
  install(TARGETS nacre nacre_runner RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(TARGETS nacre_runner_main ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${PROJECT_BINARY_DIR}/libnacre_runner.link DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/nacre ${NACRE_GEN_DIR}/include/nacre
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/include/nacre.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${NACRE_GEN_DIR}/ops.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes ${PROJECT_SOURCE_DIR}/data/digits DESTINATION ${CMAKE_INSTALL_DATADIR}/nacre)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/nacre)
install(EXPORT nacreTargets NAMESPACE nacre:: DESTINATION ${package_dir})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/nacreConfig.cmake.in ${PROJECT_BINARY_DIR}/nacreConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/nacreConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/nacreConfig.cmake ${PROJECT_BINARY_DIR}/nacreConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/PluginHost.cmake
        DESTINATION ${package_dir})

set(pc_libs "")
foreach(lib ${nacre_libs})
  string(APPEND pc_libs " -l${lib}")
endforeach()
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/nacre.pc.in ${PROJECT_BINARY_DIR}/nacre.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/nacre.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
