#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/text.h"
#include "cli/explain.h"
#include "cli/show.h"

namespace nacre::cli {
namespace {

using explain::Page;

/// Above this, a map shows the picture and not what the model has learned.
constexpr double kSane = 0.3;

std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> words;
  std::stringstream s(list);
  for (std::string word; std::getline(s, word, ',');)
    if (!word.empty()) words.push_back(word);
  return words;
}

std::string stem_of(const std::string& path, size_t number, size_t all) {
  const std::string stem = safe_name(std::filesystem::path(path).stem().string());
  return all > 1 ? std::to_string(number + 1) + "-" + stem : stem;
}

struct Seen {
  Tensor x;       ///< 1xCxHxW
  Image picture;  ///< what the network saw
  int64_t best = 0;
  double probability = NAN;
  double score = 0;  ///< of the class that is explained
};

Seen look(const Predictor& p, Sample sample) {
  Shape shape = {1};
  for (int64_t d : p.info().input) shape.push_back(d);
  if (shape.rank() != 4)
    fail(Error::Kind::usage, {"the model takes ", p.info().input,
                              ", not pictures; for a model of a table use --data TABLE.csv"});
  Seen s;
  s.x = Tensor::from(p.prepare(std::move(sample)), shape);
  s.picture = explain::picture_of(s.x, p.transform());
  NoGrad guard;
  const Tensor y = explain::scores_of(p.net())(s.x);
  const auto v = y.to_vector<float>();
  s.best = std::max_element(v.begin(), v.end()) - v.begin();
  if (!p.info().classes.empty())
    s.probability = softmax(y).to_vector<double>()[static_cast<size_t>(s.best)];
  return s;
}

Json explain_picture(const ExplainArgs& a, const Predictor& p, const std::string& file,
                     const std::string& stem, const std::vector<std::string>& wanted, Output& out,
                     Page::Section& section) {
  const std::string bytes = read_file(file, uint64_t{1} << 29);
  Seen seen = look(p, p.picture(bytes, file));
  const int64_t chosen = a.class_name.empty() ? seen.best : class_of(p.info(), a.class_name);
  seen.score = explain::class_scores(explain::scores_of(p.net()), seen.x, {chosen}).item();
  const std::string name = class_name(p.info(), chosen);

  Json j = Json::object();
  j["input"] = file;
  j["explained"] = name;
  j["score"] = seen.score;
  if (!p.info().classes.empty()) {
    j["label"] = class_name(p.info(), seen.best);
    j["probability"] = seen.probability;
  }
  section.title = file;
  section.text = p.info().classes.empty()
                     ? cat({"Explained: ", name, " = ", format_number(seen.score)})
                     : cat({"Taken for ", class_name(p.info(), seen.best), " (",
                            format_number(100 * seen.probability, 3), " %). Explained: ", name,
                            ", score ", format_number(seen.score)});
  const Tensor nothing = zeros({1, 1, seen.x.size(2), seen.x.size(3)});
  section.figures.push_back(
      {out.picture(stem + "-input.png", explain::overlay(seen.picture, nothing)), "input",
       "what the network saw", false});

  Json list = Json::array();
  Progress bar("explain " + stem, static_cast<int64_t>(wanted.size()), "methods");
  for (const std::string& method : wanted) {
    check_stop();
    const auto start = std::chrono::steady_clock::now();
    explain::HeatOptions o;
    o.layer = a.layer;
    o.rule = a.rule;
    Json one = Json::object();
    one["method"] = method;
    try {
      const Tensor map = explain::heat(p.net(), seen.x, {chosen}, method, o);
      const std::string picture = stem + "-" + method + ".png";
      Page::Figure figure;
      figure.png = out.picture(picture, explain::overlay(seen.picture, map));
      figure.caption = method;
      one["png"] = picture;
      one["sum"] = sum(map).item();
      one["largest"] = amax(map).item();
      one["smallest"] = amin(map).item();
      if (a.checks > 0) {
        const double r = explain::sanity(p.net(), seen.x, {chosen}, method, o, a.checks);
        one["sanity"] = r;
        figure.warn = std::fabs(r) >= kSane;
        figure.note =
            cat({figure.warn ? "random weights give a similar map" : "of what was learned",
                 " (correlation ", format_number(r, 2), ")"});
      }
      section.figures.push_back(std::move(figure));
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::unsupported || !a.methods.empty()) throw;
      one["does_not_apply"] = e.what();
      section.text += cat({". Left out: ", e.what()});
    }
    one["seconds"] =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    list.push_back(one);
    bar.advance(1, method);
  }
  j["methods"] = list;
  if (!a.json) std::printf("%s: %s\n", file.c_str(), section.text.c_str());
  return j;
}

