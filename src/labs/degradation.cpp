#include "labs/lab.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

struct DegradationConfig {
  Ints depths = {20, 56};  ///< layers of each network: 6n + 2
  int64_t width = 8, side = 8, samples = 0, epochs = 20, batch = 64, seed = 0;
  double lr = 0.1;
  void fields(FieldVisitor& v) {
    v("depths", depths);
    v("width", width);
    v("side", side);
    v("samples", samples);
    v("epochs", epochs);
    v("batch", batch);
    v("lr", lr);
    v("seed", seed);
  }
};

LabResult run_degradation(const std::string& path, const void* config) {
  const DegradationConfig& c = *static_cast<const DegradationConfig*>(config);
  for (const int64_t depth : c.depths)
    if (depth % 6 != 2)
      fail(Error::Kind::usage, {"option depths of lab degradation should be 6n + 2, such as 20 and "
                                "56, got ",
                                depth});
  const LabData data = lab_pictures(path, c.side, c.samples, static_cast<uint64_t>(c.seed));
  LabResult r;
  Chart loss{"Training loss", "epoch", "cross-entropy", {}},
      train{"Training error", "epoch", "share of mistakes", {}},
      test{"Test error", "epoch", "share of mistakes", {}};
  RunReport::Table table{
      "After the last epoch",
      "Plain networks are the same without the shortcuts.",
      {"network", "parameters", "training loss", "training error", "test error", "seconds"},
      {}};
  std::vector<std::pair<std::string, double>> last;
  for (const bool plain : {true, false})
    for (const int64_t depth : c.depths) {
      const std::string name = cat({plain ? "plain-" : "residual-", depth});
      const auto net =
          make_model("resnet20",
                     cat({"channels=1 classes=", data.classes, " width=", c.width,
                          " blocks=", (depth - 2) / 6, plain ? " plain=true" : " projection=true"}),
                     Scope::init(Key(static_cast<uint64_t>(c.seed)).fold_in("init")));
      const LabCurve curve = train_in_lab(name, *net, data,
                                          {.epochs = c.epochs,
                                           .batch = c.batch,
                                           .lr = c.lr,
                                           .schedule = "one_cycle",
                                           .seed = static_cast<uint64_t>(c.seed)});
      loss.series.push_back({name, counted(curve.loss), curve.loss});
      train.series.push_back({name, counted(curve.loss), curve.train_error});
      test.series.push_back({name, counted(curve.loss), curve.test_error});
      table.rows.push_back({name, std::to_string(net->parameter_count()),
                            Piece(curve.loss.back()).text(), per_cent(curve.train_error.back()),
                            per_cent(curve.test_error.back()),
                            std::to_string(static_cast<int64_t>(curve.seconds))});
      r.numbers.emplace_back(name + " training loss", curve.loss.back());
      r.numbers.emplace_back(name + " training error", curve.train_error.back());
      r.numbers.emplace_back(name + " test error", curve.test_error.back());
      last.emplace_back(name, curve.train_error.back());
    }
  r.finding = "Training error after the last epoch:";
  for (size_t i = 0; i < last.size(); ++i)
    r.finding += cat({i ? ", " : " ", last[i].first, " ", per_cent(last[i].second)});
  r.charts = {loss, train, test};
  r.tables = {table};
  return r;
}

}  // namespace

LAB(degradation) = {
    .name = "degradation",
    .summary = "Deeper plain networks train worse than shallow ones, residual networks do not.",
    .reading = "He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016",
    .config = attr_type<DegradationConfig>(),
    .run = run_degradation,
    .ranges = {{"depths", 8, 1202}},
};

}  // namespace nacre
