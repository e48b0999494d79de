# Files that are compiled several at a time, which halves the time of a build from nothing: most of
# what a small file costs is headers and the templates that it shares with its neighbours. The
# preset dev compiles each by itself (NACRE_UNITY=OFF), for a short way from an edit to its test.
# Names in anonymous namespaces have to differ within a folder, and files with flags of their own
# are compiled alone.

# nacre_unity(<target> <most> <file>...): at most so many files of one folder together.
function(nacre_unity target most)
  if(NOT NACRE_UNITY)
    return()
  endif()
  set(last "")
  foreach(file ${ARGN})
    get_filename_component(folder ${file} DIRECTORY)
    if(NOT folder STREQUAL last)
      set(count 0)
      set(last ${folder})
      file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${folder})
      string(REPLACE "/" "_" name ${name})
    endif()
    math(EXPR batch "${count} / ${most}")
    math(EXPR count "${count} + 1")
    set_source_files_properties(${file} PROPERTIES UNITY_GROUP "${name}${batch}")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC takes the anonymous namespaces of the files for those of a header.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()
