// What transfer brings where labels are few: a small network learns classes from 1,000 pictures of
// each, and then, in different ways, others from a few. With one data set these are its second half
// of classes after the first; with two, those of the second after those of the first. Prints the
// tables of docs/transfer.md.
//
//   transfer_table DATA[,DATA] [PICTURES A CLASS [SEEDS [ROWS]]]      default: 10 5, all rows
#include <unistd.h>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "few_pictures.h"
#include "nacre/train.h"

using namespace nacre;

namespace {

struct Way {
  const char* name;
  bool from;
  std::map<std::string, std::string> settings;
};

int run(const std::string& path, int64_t shots, int64_t seeds, const std::string& only) {
  const size_t comma = path.find(',');
  const DataSplits first = open_dataset(path.substr(0, comma));
  const DataSplits second = comma == path.npos ? first : open_dataset(path.substr(comma + 1));
  const int64_t classes = static_cast<int64_t>(second.train->classes().size());
  const int64_t half = comma == path.npos ? classes / 2 : 0;
  const int64_t known_classes =
      half > 0 ? half : static_cast<int64_t>(first.train->classes().size());
  const FewPictures source{first, 0, known_classes}, target{second, half, classes};
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("transfer_table_" + std::to_string(getpid())))
          .string();
  TrainConfig c;
  c.model = "cnn";
  c.options = "widths=16-32-64";
  c.transform = "to_channels(1)|resize(28)|normalize(mean=0.3,std=0.35)";
  c.lr = 3e-3;
  c.val_share = c.test_share = 0;
  c.workers = 0;
  TrainConfig before = c;
  before.epochs = 8;
  before.out = folder + "/before";
  const double known = Trainer(before, source.parts(1000, 1)).run().report.accuracy;
  std::printf("%s: %ld classes to %.1f %%, then %ld others from %ld pictures each, %ld seeds\n\n",
              path.c_str(), static_cast<long>(known_classes), 100 * known,
              static_cast<long>(classes - half), static_cast<long>(shots),
              static_cast<long>(seeds));
  std::printf("| | accuracy | least | parameters trained |\n| --- | --- | --- | --- |\n");
  const std::vector<Way> ways = {
      {"from scratch", false, {}},
      {"from scratch, three times as many steps", false, {{"epochs", "180"}}},
      {"the head alone", true, {{"freeze", "features"}, {"lr", "0.03"}}},
      {"the first stage frozen", true, {{"freeze", "features.[0-5]\\."}}},
      {"two stages frozen", true, {{"freeze", "features.([0-9]|1[0-2])\\."}}},
      {"all, at one rate (weight decay to zero)", true, {}},
      {"all, rates by `layer_decay` 0.6", true, {{"layer_decay", "0.6"}}},
      {"all, unfrozen from the head down",
       true,
       {{"unfreeze", "head@0,features.1[4-9]@15,features@30"}}},
      {"all, near the start: `l2_sp` 0.1", true, {{"l2_sp", "0.1"}, {"weight_decay", "0"}}},
      {"all, `l2` 0.1 instead", true, {{"l2", "0.1"}, {"weight_decay", "0"}}},
      {"all, near the start: `l2_sp` 0.003", true, {{"l2_sp", "0.003"}, {"weight_decay", "0"}}},
      {"all, `l2` 0.003 instead", true, {{"l2", "0.003"}, {"weight_decay", "0"}}},
      {"all, rate 0.01, `l2_sp` 0.01 and `l2` 0.01 of the head",
       true,
       {{"l2_sp", "0.01"}, {"l2", "0.01"}, {"weight_decay", "0"}, {"lr", "0.01"}}},
      {"all, rate 0.01, `l2` 0.01 instead",
       true,
       {{"l2", "0.01"}, {"weight_decay", "0"}, {"lr", "0.01"}}},
      {"`adapter` lora, rank 1",
       true,
       {{"adapter", "lora"}, {"adapter_rank", "1"}, {"lr", "0.02"}}},
      {"`adapter` residual, rank 4",
       true,
       {{"adapter", "residual"}, {"adapter_rank", "4"}, {"lr", "0.02"}}},
      {"`adapter` lora, rank 2",
       true,
       {{"adapter", "lora"}, {"adapter_rank", "2"}, {"lr", "0.01"}}},
      {"`adapter` residual, rank 2",
       true,
       {{"adapter", "residual"}, {"adapter_rank", "2"}, {"lr", "0.01"}}},
  };
  for (const Way& way : ways) {
    if (std::string(way.name).find(only) == std::string::npos) continue;
    std::vector<double> accuracies;
    int64_t trained = 0, all = 0;
    for (int64_t seed = 1; seed <= seeds; ++seed) {
      TrainConfig now = c;
      now.epochs = 60;
      now.batch = 25;
      now.lr = 2e-3;
      now.seed = seed;
      if (way.from) now.from = before.out + "/model.safetensors";
      for (const auto& [name, value] : way.settings) now.set(name, value);
      Trainer trainer(now, target.parts(shots, static_cast<uint64_t>(seed)));
      accuracies.push_back(100 * trainer.run().report.accuracy);
      trained = 0;
      for (const Variable& v : trainer.optimizer().parameters()) trained += v.value().numel();
      all = trainer.model().parameter_count();
    }
    double mean = 0, square = 0, least = 100;
    for (const double a : accuracies) {
      mean += a / static_cast<double>(accuracies.size());
      least = std::min(least, a);
    }
    for (const double a : accuracies) square += (a - mean) * (a - mean);
    const double deviation =
        accuracies.size() > 1 ? std::sqrt(square / static_cast<double>(accuracies.size() - 1)) : 0;
    std::printf("| %s | %.1f ± %.1f | %.1f | %ld of %ld |\n", way.name, mean, deviation, least,
                static_cast<long>(trained), static_cast<long>(all));
    std::fflush(stdout);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: transfer_table DATA[,DATA] [PICTURES A CLASS [SEEDS [ROWS]]]\n");
    return 2;
  }
  try {
    return run(argv[1], argc > 2 ? std::atoll(argv[2]) : 10, argc > 3 ? std::atoll(argv[3]) : 5,
               argc > 4 ? argv[4] : "");
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
