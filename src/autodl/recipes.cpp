#include "autodl/recipes.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "nacre/zoo.h"

namespace nacre {
namespace {

Point point_of(std::initializer_list<std::pair<const std::string, SearchValue>> values) {
  Point p;
  p.values = values;
  return p;
}

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", v);
  return text;
}

// ---- pictures

bool has_small(const FitTask& t) { return std::max(t.side_width, t.side_height) >= 48; }

constexpr int64_t kLeNetSide = 32;

bool has_svm_of_pixels(const FitTask& t) {
  return t.channels * t.side_width * t.side_height * t.pool->size() <= 4000000;
}

SearchSpace picture_space(const FitTask& t) {
  SearchSpace s;
  std::vector<std::string> models = {"logistic_regression", "cnn", "resnet20"};
  if (!has_small(t)) models.push_back("lenet5");
  if (!t.from_model.empty()) models.push_back("from");
  const std::vector<std::string> networks(models.begin() + 1, models.end());
  if (has_svm_of_pixels(t)) models.push_back("svm");
  s.choice("model", models);
  std::vector<std::string> trained = networks;
  trained.push_back("logistic_regression");
  if (has_svm_of_pixels(t)) {
    s.real("c", 0.5, 100, true).when("model", {"svm"});
    s.real("spread", 0.1, 10, true).when("model", {"svm"});
  }
  s.choice("widths", {"16-32-64", "32-64-128", "32-64-128-128"}).when("model", {"cnn"});
  s.real("dropout", 0, 0.5).when("model", {"cnn"});
  s.choice("pool", {"mean", "max"}).when("model", {"cnn"});
  s.integer("blocks", 1, 2).when("model", {"resnet20"});
  s.choice("width", {"16", "32"}).when("model", {"resnet20"});
  if (has_small(t)) s.choice("size", {"full", "half"});
  if (!t.clips) {  // a spectrum has a low end and a beginning
    s.choice("look", {"plain", "detail"}).when("model", networks);
    s.choice("flip", {"none", "horizontal", "both"}).when("model", networks);
  }
  s.choice("move", t.clips ? std::vector<std::string>{"none", "shift"}
                           : std::vector<std::string>{"none", "shift", "affine"})
      .when("model", networks);
  s.choice("cover", {"none", "cutout", "mixup"}).when("model", networks);
  s.choice("light", {"none", "jitter"}).when("model", networks);
  s.choice("batch", {"32", "64"}).when("model", trained);
  s.real("lr", 5e-4, 2e-2, true).when("model", trained);
  s.real("weight_decay", 1e-4, 0.2, true).when("model", trained);
  s.choice("label_smoothing", {"0", "0.1"}).when("model", networks);
  s.choice("average", {"none", "ema"}).when("model", networks);
  return s;
}

std::vector<std::pair<std::string, Point>> picture_points(const FitTask& t) {
  std::vector<std::pair<std::string, Point>> list;
  const std::string batch = t.train->size() < 1500 ? "32" : "64";
  const auto add = [&](const std::string& label, Point p) {
    if (has_small(t)) p.values.emplace("size", "full");
    if (p.word("model") != "svm") p.values.emplace("batch", batch);
    list.emplace_back(label, std::move(p));
  };
  const auto network = [&](const char* flip, const char* move, const char* cover, double lr) {
    Point p = point_of({{"model", "cnn"},
                        {"widths", "32-64-128"},
                        {"dropout", 0.2},
                        {"pool", "mean"},
                        {"move", move},
                        {"cover", cover},
                        {"light", "none"},
                        {"lr", lr},
                        {"weight_decay", 0.05},
                        {"label_smoothing", "0.1"},
                        {"average", "ema"}});
    if (t.clips) return p;
    p.values["look"] = "plain";
    p.values["flip"] = flip;
    return p;
  };
  Point line = point_of({{"model", "logistic_regression"}, {"lr", 2e-3}, {"weight_decay", 0.01}});
  if (has_small(t)) line.values["size"] = "half";
  add(t.clips ? "linear in the spectrum" : "linear in the pixels", line);
  if (!t.from_model.empty()) {
    Point from = network("none", "shift", "none", 2e-3);
    from.values.erase("widths");
    from.values.erase("dropout");
    from.values.erase("pool");
    from.values["model"] = "from";
    add("from the given model", from);
  }
  if (!has_small(t)) {
    Point quick = network("none", "none", "none", 4e-3);
    for (const char* name : {"widths", "dropout", "pool"}) quick.values.erase(name);
    quick.values["model"] = "lenet5";
    add(kQuickNetwork, quick);
  }
  if (has_svm_of_pixels(t))
    add(t.clips ? "support vectors on spectra" : "support vectors on pixels",
        point_of({{"model", "svm"}, {"c", 5.0}, {"spread", 1.0}}));
  Point small = network("none", "none", "none", 4e-3);
  small.values["widths"] = "16-32-64";
  if (has_small(t)) small.values["size"] = "half";
  add("small network", small);
  add(t.clips ? "network, spectra shifted" : "network, pictures shifted",
      network("none", "shift", "none", 4e-3));
  if (t.clips) {
    add("network, spectra shifted and covered", network("none", "shift", "cutout", 4e-3));
  } else {
    add("network, flipped and shifted", network("horizontal", "shift", "none", 4e-3));
    add("network, turned and covered", network("none", "affine", "cutout", 4e-3));
    Point detail = network("both", "shift", "none", 4e-3);
    detail.values["look"] = "detail";
    detail.values["pool"] = "max";
    detail.values["widths"] = "16-32-64";
    add("network, on detail", detail);
  }
  Point residual = network("horizontal", "shift", "none", 5e-3);
  residual.values.erase("widths");
  residual.values.erase("dropout");
  residual.values.erase("pool");
  residual.values["model"] = "resnet20";
  residual.values["blocks"] = int64_t{1};
  residual.values["width"] = "32";
  add("residual network", residual);
  return list;
}

void set_picture(const FitTask& t, const Point& p, TrainConfig& c) {
  const std::string& model = p.word("model");
  if (model == "cnn")
    c.options = "widths=" + p.word("widths") + " dropout=" + number(p.number("dropout")) +
                " pool=" + p.word("pool");
  if (model == "resnet20")
    c.options = cat({"blocks=", p.integer("blocks"), " width=", p.word("width")});
  if (model == "svm")
    c.options =
        "c=" + number(p.number("c")) + " gamma=" +
        number(p.number("spread") / static_cast<double>(t.channels * t.side_width * t.side_height));
  const bool half = model != "from" && p.has("size") && p.word("size") == "half";
  const bool from = model == "from", lenet = model == "lenet5";
  const int64_t whole_w = lenet  ? kLeNetSide
                          : from ? t.from_width
                                 : t.side_width,
                whole_h = lenet  ? kLeNetSide
                          : from ? t.from_height
                                 : t.side_height,
                w = half ? (whole_w + 1) / 2 : whole_w, h = half ? (whole_h + 1) / 2 : whole_h,
                side = std::min(w, h);
  std::string steps = t.head;
  if (w != t.side_width || h != t.side_height) steps += cat({"|resize(", w, ",", h, ")"});
  const auto is = [&](const char* name, const char* word) {
    return p.has(name) && p.word(name) == word;
  };
  if (is("look", "detail")) steps += "|detail(2)";
  if (is("flip", "horizontal")) steps += "|hflip()";
  if (is("flip", "both")) steps += w == h ? "|rotate90()|hflip()" : "|vflip()|hflip()";
  if (is("move", "shift"))
    steps += cat({"|random_crop(", w, ",", h, ",padding=", std::max<int64_t>(1, side / 8),
                  ",border=reflect)"});
  if (is("move", "affine"))
    steps += "|affine(degrees=10,translate=0.08,scale=0.1,shear=4,border=edge)";
  if (is("light", "jitter")) steps += "|color_jitter(brightness=0.2,contrast=0.2)";
  steps += is("look", "detail")
               ? "|normalize(mean=0,std=" + number(t.detail) + ")"
               : "|normalize(mean=" + number(t.mean) + ",std=" + number(t.std) + ")";
  if (is("cover", "cutout")) steps += cat({"|cutout(", std::max<int64_t>(1, side / 3), ")"});
  if (is("cover", "mixup")) steps += "|mixup(alpha=0.2)";
  c.transform = steps;
  if (!p.has("batch")) return;
  c.schedule = "one_cycle";
  if (p.has("label_smoothing")) c.set("label_smoothing", p.word("label_smoothing"));
  c.batch = std::atoll(p.word("batch").c_str());
  if (is("average", "ema")) {  // over about a tenth of the steps of a short training
    c.ema = 0.98;
  }
}

// ---- rows

/// The cost of support vector machines grows with the square of the rows.
bool has_svm(const FitTask& t) {
  return t.pool->size() <= 20000 && t.pool->size() * t.features <= 5000000;
}

/// Many columns, as texts have: trees and neighbours are slow there and seldom good.
bool is_wide(const FitTask& t) { return t.features > 500; }

/// Planes between classes are often better than logistic regression there.
bool has_hinge(const FitTask& t) { return is_wide(t) && !t.regression; }

bool is_imbalanced(const FitTask& t) {
  if (t.regression) return false;
  std::vector<int64_t> counts(static_cast<size_t>(t.classes()));
  for (int64_t label : labels_of(*t.pool)) ++counts[static_cast<size_t>(label)];
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return *most >= 3 * std::max<int64_t>(1, *least);
}

SearchSpace row_space(const FitTask& t) {
  SearchSpace s;
  std::vector<std::string> models = {"linear", "k_nearest", "random_forest", "boosted_trees",
                                     "mlp"};
  if (is_wide(t)) models = {"linear", "mlp", "boosted_trees", "random_forest", "k_nearest"};
  if (has_svm(t)) models.push_back("svm");
  s.choice("model", models);
  s.real("linear_c", 1e-3, 100, true).when("model", {"linear"});
  if (has_hinge(t)) s.choice("loss", {"logistic", "hinge"}).when("model", {"linear"});
  s.integer("k", 1, 50, true).when("model", {"k_nearest"});
  s.choice("weighted", {"false", "true"}).when("model", {"k_nearest"});
  s.integer("trees", 100, 400, true).when("model", {"random_forest"});
  s.integer("min_leaf", 1, 20, true).when("model", {"random_forest"});
  s.real("columns", 0.1, 1).when("model", {"random_forest", "boosted_trees"});
  s.integer("rounds", 30, 500, true).when("model", {"boosted_trees"});
  s.real("rate", 0.02, 0.3, true).when("model", {"boosted_trees"});
  s.integer("depth", 2, 8).when("model", {"boosted_trees"});
  s.real("rows", 0.5, 1).when("model", {"boosted_trees"});
  s.real("min_weight", 0.5, 20, true).when("model", {"boosted_trees"});
  s.choice("hidden", {"32", "64", "128", "256", "64-32", "128-64", "256-128", "128-128-128"})
      .when("model", {"mlp"});
  s.real("dropout", 0, 0.5).when("model", {"mlp"});
  s.integer("epochs", 10, 100, true).when("model", {"mlp"});
  s.choice("batch", {"16", "32", "64", "128"}).when("model", {"mlp"});
  s.real("lr", 3e-4, 3e-2, true).when("model", {"mlp"});
  s.real("weight_decay", 1e-4, 1, true).when("model", {"mlp"});
  if (has_svm(t)) {
    s.real("c", 0.05, 500, true).when("model", {"svm"});
    s.real("spread", 0.05, 5, true).when("model", {"svm"});  // of gamma, in units of 1 / columns
  }
  if (is_imbalanced(t)) s.choice("class_weights", {"none", "balanced"});
  if (t.useless) s.choice("features", {"all", "selected"});
  return s;
}

std::vector<std::pair<std::string, Point>> row_points(const FitTask& t) {
  std::vector<std::pair<std::string, Point>> list;
  const auto add = [&](const char* label, Point p) {
    if (is_imbalanced(t)) p.values.emplace("class_weights", "none");
    if (t.useless) p.values.emplace("features", "all");
    list.emplace_back(label, std::move(p));
  };
  const auto add_selected = [&](const char* label, Point p) {
    if (t.useless == 0) return;
    p.values["features"] = "selected";
    add(label, std::move(p));
  };
  const int64_t n = t.pool->size();
  if (is_wide(t)) {
    const auto line = [&](const char* label, const char* loss, double c) {
      Point p = point_of({{"model", "linear"}, {"linear_c", c}});
      if (has_hinge(t)) p.values["loss"] = loss;
      add(label, p);
    };
    if (has_hinge(t)) {  // the quickest first
      line("linear, by margin", "hinge", 0.5);
      line("linear, wider margin", "hinge", 0.2);
    }
    line("linear", "logistic", 1);
    line("linear, freer", "logistic", 10);
    for (const char* hidden : {"64", "256"})
      add(hidden == std::string("64") ? "small network" : "network",
          point_of({{"model", "mlp"},
                    {"hidden", hidden},
                    {"dropout", 0.4},
                    {"epochs", int64_t{10}},
                    {"batch", n < 2000 ? "16" : "64"},
                    {"lr", 2e-3},
                    {"weight_decay", 0.1}}));
    add("boosted trees", point_of({{"model", "boosted_trees"},
                                   {"rounds", int64_t{100}},
                                   {"rate", 0.2},
                                   {"depth", int64_t{5}},
                                   {"rows", 0.8},
                                   {"columns", 0.3},
                                   {"min_weight", 1.0}}));
    return list;
  }
  const std::string batch = n < 500 ? "16" : n < 3000 ? "32" : n < 10000 ? "64" : "128";
  const auto mlp = [&](const char* hidden, double dropout, double lr, double decay) {
    return point_of({{"model", "mlp"},
                     {"hidden", hidden},
                     {"dropout", dropout},
                     {"epochs", int64_t{40}},
                     {"batch", batch},
                     {"lr", lr},
                     {"weight_decay", decay}});
  };
  const auto trees = [&](int64_t rounds, double rate, int64_t depth) {
    return point_of({{"model", "boosted_trees"},
                     {"rounds", rounds},
                     {"rate", rate},
                     {"depth", depth},
                     {"rows", 0.9},
                     {"columns", 1.0},
                     {"min_weight", 1.0}});
  };
  const Point line = point_of({{"model", "linear"}, {"linear_c", 1.0}}),
              near = point_of({{"model", "k_nearest"}, {"k", int64_t{5}}, {"weighted", "true"}});
  add("linear", line);
  add_selected("linear, some columns", line);
  add("boosted trees", trees(150, 0.1, 5));
  add("nearest neighbours", near);
  add_selected("nearest neighbours, some columns", near);
  add("small network", mlp("64", 0, 5e-3, 0.01));
  const double root = std::sqrt(static_cast<double>(t.features)) /
                      static_cast<double>(std::max<int64_t>(1, t.features));
  add("random forest",
      point_of({{"model", "random_forest"},
                {"trees", int64_t{200}},
                {"min_leaf", int64_t{1}},
                {"columns", std::clamp(t.regression ? 1.0 / 3 : root, 0.1, 1.0)}}));
  if (has_svm(t)) {
    const auto svm = [](double c) {
      return point_of({{"model", "svm"}, {"c", c}, {"spread", 1.0}});
    };
    add("support vectors", svm(1));
    add_selected("support vectors, some columns", svm(1));
    add("support vectors, stricter", svm(10));
  }
  add("network", mlp("256-128", 0.2, 3e-3, 0.05));
  add("shallow trees, many", trees(400, 0.05, 3));
  return list;
}

void set_row(const FitTask& t, const Point& p, TrainConfig& c) {
  const std::string& model = p.word("model");
  const auto option = [&](const char* name, const std::string& value) {
    c.options += (c.options.empty() ? "" : " ") + std::string(name) + "=" + value;
  };
  if (model == "linear") option("c", number(p.number("linear_c")));
  for (const char* name : {"k", "trees", "min_leaf", "rounds", "depth"})
    if (p.has(name)) option(name, std::to_string(p.integer(name)));
  for (const char* name : {"columns", "rate", "rows", "min_weight", "c", "dropout"})
    if (p.has(name)) option(name, number(p.number(name)));
  for (const char* name : {"weighted", "hidden", "loss"})
    if (p.has(name)) option(name, p.word(name));
  const bool some = p.has("features") && p.word("features") == "selected";
  if (some) c.transform = "selected";
  const int64_t columns = t.features - (some ? t.useless : 0);
  if (p.has("spread"))
    option("gamma",
           number(p.number("spread") / static_cast<double>(std::max<int64_t>(1, columns))));
  if (p.has("class_weights")) c.class_weights = p.word("class_weights");
  if (model != "mlp") return;
  c.epochs = p.integer("epochs");
  c.batch = std::atoll(p.word("batch").c_str());
  c.schedule = "one_cycle";
}

}  // namespace

