# Writes the files of recipes into a source file, so that the program and the library need no folder:
#   cmake -DFILES=a.yaml|b.yaml -DOUT=recipe_texts.cpp -P EmbedRecipes.cmake
string(REPLACE "|" ";" files "${FILES}")
set(text "#include \"train/recipe_texts.h\"\n\nnamespace nacre {\n\nstd::vector<RecipeText> recipe_texts() {\n  return {\n")
foreach(file ${files})
  get_filename_component(name ${file} NAME_WLE)
  file(READ ${file} content)
  string(APPEND text "      {\"${name}\", R\"recipe(${content})recipe\"},\n")
endforeach()
string(APPEND text "  };\n}\n\n}  // namespace nacre\n")
file(WRITE ${OUT} "${text}")
