#include "autodl/recipes.h"

#include <algorithm>
#include <cmath>

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

SearchSpace picture_space(const FitTask& t) {
  SearchSpace s;
  std::vector<std::string> models = {"logistic_regression", "cnn", "resnet20"};
  if (t.has_from) models.push_back("from");
  s.choice("model", models);
  const std::vector<std::string> networks(models.begin() + 1, models.end());
  s.choice("widths", {"16-32-64", "32-64-128", "32-64-128-128"}).when("model", {"cnn"});
  s.real("dropout", 0, 0.5).when("model", {"cnn"});
  s.integer("blocks", 1, 2).when("model", {"resnet20"});
  s.choice("width", {"16", "32"}).when("model", {"resnet20"});
  if (has_small(t)) s.choice("size", {"full", "half"});
  s.choice("flip", {"none", "horizontal", "both"}).when("model", networks);
  s.choice("move", {"none", "shift", "affine"}).when("model", networks);
  s.choice("cover", {"none", "cutout", "mixup"}).when("model", networks);
  s.choice("light", {"none", "jitter"}).when("model", networks);
  s.choice("batch", {"32", "64"});
  s.real("lr", 5e-4, 2e-2, true);
  s.real("weight_decay", 1e-4, 0.2, true);
  s.choice("label_smoothing", {"0", "0.1"}).when("model", networks);
  s.choice("average", {"none", "ema"}).when("model", networks);
  return s;
}

std::vector<std::pair<std::string, Point>> picture_points(const FitTask& t) {
  std::vector<std::pair<std::string, Point>> list;
  const std::string batch = t.train->size() < 1500 ? "32" : "64";
  const auto add = [&](const std::string& label, Point p) {
    if (has_small(t)) p.values.emplace("size", "full");
    p.values.emplace("batch", batch);
    list.emplace_back(label, std::move(p));
  };
  const auto network = [&](const char* flip, const char* move, const char* cover, double lr) {
    return point_of({{"model", "cnn"},
                     {"widths", "32-64-128"},
                     {"dropout", 0.2},
                     {"flip", flip},
                     {"move", move},
                     {"cover", cover},
                     {"light", "none"},
                     {"lr", lr},
                     {"weight_decay", 0.05},
                     {"label_smoothing", "0.1"},
                     {"average", "ema"}});
  };
  Point line = point_of({{"model", "logistic_regression"}, {"lr", 2e-3}, {"weight_decay", 0.01}});
  if (has_small(t)) line.values["size"] = "half";
  add("linear in the pixels", line);
  Point small = network("none", "none", "none", 4e-3);
  small.values["widths"] = "16-32-64";
  if (has_small(t)) small.values["size"] = "half";
  add("small network", small);
  add("network, pictures shifted", network("none", "shift", "none", 4e-3));
  add("network, flipped and shifted", network("horizontal", "shift", "none", 4e-3));
  add("network, turned and covered", network("none", "affine", "cutout", 4e-3));
  Point residual = network("horizontal", "shift", "none", 5e-3);
  residual.values.erase("widths");
  residual.values.erase("dropout");
  residual.values["model"] = "resnet20";
  residual.values["blocks"] = int64_t{1};
  residual.values["width"] = "32";
  add("residual network", residual);
  if (t.has_from) {
    Point from = network("none", "shift", "none", 2e-3);
    from.values.erase("widths");
    from.values.erase("dropout");
    from.values["model"] = "from";
    add("from the given model", from);
  }
  return list;
}

