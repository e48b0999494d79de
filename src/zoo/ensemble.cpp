// The members of an ensemble stand in its options, so that a model file says what it holds:
// "members=mlp+:hidden=64;classes=3|svm:c=1 weights=0.4|0.6". A + says that the member fills
// missing values and scales columns itself, a * that it weighs counts of words (the step counts).
#include "nacre/ensemble.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "nacre/data.h"

namespace nacre {
namespace {

constexpr size_t kMostMembers = 64;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> list;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, at);) list.push_back(part);
  return list;
}

std::string replaced(std::string text, char a, char b) {
  std::replace(text.begin(), text.end(), a, b);
  return text;
}

struct Ensemble : Module {
  struct Config {
    int64_t in = 64;      ///< columns of rows, for members that scale them
    bool values = false;  ///< to predict, not classes
    std::string members = "logistic_regression:in=64|mlp:in=64;hidden=32";
    std::string weights = "0.5|0.5";
    void fields(FieldVisitor& v) {
      v("in", in);
      v("values", values);
      v("members", members);
      v("weights", weights);
    }
  };

  struct Member {
    std::unique_ptr<Module> net;
    Variable fill, offset, scale;  ///< undefined without a +
    Variable idf;                  ///< undefined without a *
    double weight = 1;
  };

  Ensemble(const Scope& s, const Config& c) : Module(s), values(c.values) {
    const auto texts = split(c.members, '|'), shares = split(c.weights, '|');
    if (texts.empty() || texts.size() != shares.size() || texts.size() > kMostMembers)
      fail(Error::Kind::usage, {"an ensemble has 1 to ", kMostMembers,
                                " members with a weight "
                                "each, got ",
                                texts.size(), " members and ", shares.size(), " weights"});
    for (size_t k = 0; k < texts.size(); ++k) {
      Member m;
      const auto colon = texts[k].find(':');
      std::string name = texts[k].substr(0, colon);
      const bool scales = !name.empty() && name.back() == '+';
      const bool weighs = !name.empty() && name.back() == '*';
      if (scales || weighs) name.pop_back();
      if (name == "ensemble")
        fail(Error::Kind::usage, {"a member of an ensemble cannot be an ensemble itself"});
      const Scope place = s / static_cast<int64_t>(k), columns = place / "columns";
      if (scales) {
        m.fill = columns.buffer("fill", {c.in}, init::zeros());
        m.offset = columns.buffer("offset", {c.in}, init::zeros());
        m.scale = columns.buffer("scale", {c.in}, init::ones());
      }
      if (weighs) m.idf = columns.buffer("idf", {c.in}, init::ones());
      m.net = make_model(
          name, colon == std::string::npos ? "" : replaced(texts[k].substr(colon + 1), ';', ' '),
          place);
      std::stringstream number(shares[k]);
      if (!(number >> m.weight) || !(m.weight > 0) || !std::isfinite(m.weight))
        fail(Error::Kind::usage,
             {"a weight of an ensemble should be a number above 0, got '", shares[k], "'"});
      members.push_back(std::move(m));
    }
  }

  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor sum;
    for (Member& m : members) {
      Tensor in = x;
      if (m.scale.defined())
        in = (where(isnan(x), m.fill.value(), x) - m.offset.value()) / m.scale.value();
      if (m.idf.defined()) {
        const Tensor there = x > 0;
        in = where(there, (1 + log(where(there, x, 1.0))) * m.idf.value(), 0.0);
        const Tensor length = sqrt(nacre::sum(in * in, {1}, true));
        in = in / where(length > 0, length, 1.0);
      }
      const Tensor y = (*m.net)(in, ctx);
      const Tensor part = (values ? y : softmax(y)) * m.weight;
      sum = sum.defined() ? sum + part : part;
    }
    return values ? sum : log(maximum(sum, 1e-30));
  }

  bool values;
  std::vector<Member> members;
};

/// The numbers in the brackets of a step of a transform: impute([1,2]) or standardize(offset=[1,2],
/// scale=[3,4]).
std::vector<float> list_in(const std::string& step, const std::string& name) {
  const auto at = step.find(name + "[");
  if (at == std::string::npos) return {};
  std::vector<float> list;
  const auto from = at + name.size() + 1;
  for (const std::string& v : split(step.substr(from, step.find(']', from) - from), ','))
    list.push_back(static_cast<float>(std::stod(v)));
  return list;
}

/// Steps of a transform without those that are random, which do nothing outside training.
std::string fixed_steps(const std::string& transform) {
  std::string out;
  for (const std::string& step : split(transform, '|')) {
    const std::string name = step.substr(0, step.find('('));
    const bool random = name == "hflip" || name == "vflip" || name == "random_crop" ||
                        name == "affine" || name == "color_jitter" || name == "cutout" ||
                        name == "mixup" || name == "cutmix" || name == "rotate90";
    if (!random) out += (out.empty() ? "" : "|") + step;
  }
  return out;
}

/// The step that chooses columns, which stands first if there is one.
std::string choice_of_columns(const std::string& transform) {
  return transform.rfind("columns(", 0) == 0 ? transform.substr(0, transform.find('|')) : "";
}

