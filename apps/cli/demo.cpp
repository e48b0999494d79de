#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "train/terminal.h"

namespace nacre::cli {

int run_demo(const DemoArgs& a) {
  TrainConfig c;
  c.model = "lenet5";
  c.data = digits_at(a.data);
  c.out = a.out.empty() ? free_folder("runs/digits") : a.out;
  c.epochs = a.epochs;
  c.lr = 3e-3;
  c.batch = 32;
  c.transform =
      "to_channels(1)|resize(32)|affine(degrees=8,translate=0.06,scale=0.08)|normalize(mean=0.3,"
      "std=0.35)";
  Trainer trainer(c);
  std::printf(
      "LeNet-5 (%ld parameters) learns %ld handwritten digits; %ld others are kept for the test.\n",
      static_cast<long>(trainer.model().parameter_count()),
      static_cast<long>(trainer.data().train->size()),
      static_cast<long>(trainer.data().test->size()));
  const Evaluation test = trainer.run();
  if (trainer.stopped()) return 130;
  std::printf("\n%s\n", headline(test).c_str());
  const auto classes = test.classes.size();
  for (int64_t i = 0; i < 3 && i < trainer.data().test->size(); ++i) {
    const Sample s = trainer.data().test->get(i);
    std::vector<std::pair<std::string, double>> best;
    for (size_t k = 0; k < classes; ++k)
      best.emplace_back(test.classes[k], test.scores[static_cast<size_t>(i) * classes + k]);
    std::stable_sort(best.begin(), best.end(),
                     [](const auto& x, const auto& y) { return x.second > y.second; });
    best.resize(std::min<size_t>(3, best.size()));
    std::printf("\n%s\n%s", trainer.data().test->name(i).c_str(),
                draw(resize(s.image, 16, 16), 32).c_str());
    std::printf("%s", probability_bars(best, 24, terminal_is_utf8()).c_str());
  }
  std::printf("\nrun folder  %s\nmodel       %s/model.safetensors\nreport      %s/report.html\n",
              c.out.c_str(), c.out.c_str(), c.out.c_str());
  return 0;
}

}  // namespace nacre::cli
