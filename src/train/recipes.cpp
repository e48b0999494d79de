#include "nacre/recipes.h"

#include "base/nearest.h"
#include "base/yaml.h"
#include "train/recipe_texts.h"

namespace nacre {

Recipe parse_recipe(const std::string& name, const std::string& text) {
  const std::string what = "recipe " + name;
  Json j;
  try {
    j = parse_yaml(text, what);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::data) throw;
    fail(Error::Kind::usage, {e.what()});
  }
  Recipe r;
  r.name = name;
  r.text = text;
  r.config = config_from(j, what);
  const Json* about = j.find(kRecipeKey);
  if (!about || !about->is_object())
    fail(Error::Kind::usage, {what, " has no part '", kRecipeKey, "' that says what it is"});
  struct Part {
    const char* name;
    std::string Recipe::*field;
    bool needed;
  };
  static constexpr Part kParts[] = {
      {"about", &Recipe::about, true},        {"data", &Recipe::data, true},
      {"source", &Recipe::source, true},      {"published", &Recipe::published, false},
      {"measured", &Recipe::measured, false}, {"time", &Recipe::time, false}};
  for (const auto& [field, value] : about->fields()) {
    const Part* found = nullptr;
    for (const Part& p : kParts)
      if (field == p.name) found = &p;
    if (!found || !(value.is_text() || value.is_null()))
      fail(Error::Kind::usage, {what,
                                " should have texts called about, data, source, published, "
                                "measured and time, got '",
                                field, "'"});
    if (value.is_text()) r.*(found->field) = value.text();
  }
  for (const Part& p : kParts)
    if (p.needed && (r.*(p.field)).empty())
      fail(Error::Kind::usage, {what, " does not say '", p.name, "'"});
  return r;
}

std::vector<Recipe> all_recipes() {
  std::vector<Recipe> list;
  for (const RecipeText& t : recipe_texts()) list.push_back(parse_recipe(t.name, t.text));
  return list;
}

Recipe find_recipe(const std::string& name) {
  std::string known;
  std::vector<std::string> names;
  for (const RecipeText& t : recipe_texts()) {
    if (name == t.name) return parse_recipe(t.name, t.text);
    names.emplace_back(t.name);
    known += (known.empty() ? "" : ", ") + names.back();
  }
  if (const std::string nearest = nearest_name(name, names); !nearest.empty())
    fail(Error::Kind::usage, {"there is no recipe '", name, "'; did you mean ", nearest, "?"});
  fail(Error::Kind::usage, {"there is no recipe '", name, "'; there are ", known});
}

}  // namespace nacre