Tensor row(const std::vector<float>& v) {
  return Tensor::from(v, {static_cast<int64_t>(v.size())});
}

}  // namespace

MODEL(ensemble) = {
    .name = "ensemble",
    .summary = "Several models as one: the weighted mean of what they say.",
    .paper =
        "Hansen and Salamon, Neural network ensembles, 1990; Caruana et al., Ensemble "
        "selection from libraries of models, 2004",
    .config = attr_type<Ensemble::Config>(),
    .make = construct<Ensemble>,
    .input = {64},
};

Model make_ensemble(std::vector<Model> members, const std::vector<double>& weights) {
  if (members.empty() || members.size() != weights.size())
    fail(Error::Kind::usage, {"an ensemble of ", members.size(), " models has ", weights.size(),
                              " weights; it needs one for each"});
  Model all;
  const ModelInfo& first = members[0].info;
  const bool rows = first.input.rank() == 1;
  all.info.classes = first.classes;
  all.info.input = first.input;
  all.info.extra = first.extra;
  for (const char* of_one : {"val_score", "data", "seed", "part", "score"})
    all.info.extra.erase(of_one);
  // Steps that all rows share stay in the transform; else each member does its own.
  const bool shared = !rows || std::all_of(members.begin(), members.end(), [&](const Model& m) {
    return m.info.transform == first.transform;
  });
  const std::string chosen = choice_of_columns(first.transform);
  all.info.transform = shared ? fixed_steps(first.transform) : chosen;
  double total = 0;
  for (double w : weights) total += w;
  std::vector<std::pair<std::string, Tensor>> values;
  std::string texts, shares;
  for (size_t k = 0; k < members.size(); ++k) {
    const ModelInfo& info = members[k].info;
    if (info.classes != first.classes || info.input != first.input ||
        (rows ? choice_of_columns(info.transform) != chosen
              : fixed_steps(info.transform) != all.info.transform))
      fail(Error::Kind::usage, {info.model, " and ", first.model, " do not go together: their ",
                                info.classes != first.classes ? "classes"
                                : info.input != first.input   ? "inputs"
                                                              : "transforms",
                                " differ"});
    const std::string place = std::to_string(k) + ".";
    const bool own = !shared && info.transform != chosen;
    std::string mark;
    if (own) {
      std::vector<float> fill, offset, scale, idf;
      for (const std::string& step : split(info.transform, '|')) {
        if (step.rfind("counts(", 0) == 0) idf = list_in(step, step[7] == '[' ? "(" : "idf=");
        if (step.rfind("impute(", 0) == 0) fill = list_in(step, step[7] == '[' ? "(" : "values=");
        if (step.rfind("standardize(", 0) == 0) {
          offset = list_in(step, "offset=");
          if (offset.empty()) offset = list_in(step, "(");
          scale = list_in(step, "scale=");
          if (scale.empty()) scale = list_in(step, "],");
        }
      }
      const auto n = static_cast<size_t>(first.input[0]);
      mark = idf.empty() ? "+" : "*";
      if (idf.empty() ? fill.size() != n || offset.size() != n || scale.size() != n
                      : idf.size() != n)
        fail(Error::Kind::usage, {"the transform of ", info.model,
                                  " in an ensemble should fill and "
                                  "scale columns, or weigh counts; it is ",
                                  info.transform.substr(0, 200)});
      if (idf.empty()) {
        values.emplace_back(place + "columns.fill", row(fill));
        values.emplace_back(place + "columns.offset", row(offset));
        values.emplace_back(place + "columns.scale", row(scale));
      } else {
        values.emplace_back(place + "columns.idf", row(idf));
      }
    }
    for (const Variable& v : members[k].net->variables()) {
      if (v.name() == "output_mean" || v.name() == "output_std") continue;
      values.emplace_back(place + v.name(), v.value());
    }
    texts +=
        (texts.empty() ? "" : "|") + info.model + mark + ":" + replaced(info.options, ' ', ';');
    char share[32];
    std::snprintf(share, sizeof share, "%.6g", weights[k] / total);
    shares += (shares.empty() ? "" : "|") + std::string(share);
  }
  all.info.model = "ensemble";
  all.info.options = model_options("ensemble", cat({"in=", rows ? first.input[0] : 1,
                                                    first.classes.empty() ? " values=true" : "",
                                                    " members=", texts, " weights=", shares}));
  const Scope scope = Scope::load([&](const std::string& path, const Shape&, DType) {
    for (const auto& [name, value] : values)
      if (name == path) return value;
    return Tensor();
  });
  all.net = make_model("ensemble", all.info.options, scope);
  const Tensor std = output_std(*members[0].net);
  if (std.defined()) {
    for (const Model& m : members)
      if (output_std(*m.net).to_vector<float>() != std.to_vector<float>())
        fail(Error::Kind::usage, {"the values that members of an ensemble predict are scaled in "
                                  "different ways"});
    all.net = rescaled(scope, std::move(all.net),
                       members[0].net->state()->find("output_mean").value(), std);
  }
  return all;
}

}  // namespace nacre
