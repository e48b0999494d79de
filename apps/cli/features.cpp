#include <cstdio>
#include <filesystem>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "nacre/predict.h"
#include "nacre/train.h"
#include "nacre/transfer.h"
#include "nacre/weights.h"
#include "train/setup.h"

namespace nacre::cli {

int run_features(const FeaturesArgs& a) {
  std::error_code missing;
  if (std::filesystem::equivalent(a.model, a.out, missing))
    fail(Error::Kind::usage,
         {"the model ", a.model, " would be written over; choose another --out"});
  Model m = open_model(a.model);
  OpenOptions options;
  TableSchema schema;
  if (const auto at = m.info.extra.find("table"); at != m.info.extra.end()) {
    schema = TableSchema::from_json(at->second);
    options.csv.schema = &schema;
  }
  DataSplits data = open_dataset(a.data, options);
  if (const auto split = m.info.extra.find("split");
      a.part != "auto" && a.part != "all" && split != m.info.extra.end() && !data.test)
    split_again(data, split->second);
  const bool whole = a.part == "auto" || a.part == "all";
  if (whole && (data.val || data.test))
    fail(Error::Kind::usage, {"the data have parts; choose --part train, val or test"});
  const DatasetPtr part = a.part == "test" ? data.test : a.part == "val" ? data.val : data.train;
  if (!part) fail(Error::Kind::usage, {"the data have no part '", a.part, "'"});
  const std::vector<NamedTensor> features =
      extract_features(*m.net, part, Transform::parse(m.info.transform), a.layers, a.pool);
  write_weights(a.out, features);
  for (const auto& [name, array] : features)
    std::printf("%-24s %s\n", name.c_str(), cat({array.dtype, " ", array.shape}).c_str());
  std::printf("written to %s\n", a.out.c_str());
  return 0;
}

int run_data_weights(const DataArgs& a) {
  std::error_code missing;
  for (const std::string& data : {a.path, a.like})
    if (std::filesystem::equivalent(data, a.to, missing))
      fail(Error::Kind::usage, {"the data ", data, " would be written over; choose another file"});
  const DataSplits source = open_dataset(a.path), target = open_dataset(a.like);
  const std::vector<double> weights = importance_weights(source.train, target.train);
  write_sample_weights(a.to, *source.train, weights);
  double squares = 0, most = 0;
  for (const double w : weights) {
    squares += w * w;
    most = std::max(most, w);
  }
  const double n = static_cast<double>(weights.size());
  std::printf("%s: %zu weights of mean 1, the largest %.3g; they count like %.0f equal samples\n",
              a.to.c_str(), weights.size(), most, n * n / squares);
  return 0;
}

}  // namespace nacre::cli