void set_picture(const FitTask& t, const Point& p, TrainConfig& c) {
  const std::string& model = p.word("model");
  if (model == "cnn")
    c.options = "widths=" + p.word("widths") + " dropout=" + number(p.number("dropout"));
  if (model == "resnet20")
    c.options = cat({"blocks=", p.integer("blocks"), " width=", p.word("width")});
  const bool half = p.has("size") && p.word("size") == "half";
  const int64_t w = half ? (t.side_width + 1) / 2 : t.side_width,
                h = half ? (t.side_height + 1) / 2 : t.side_height, side = std::min(w, h);
  std::string steps = t.head;
  if (half) steps += cat({"|resize(", w, ",", h, ")"});
  const auto is = [&](const char* name, const char* word) {
    return p.has(name) && p.word(name) == word;
  };
  if (is("flip", "horizontal") || is("flip", "both")) steps += "|hflip()";
  if (is("flip", "both")) steps += "|vflip()";
  if (is("move", "shift"))
    steps += cat({"|random_crop(", w, ",", h, ",padding=", std::max<int64_t>(1, side / 8),
                  ",border=reflect)"});
  if (is("move", "affine"))
    steps += "|affine(degrees=10,translate=0.08,scale=0.1,shear=4,border=edge)";
  if (is("light", "jitter")) steps += "|color_jitter(brightness=0.2,contrast=0.2)";
  steps += "|normalize(mean=" + number(t.mean) + ",std=" + number(t.std) + ")";
  if (is("cover", "cutout")) steps += cat({"|cutout(", std::max<int64_t>(1, side / 3), ")"});
  if (is("cover", "mixup")) steps += "|mixup(alpha=0.2)";
  c.transform = steps;
  c.schedule = "one_cycle";
  if (p.has("label_smoothing")) c.set("label_smoothing", p.word("label_smoothing"));
  c.batch = std::atoll(p.word("batch").c_str());
  if (is("average", "ema")) {  // over about a tenth of the steps of a short training
    c.ema = 0.98;
  }
}

// ---- rows

SearchSpace row_space(const FitTask& t) {
  SearchSpace s;
  std::vector<std::string> models = {t.regression ? "linear_regression" : "logistic_regression",
                                     "mlp"};
  s.choice("model", models);
  const std::vector<std::string> trained(models.begin(), models.begin() + 2);
  s.choice("hidden", {"32", "64", "128", "256", "64-32", "128-64", "256-128", "128-128-128"})
      .when("model", {"mlp"});
  s.real("dropout", 0, 0.5).when("model", {"mlp"});
  s.integer("epochs", 10, 100, true).when("model", trained);
  s.choice("batch", {"16", "32", "64", "128"}).when("model", trained);
  s.real("lr", 3e-4, 3e-2, true).when("model", trained);
  s.real("weight_decay", 1e-4, 1, true).when("model", trained);
  return s;
}

std::vector<std::pair<std::string, Point>> row_points(const FitTask& t) {
  std::vector<std::pair<std::string, Point>> list;
  const std::string batch = t.pool->size() < 500 ? "16" : t.pool->size() < 3000 ? "32" : "64";
  list.emplace_back("linear",
                    point_of({{"model", t.regression ? "linear_regression" : "logistic_regression"},
                              {"epochs", int64_t{40}},
                              {"batch", batch},
                              {"lr", 1e-2},
                              {"weight_decay", 0.01}}));
  const auto mlp = [&](const char* hidden, double dropout, double lr, double decay) {
    return point_of({{"model", "mlp"},
                     {"hidden", hidden},
                     {"dropout", dropout},
                     {"epochs", int64_t{40}},
                     {"batch", batch},
                     {"lr", lr},
                     {"weight_decay", decay}});
  };
  list.emplace_back("small network", mlp("64", 0, 5e-3, 0.01));
  list.emplace_back("network", mlp("256-128", 0.2, 3e-3, 0.05));
  return list;
}

}  // namespace

SearchSpace space_of(const FitTask& t) { return t.pictures() ? picture_space(t) : row_space(t); }

std::vector<std::pair<std::string, Point>> first_points(const FitTask& t) {
  return t.pictures() ? picture_points(t) : row_points(t);
}

TrainConfig config_of(const FitTask& t, const Point& p) {
  const std::string& model = p.word("model");
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
  if (p.has("lr")) c.set("lr", number(p.number("lr")));
  if (p.has("weight_decay")) c.set("weight_decay", number(p.number("weight_decay")));
  if (t.pictures()) {
    set_picture(t, p, c);
    return c;
  }
  if (model == "mlp")
    c.options = "hidden=" + p.word("hidden") + " dropout=" + number(p.number("dropout"));
  if (p.has("epochs")) {
    c.epochs = p.integer("epochs");
    c.batch = std::atoll(p.word("batch").c_str());
    c.schedule = "one_cycle";
  }
  return c;
}

bool by_time(const FitTask& t, const TrainConfig&) { return t.pictures(); }

}  // namespace nacre