void explain_pictures(const ExplainArgs& a, const Predictor& p) {
  std::vector<std::string> wanted = words_of(a.methods);
  if (wanted.empty())
    wanted = {"cam", "grad_cam", "lrp", "saliency", "integrated_gradients", "occlusion", "shap"};
  for (const std::string& name : wanted) {
    std::string known;
    bool found = false;
    for (const auto& m : explain::methods()) {
      found = found || name == m.name;
      known += cat({known.empty() ? "" : ", ", m.name});
    }
    if (!found) fail(Error::Kind::usage, {"there is no method '", name, "'; known are ", known});
  }
  explain::LrpOptions::named(a.rule);
  Output out(a);
  Page page;
  page.title = "Why " + p.info().model + " answers as it does";
  page.subtitle = a.model;
  Json list = Json::array();
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    Page::Section section;
    list.push_back(explain_picture(a, p, a.inputs[i], stem_of(a.inputs[i], i, a.inputs.size()),
                                   wanted, out, section));
    page.sections.push_back(std::move(section));
  }
  Page::Section legend{.title = "How to read this",
                       .text =
                           "Red speaks for the class, blue against it. Correlations compare a "
                           "map with those of the same network with random weights: near 0 the "
                           "map shows what the model has learned, near 1 only the picture."};
  for (const auto& m : explain::methods())
    if (std::find(wanted.begin(), wanted.end(), m.name) != wanted.end())
      legend.rows.push_back({m.name, m.summary});
  legend.columns = {"Method", "What it shows"};
  page.sections.push_back(std::move(legend));
  Json j = Json::object();
  j["model"] = a.model;
  j["pictures"] = list;
  out.finish(page, j, a.json);
}

}  // namespace

std::string class_name(const ModelInfo& info, int64_t c) {
  if (info.classes.empty()) return cat({"value ", c});
  return c < static_cast<int64_t>(info.classes.size()) ? info.classes[static_cast<size_t>(c)]
                                                       : std::to_string(c);
}

int64_t class_of(const ModelInfo& info, const std::string& text) {
  const auto at = std::find(info.classes.begin(), info.classes.end(), text);
  if (at != info.classes.end()) return at - info.classes.begin();
  if (!text.empty() && text.size() < 10 &&
      text.find_first_not_of("0123456789") == std::string::npos)
    return std::stoll(text);
  std::string known;
  for (size_t i = 0; i < std::min<size_t>(20, info.classes.size()); ++i)
    known += (i ? ", " : "") + info.classes[i];
  if (info.classes.size() > 20) known += ", ...";
  fail(Error::Kind::usage,
       {"the model has no class '", text, "'", known.empty() ? "" : ": it knows ", known});
}

Output::Output(const ExplainArgs& a) : folder_(a.out.empty() ? free_folder("explanation") : a.out) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) fail(Error::Kind::io, {"cannot make the folder ", folder_, ": ", error.message()});
}

std::string Output::picture(const std::string& name, const Image& image) {
  std::string png = explain::png_bytes(image);
  write_file_atomic(folder_ + "/" + name, png);
  return png;
}

void Output::finish(const Page& page, const Json& json, bool print) {
  write_file_atomic(folder_ + "/index.html", explain::render_page(page));
  write_file_atomic(folder_ + "/explanation.json", print_json(json) + "\n");
  if (print)
    std::printf("%s\n", print_json(json).c_str());
  else
    std::printf("page    %s/index.html\n", folder_.c_str());
}

std::string safe_name(std::string text) {
  for (char& c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '_';
  return text;
}

int run_explain(const ExplainArgs& a) {
  const int ways = !a.inputs.empty() + !a.data.empty() + !a.unit.empty();
  if (ways != 1)
    fail(Error::Kind::usage, {ways ? "choose one: " : "say what to explain: ",
                              "pictures, --data or --unit (see: nacre explain --help)"});
  const Predictor p(a.model);
  if (!a.unit.empty())
    maximise_unit(a, p);
  else if (!a.data.empty() && p.info().input.rank() == 1)
    explain_table(a, p);
  else if (!a.data.empty())
    explain_layer(a, p);
  else if (a.maps)
    show_maps(a, p);
  else
    explain_pictures(a, p);
  return 0;
}

}  // namespace nacre::cli
