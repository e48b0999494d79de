# Flags of everything that is built here; none of them reaches users of the installed library.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(nacre_build INTERFACE)
# Contraction is off so that fused and unfused elementwise code give the same bits.
target_compile_options(nacre_build INTERFACE -fno-math-errno -ffp-contract=off -Wall -Wextra)
# Nobody replaces single functions of the library, which otherwise forbids inlining with -fPIC.
target_compile_options(nacre_build INTERFACE -fno-semantic-interposition)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # The compiler may take 512 MiB before it looks for memory that it does not need any more, which
  # is a twentieth of its time; few files need that much.
  target_compile_options(nacre_build INTERFACE -Wno-restrict --param=ggc-min-heapsize=524288)
endif()
if(NACRE_WERROR)
  target_compile_options(nacre_build INTERFACE -Werror)
endif()
if(NACRE_STD_THREADS)
  target_compile_definitions(nacre_build INTERFACE NACRE_STD_THREADS)
endif()
if(NACRE_SANITIZE)
  add_compile_options(-fsanitize=${NACRE_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${NACRE_SANITIZE})
  if(NACRE_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
    # For tests and the program: without what the library's own code is checked for, which is half of
    # the time to compile headers of tests and options.
    set(NACRE_FEWER_CHECKS -fno-sanitize=null,alignment,vptr,object-size)
  endif()
endif()
if(NACRE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(NACRE_CCACHE ccache)
if(NACRE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NACRE_CCACHE})
endif()
# A precompiled header is never the same twice, so with one the cache would never hit.
set(pch_default ON)
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(pch_default OFF)
endif()
option(NACRE_PCH "Precompile the headers that most files include" ${pch_default})
find_program(NACRE_MOLD mold)
if(NACRE_MOLD)
  target_link_options(nacre_build INTERFACE -fuse-ld=mold)
endif()
