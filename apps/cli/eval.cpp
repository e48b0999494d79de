#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "nacre/meters.h"
#include "nacre/precision.h"
#include "nacre/predict.h"
#include "train/setup.h"
#include "train/terminal.h"

namespace nacre::cli {
namespace {

std::string fixed(double v) {
  char text[16];
  std::snprintf(text, sizeof(text), "%.4f", v);
  return text;
}

DatasetPtr choose(const DataSplits& d, std::string& part) {
  if (part == "auto") part = d.test ? "test" : "all";
  if (part == "all" && (d.val || d.test))
    fail(Error::Kind::usage, {"the data have parts; choose --part train, val or test"});
  const DatasetPtr chosen = part == "test" ? d.test : part == "val" ? d.val : d.train;
  if (!chosen) fail(Error::Kind::usage, {"the data have no part '", part, "'"});
  return chosen;
}

/// The data with the labels that the model gives; they may lack some of its classes.
DatasetPtr labelled_as(DatasetPtr part, const std::vector<std::string>& model) {
  const std::vector<std::string>& data = part->classes();
  if (data == model) return part;
  const auto known = [&](const std::string& c) {
    return std::find(model.begin(), model.end(), c) != model.end();
  };
  if (!data.empty() && std::all_of(data.begin(), data.end(), known)) {
    log_info({"the data have ", data.size(), " of the model's ", model.size(), " classes"});
    return with_classes(std::move(part), model);
  }
  const auto only_in = [](const auto& these, const auto& those) {
    std::string list;
    int64_t more = 0;
    for (const std::string& c : these) {
      if (std::find(those.begin(), those.end(), c) != those.end()) continue;
      if (list.size() < 200)
        list += (list.empty() ? "'" : ", '") + c + "'";
      else
        ++more;
    }
    return list.empty() ? "none" : more ? cat({list, " and ", more, " others"}) : list;
  };
  fail(Error::Kind::data, {"the data have ", data.size(), " classes, the model ", model.size(),
                           "; only in the data: ", only_in(data, model),
                           "; only in the model: ", only_in(model, data)});
}

/// Of the first 256 samples.
std::vector<Sparsity> sparsity_of(Module& net, const DatasetPtr& data, const Transform& transform) {
  LoaderOptions options;
  options.batch = 256;
  options.training = false;
  DataLoader loader(data, transform, sequential(data->size()), options);
  loader.start(0);
  const auto b = loader.next();
  return activation_sparsity(net, Tensor::from(b->x, b->shape));
}

int eval_on(const EvalArgs& a) {
  Model m = open_model(a.model);
  OpenOptions options;
  TableSchema schema;
  if (const auto at = m.info.extra.find("table"); at != m.info.extra.end()) {
    schema = TableSchema::from_json(at->second);
    options.csv.schema = &schema;
  }
  DataSplits data = open_dataset(a.data, options);
  std::string part = a.part;
  const auto split = m.info.extra.find("split");
  bool others = false;  // than the model was trained on
  if (part != "all" && split != m.info.extra.end() && !data.test)
    others = !split_again(data, split->second);
  DatasetPtr chosen = choose(data, part);
  chosen = labelled_as(chosen, m.info.classes);
  if (const std::string remark = chosen->remark(); chosen->schema() && !remark.empty())
    log_warning({remark});
  leave_out_unlabelled(chosen);
  const auto loss = m.info.extra.find("loss");
  const Evaluation e = evaluate(*m.net, chosen, Transform::parse(m.info.transform), 256, a.workers,
                                loss == m.info.extra.end() ? "cross_entropy" : loss->second);
  if (const std::string warning = e.warning(); !warning.empty()) log_warning({warning});
  std::vector<Sparsity> sparsity;
  if (a.sparsity) sparsity = sparsity_of(*m.net, chosen, Transform::parse(m.info.transform));
  const int code = std::isfinite(e.loss) ? 0 : 1;
  if (code != 0)
    log_error(
        {"the model gives no numbers for some samples: they, or its weights, are not finite "
         "or far too large"});
  if (a.json) {
    Json j = evaluation_json(e, a.top_k);
    j["part"] = part;
    for (const Sparsity& s : sparsity) j["sparsity"][s.path] = s.zeros;
    std::printf("%s\n", print_json(j).c_str());
    return code;
  }
  std::printf("%s\n", headline(e, part).c_str());
  if (part == "all" && others)
    log_info(
        {"these are not the data that the model was trained on, or they have changed; where "
         "they hold its training samples, the figures are better than for new ones"});
  if (!sparsity.empty()) {
    TextTable zeros({"ReLU", "zeros"});
    for (const Sparsity& s : sparsity) zeros.add({s.path, fixed(s.zeros)});
    std::printf("\n%s\n", zeros.str().c_str());
  } else if (a.sparsity) {
    std::printf("the model has no ReLU\n");
  }
  if (e.regression) return code;
  if (a.top_k < static_cast<int64_t>(e.classes.size()))
    std::printf("top-%ld accuracy %.2f %%\n", static_cast<long>(a.top_k), 100 * e.top_k(a.top_k));
  TextTable table({"class", "precision", "recall", "F1", "samples"});
  for (size_t k = 0; k < e.classes.size(); ++k) {
    const ClassScore& s = e.report.classes[k];
    table.add({e.classes[k], fixed(s.precision), fixed(s.recall), fixed(s.f1),
               std::to_string(s.support)});
  }
  const ClassScore& macro = e.report.macro;
  table.add({"mean", fixed(macro.precision), fixed(macro.recall), fixed(macro.f1),
             std::to_string(e.labels.size())});
  std::printf("\n%s", table.str().c_str());
  if (e.classes.size() <= 30) {
    std::vector<std::string> header = {"true \\ predicted"};
    header.insert(header.end(), e.classes.begin(), e.classes.end());
    TextTable matrix(header);
    for (size_t k = 0; k < e.classes.size(); ++k) {
      std::vector<std::string> row = {e.classes[k]};
      for (size_t i = 0; i < e.classes.size(); ++i)
        row.push_back(
            std::to_string(e.confusion.at(static_cast<int64_t>(k), static_cast<int64_t>(i))));
      matrix.add(row);
    }
    std::printf("\n%s", matrix.str().c_str());
  }
  return code;
}

}  // namespace

int run_eval(const EvalArgs& a) {
  const Precision precision(a.precision);
  try {
    return eval_on(a);
  } catch (const Error& e) {
    fail(e.kind(), {e.what(), data_hint(e, a.data)});
  }
}

}  // namespace nacre::cli
