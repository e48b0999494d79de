# nacre::plugin_host: for programs that load plug-ins. Used by the tree and by the installed package.
if(NOT TARGET nacre::plugin_host)
  add_library(nacre::plugin_host INTERFACE IMPORTED GLOBAL)
  target_link_libraries(nacre::plugin_host INTERFACE nacre::nacre)
  target_link_options(
    nacre::plugin_host INTERFACE -rdynamic
    "LINKER:--whole-archive,$<TARGET_FILE:nacre::nacre>,--no-whole-archive")
endif()
