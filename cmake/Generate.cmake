# tools/gen_ops.cpp makes tables, nacre/ops.h and the op reference from the files that define ops,
# kernels and models. It rewrites only what changed.
set(NACRE_GEN_DIR ${PROJECT_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${NACRE_GEN_DIR}/include)

add_executable(gen_ops tools/gen_ops.cpp)
target_compile_options(gen_ops PRIVATE -Wall -Wextra)
set_target_properties(gen_ops PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools)

file(GLOB_RECURSE nacre_gen_inputs CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/src/ops/*.cpp ${PROJECT_SOURCE_DIR}/src/backends/cpu/kernels/*.cpp
     ${PROJECT_SOURCE_DIR}/src/zoo/*.cpp ${PROJECT_SOURCE_DIR}/src/onnx/ops/*.cpp
     ${PROJECT_SOURCE_DIR}/src/labs/*.cpp)
set(nacre_generated_sources
    ${NACRE_GEN_DIR}/op_table.cpp ${NACRE_GEN_DIR}/cpu_kernels.cpp ${NACRE_GEN_DIR}/zoo_table.cpp
    ${NACRE_GEN_DIR}/onnx_table.cpp ${NACRE_GEN_DIR}/lab_table.cpp
    ${NACRE_GEN_DIR}/include/nacre/ops.h)
# The list of inputs is in the command's file, so that removing a file runs the tool too.
list(JOIN nacre_gen_inputs "\n" nacre_gen_list)
file(GENERATE OUTPUT ${NACRE_GEN_DIR}/inputs.txt CONTENT "${nacre_gen_list}\n")
add_custom_command(
  OUTPUT ${NACRE_GEN_DIR}/stamp
  BYPRODUCTS ${nacre_generated_sources} ${NACRE_GEN_DIR}/ops.md
  COMMAND gen_ops ${PROJECT_SOURCE_DIR} ${NACRE_GEN_DIR}
  COMMAND ${CMAKE_COMMAND} -E touch ${NACRE_GEN_DIR}/stamp
  DEPENDS gen_ops ${nacre_gen_inputs} ${NACRE_GEN_DIR}/inputs.txt
  COMMENT "Tables of ops, kernels, models and labs"
  VERBATIM)

# The recipes of recipes/*.yaml are part of the library.
file(GLOB nacre_recipes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/*.yaml)
list(JOIN nacre_recipes "|" nacre_recipe_list)
file(GENERATE OUTPUT ${NACRE_GEN_DIR}/recipes.txt CONTENT "${nacre_recipe_list}\n")
add_custom_command(
  OUTPUT ${NACRE_GEN_DIR}/recipe_texts.cpp
  COMMAND ${CMAKE_COMMAND} "-DFILES=${nacre_recipe_list}" -DOUT=${NACRE_GEN_DIR}/recipe_texts.cpp
          -P ${PROJECT_SOURCE_DIR}/cmake/EmbedRecipes.cmake
  DEPENDS ${nacre_recipes} ${PROJECT_SOURCE_DIR}/cmake/EmbedRecipes.cmake
          ${NACRE_GEN_DIR}/recipes.txt
  COMMENT "Recipes"
  VERBATIM)
list(APPEND nacre_generated_sources ${NACRE_GEN_DIR}/recipe_texts.cpp)
