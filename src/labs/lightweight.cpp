#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "labs/lab.h"
#include "nacre/bench.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

struct LightweightConfig {
  /// Names of the zoo, with '+' between them.
  std::string models =
      "resnet18+resnet50+squeezenet1_1+mobilenet_v1+mobilenet_v2+mobilenet_v3_small+"
      "shufflenet_v1+shufflenet_v2_x1_0+mnasnet1_0+efficientnet_b0";
  int64_t side = 32, samples = 600, epochs = 6, batch = 32, seed = 0;
  double lr = 0.05;
  bool full = true;    ///< also the full networks at their own input size, with random weights
  double seconds = 1;  ///< to measure each latency for
  void fields(FieldVisitor& v) {
    v("models", models);
    v("side", side);
    v("samples", samples);
    v("epochs", epochs);
    v("batch", batch);
    v("lr", lr);
    v("full", full);
    v("seconds", seconds);
    v("seed", seed);
  }
};

bool has_option(const ModelEntry& e, const std::string& name) {
  return (" " + model_options(e.name)).find(" " + name + "=") != std::string::npos;
}

double latency(Module& net, const Shape& input, double seconds) {
  Shape batch = input;
  batch.insert(0, 1);
  return bench(net, batch, {.seconds = seconds, .least_runs = 3}).milliseconds(0.5);
}

std::string millions(int64_t n) { return format_number(static_cast<double>(n) / 1e6, 3) + " M"; }

LabResult run_lightweight(const std::string& path, const void* config) {
  const LightweightConfig& c = *static_cast<const LightweightConfig*>(config);
  std::vector<const ModelEntry*> models;
  for (size_t at = 0; at <= c.models.size();) {
    const size_t end = std::min(c.models.find('+', at), c.models.size());
    models.push_back(&find_model(c.models.substr(at, end - at)));
    const ModelEntry& e = *models.back();
    if (e.fit || e.input.rank() != 3)
      fail(Error::Kind::usage,
           {e.name, " is no network for pictures, which lab lightweight is for"});
    at = end + 1;
  }
  const LabData data = lab_pictures(path, c.side, c.samples, static_cast<uint64_t>(c.seed));
  LabResult r;
  RunReport::Table tiny{cat({"Small forms, trained on ", data.train->size(), " pictures of ",
                             c.side, "x", c.side, " for ", c.epochs, " epochs"}),
                        "The form of each network that the tests train. Latency is the median for "
                        "one picture on this machine.",
                        {"network", "test accuracy", "parameters", "MACs", "latency", "seconds"},
                        {}},
      full{"Full forms, for 1,000 classes",
           "Multiply-accumulates for one picture of the size of the paper; latency is the median "
           "for one picture on this machine, with random weights.",
           {"network", "input", "parameters", "MACs", "of ResNet-50's", "latency"},
           {}};
  Chart learning{"Test error of the small forms", "epoch", "share of mistakes", {}};
  double reference = 4.09e9;  // ResNet-50 at 224x224, as published
  std::string best;
  double least = 1e300;
  for (const ModelEntry* e : models) {
    check_stop();
    std::string options = e->tiny;
    const auto add = [&](const char* name, int64_t value) {
      if (has_option(*e, name)) options += cat({" ", name, "=", value});
    };
    const bool grey = has_option(*e, "channels");
    add("channels", 1);
    add("classes", data.classes);
    LabData own = data;
    if (!grey) {  // three equal channels
      std::string spec = data.transform.str();
      spec.replace(spec.find("to_channels(1)"), 14, "to_channels(3)");
      own.transform = Transform::parse(spec);
      own.input[0] = 3;
    }
    const auto net = make_model(e->name, options,
                                Scope::init(Key(static_cast<uint64_t>(c.seed)).fold_in("init")));
    const LabCurve curve = train_in_lab(e->name, *net, own,
                                        {.epochs = c.epochs,
                                         .batch = c.batch,
                                         .lr = c.lr,
                                         .clip_norm = 1,
                                         .schedule = "one_cycle",
                                         .seed = static_cast<uint64_t>(c.seed)});
    Shape one = own.input;
    one.insert(0, 1);
    const int64_t macs = count_macs(*net, one);
    const double accuracy = 1 - curve.test_error.back(), ms = latency(*net, own.input, c.seconds);
    tiny.rows.push_back({e->name, per_cent(accuracy), millions(net->parameter_count()),
                         millions(macs), format_number(ms, 3) + " ms",
                         std::to_string(std::lround(curve.seconds))});
    learning.series.push_back({e->name, counted(curve.test_error), curve.test_error});
    r.numbers.emplace_back(std::string(e->name) + " accuracy", accuracy);
    r.numbers.emplace_back(std::string(e->name) + " parameters",
                           static_cast<double>(net->parameter_count()));
    r.numbers.emplace_back(std::string(e->name) + " MACs", static_cast<double>(macs));
    r.numbers.emplace_back(std::string(e->name) + " latency", ms);
    if (!c.full) continue;
    const auto whole = make_model(e->name, "", Scope::init(Key(0)));
    Shape whole_input = e->input;
    whole_input.insert(0, 1);
    const int64_t all = count_macs(*whole, whole_input);
    const double share = static_cast<double>(all) / reference,
                 whole_ms = latency(*whole, e->input, c.seconds);
    full.rows.push_back({e->name, cat({e->input[1], "x", e->input[2]}),
                         millions(whole->parameter_count()), millions(all), per_cent(share),
                         format_number(whole_ms, 3) + " ms"});
    r.numbers.emplace_back(std::string(e->name) + " full parameters",
                           static_cast<double>(whole->parameter_count()));
    r.numbers.emplace_back(std::string(e->name) + " full MACs", static_cast<double>(all));
    r.numbers.emplace_back(std::string(e->name) + " full latency", whole_ms);
    if (share < least) {
      least = share;
      best = e->name;
    }
  }
  if (c.full)
    r.finding = cat({best, " takes ", per_cent(least),
                     " of the multiply-accumulates of ResNet-50 (4.09 G at 224x224). "});
  const auto by_accuracy =
      std::max_element(learning.series.begin(), learning.series.end(),
                       [](const Series& a, const Series& b) { return a.ys.back() > b.ys.back(); });
  r.finding += cat({"Of the small forms ", by_accuracy->name, " has the fewest mistakes, ",
                    per_cent(by_accuracy->ys.back()), "."});
  // A chart has six colours.
  std::vector<Series> rest;
  if (learning.series.size() > 5) {
    rest.assign(learning.series.begin() + 5, learning.series.end());
    learning.series.resize(5);
  }
  r.charts = {learning};
  if (!rest.empty())
    r.charts.push_back({"Test error of the small forms, the others", "epoch", "share of mistakes",
                        std::move(rest)});
  r.tables = {tiny};
  if (c.full) r.tables.push_back(full);
  return r;
}

}  // namespace

LAB(lightweight) = {
    .name = "lightweight",
    .summary = "Accuracy, parameters, multiply-accumulates and latency of small networks.",
    .reading =
        "Howard et al., MobileNets, 2017; Zhang et al., ShuffleNet, 2018; Iandola et al., "
        "SqueezeNet, 2016; Tan and Le, EfficientNet, 2019",
    .config = attr_type<LightweightConfig>(),
    .run = run_lightweight,
};

}  // namespace nacre