SearchSpace space_of(const FitTask& t) { return t.pictures() ? picture_space(t) : row_space(t); }

std::vector<std::pair<std::string, Point>> first_points(const FitTask& t) {
  return t.pictures() ? picture_points(t) : row_points(t);
}

TrainConfig config_of(const FitTask& t, const Point& p) {
  const bool from = p.word("model") == "from";
  const std::string& model = from ? t.from_model : p.word("model");
  const TrainConfig base = t.base();
  TrainConfig c = TrainConfig::for_model(model);
  c.data = base.data;
  c.target = base.target;
  c.task = base.task;
  c.seed = base.seed;
  c.test_share = base.test_share;
  c.val_share = base.val_share;
  c.on_error = base.on_error;
  c.workers = base.workers;
  if (from) {
    c.from = t.options.from;
    c.options = t.from_options;
  }
  if (p.has("lr")) c.set("lr", number(p.number("lr")));
  if (p.has("weight_decay")) c.set("weight_decay", number(p.number("weight_decay")));
  if (t.pictures()) {
    set_picture(t, p, c);
    return c;
  }
  set_row(t, p, c);
  return c;
}

std::string counted_option(const std::string& model) {
  return model == "boosted_trees" ? "rounds" : model == "random_forest" ? "trees" : "";
}

int64_t option_in(const std::string& options, const std::string& name) {
  std::stringstream list(options);
  for (std::string item; list >> item;)
    if (item.rfind(name + "=", 0) == 0) return std::atoll(item.c_str() + name.size() + 1);
  return 0;
}

std::string with_option(const std::string& options, const std::string& name, int64_t value) {
  std::string result;
  std::stringstream list(options);
  for (std::string item; list >> item;)
    if (item.rfind(name + "=", 0) != 0) result += item + " ";
  return result + name + "=" + std::to_string(value);
}

bool by_time(const FitTask& t, const TrainConfig& c) {
  return t.pictures() && !find_model(c.model).fit;
}

}  // namespace nacre
