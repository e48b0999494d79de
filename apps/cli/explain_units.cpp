// nacre explain MODEL --data PICTURES, --unit and --maps: what units look for.
#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/explain.h"

namespace nacre::cli {
namespace {

using explain::Page;

constexpr int64_t kShown = 64;  ///< channels on a page
constexpr int64_t kEach = 6;    ///< pictures of a channel

Tensor picture_tensor(const Predictor& p, Sample sample) {
  Shape shape = {1};
  for (int64_t d : p.info().input) shape.push_back(d);
  if (shape.rank() != 4)
    fail(Error::Kind::usage, {"the model takes ", p.info().input, ", not pictures"});
  return Tensor::from(p.prepare(std::move(sample)), shape);
}

/// One picture beside the other, with a line between.
Image side_by_side(const std::vector<Image>& list) {
  if (list.empty()) return {};
  int width = -2;
  for (const Image& i : list) width += i.width + 2;
  Image all(width, list[0].height, 3, 1);
  int x = 0;
  for (const Image& i : list) {
    for (int r = 0; r < i.height; ++r)
      for (int c = 0; c < i.width; ++c)
        for (int k = 0; k < 3; ++k) all.at(x + c, r, k) = i.at(c, r, i.channels == 3 ? k : 0);
    x += i.width + 2;
  }
  return all;
}

Image enlarged(const Image& i, int side) {
  const int times = std::max(1, side / std::max(1, std::min(i.width, i.height)));
  return resize(i, i.width * times, i.height * times, Resample::nearest);
}

std::string last_layer(const Predictor& p, const ExplainArgs& a) {
  if (!a.layer.empty()) return a.layer;
  Shape shape = {1};
  for (int64_t d : p.info().input) shape.push_back(d);
  const auto layers = explain::map_layers(p.net(), zeros(shape));
  if (layers.empty())
    fail(Error::Kind::unsupported, {"no layer of ", a.model, " gives maps of pictures"});
  return layers.back();
}

}  // namespace

void explain_layer(const ExplainArgs& a, const Predictor& p) {
  const std::string layer = last_layer(p, a);
  const DataSplits splits = open_dataset(a.data);
  const DatasetPtr data = splits.test ? splits.test : splits.train;
  const auto best = explain::top_activations(p.net(), data, p.transform(), layer, kEach);
  Output out(a);
  Page page;
  page.title = "What excites " + layer;
  page.subtitle = a.model + " on " + a.data;
  page.tiles = {{"channels", std::to_string(best.size())},
                {"pictures", std::to_string(data->size())}};
  Page::Section section{.title = "Channels",
                        .text =
                            "For each channel the pictures with its highest peaks; red is "
                            "where it is active."};
  Json channels = Json::array();
  for (size_t c = 0; c < best.size(); ++c) {
    Json list = Json::array();
    std::vector<Image> row;
    for (const explain::TopActivation& t : best[c]) {
      Json one = Json::object();
      one["picture"] = data->name(t.sample);
      one["value"] = t.value;
      one["x"] = t.x;
      one["y"] = t.y;
      list.push_back(one);
      if (static_cast<int64_t>(c) >= kShown) continue;
      const Tensor x = picture_tensor(p, data->get(t.sample));
      NoGrad guard;
      Context ctx = Context::eval();
      ctx.taps[layer] = {};
      p.net()(x, ctx);
      const auto at = static_cast<int64_t>(c);
      const Tensor map = interpolate(maximum(slice(ctx.taps[layer], 1, at, at + 1), 0),
                                     {x.size(2), x.size(3)}, "bilinear");
      row.push_back(explain::overlay(explain::picture_of(x, p.transform()), map, 0, 96));
    }
    Json channel = Json::object();
    channel["channel"] = c;
    channel["top"] = list;
    if (!row.empty()) {
      const std::string name = cat({safe_name(layer), "-", c, ".png"});
      section.figures.push_back({out.picture(name, side_by_side(row)), cat({"channel ", c}),
                                 cat({"peak ", format_number(best[c][0].value)}), false});
      channel["png"] = name;
    }
    channels.push_back(channel);
  }
  if (static_cast<int64_t>(best.size()) > kShown)
    section.text += cat({" The first ", kShown, " of ", best.size(), " are shown."});
  page.sections.push_back(std::move(section));
  Json json = Json::object();
  json["model"] = a.model;
  json["layer"] = layer;
  json["channels"] = channels;
  out.finish(page, json, a.json);
}

void maximise_unit(const ExplainArgs& a, const Predictor& p) {
  if (p.info().input.rank() != 3)
    fail(Error::Kind::usage, {"the model takes ", p.info().input, ", not pictures"});
  explain::Unit unit;
  const auto colon = a.unit.rfind(':');
  const std::string number = colon == std::string::npos ? "" : a.unit.substr(colon + 1);
  const auto& classes = p.info().classes;
  if (std::find(classes.begin(), classes.end(), a.unit) == classes.end() && !number.empty() &&
      number.size() < 10 && number.find_first_not_of("0123456789") == std::string::npos) {
    unit.layer = a.unit.substr(0, colon);
    unit.channel = std::stoll(number);
  } else {
    unit.channel = class_of(p.info(), a.unit);
  }
  const auto r = explain::activation_max(p.net(), p.info().input, unit);
  Output out(a);
  Page page;
  page.title = "What " + a.unit + " looks for";
  page.subtitle = a.model;
  Page::Section section{.title = "Pictures that excite it most",
                        .text = cat({"Found by climbing the gradient from noise; the objective "
                                     "went from ",
                                     format_number(r.objective.front()), " to ",
                                     format_number(r.objective.back()), "."})};
  Json pictures = Json::array();
  const Tensor y = softmax(explain::scores_of(p.net())(r.pictures));
  const auto scores = y.to_vector<float>();
  const auto outputs = static_cast<size_t>(y.size(-1));
  for (int64_t i = 0; i < r.pictures.size(0); ++i) {
    const std::string name = cat({safe_name(a.unit), "-", i + 1, ".png"});
    const auto from = scores.begin() + i * static_cast<int64_t>(outputs);
    const int64_t best = std::max_element(from, from + static_cast<int64_t>(outputs)) - from;
    Json one = Json::object();
    one["png"] = name;
    std::string note;
    if (!classes.empty()) {
      note = cat({"taken for ", class_name(p.info(), best), " (",
                  format_number(100 * from[best], 3), " %)"});
      one["label"] = class_name(p.info(), best);
      one["probability"] = from[best];
    }
    section.figures.push_back(
        {out.picture(name, enlarged(explain::picture_of(r.pictures, p.transform(), i), 224)),
         cat({"from noise ", i + 1}), note, false});
    pictures.push_back(one);
  }
  page.sections.push_back(std::move(section));
  Page::Section climb{.title = "The climb"};
  Chart chart{.title = "Objective", .x_label = "step"};
  Series series{a.unit, {}, r.objective};
  Json objective = Json::array();
  for (size_t k = 0; k < r.objective.size(); ++k) {
    series.xs.push_back(static_cast<double>(k));
    objective.push_back(r.objective[k]);
  }
  chart.series.push_back(std::move(series));
  climb.charts.push_back(std::move(chart));
  page.sections.push_back(std::move(climb));
  Json json = Json::object();
  json["model"] = a.model;
  json["unit"] = a.unit;
  json["pictures"] = pictures;
  json["objective"] = objective;
  out.finish(page, json, a.json);
}

void show_maps(const ExplainArgs& a, const Predictor& p) {
  if (a.inputs.size() != 1)
    fail(Error::Kind::usage, {"--maps is for one picture, ", a.inputs.size(), " were given"});
  const std::string bytes = read_file(a.inputs[0], uint64_t{1} << 29);
  const Tensor x = picture_tensor(p, p.picture(bytes, a.inputs[0]));
  Output out(a);
  Page page;
  page.title = "Maps and weights of " + p.info().model;
  page.subtitle = a.model + " on " + a.inputs[0];
  Json grids = Json::array();
  const auto show = [&](const std::string& kind, const std::string& name, const Tensor& t,
                        Page::Section& section) {
    Json one = Json::object();
    one["kind"] = kind;
    one["name"] = name;
    one["shape"] = t.shape().str();
    try {
      const explain::Grid g = explain::grid_of(t);
      const std::string file = kind + "-" + safe_name(name) + ".png";
      const std::string png = out.picture(file, explain::grid_picture(t, g));
      one["png"] = file;
      one["planes"] = g.planes;
      one["height"] = g.height;
      one["width"] = g.width;
      one["columns"] = g.columns;
      one["low"] = g.low;
      one["high"] = g.high;
      const std::string range = cat({t.shape().str(), ", ", format_number(g.low), " (black) to ",
                                     format_number(g.high), " (white)"});
      if (png.size() < 200000) section.figures.push_back({png, name, range, false});
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::unsupported) throw;
      log_warning({name, " is left out: ", e.what()});
      one["left_out"] = e.what();
    }
    grids.push_back(one);
  };
  Page::Section maps{.title = "Feature maps",
                     .text =
                         "Each picture holds the maps of a layer, row after row with a pixel "
                         "between. A value is low + grey * (high - low), with grey from 0 to "
                         "1; explanation.json has the numbers."};
  for (const auto& [name, t] : explain::feature_maps(p.net(), x)) show("maps", name, t, maps);
  Page::Section weights{.title = "Weights", .text = "A row for each output where there is room."};
  for (const Variable& v : p.net().parameters()) show("weight", v.name(), v.value(), weights);
  page.sections = {std::move(maps), std::move(weights)};
  Json json = Json::object();
  json["model"] = a.model;
  json["picture"] = a.inputs[0];
  json["grids"] = grids;
  out.finish(page, json, a.json);
}

}  // namespace nacre::cli
