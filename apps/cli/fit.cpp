#include <cstdio>
#include <filesystem>

#include "autodl/fit_report.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "nacre/autodl.h"

namespace nacre::cli {
namespace {

/// Seconds: "10m", "1.5h", "5ms".
double seconds_of(const std::string& name, const std::string& text, const char* example) {
  size_t end = 0;
  double v = -1;
  try {
    v = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  for (const auto& [unit, factor] : {std::pair("ms", 1e-3), {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}})
    if (end > 0 && text.substr(end) == unit && v >= 0) return v * factor;
  fail(Error::Kind::usage, {"--", name, " should be a number and one of ms, s, m, h, like ",
                            example, ", got '", text, "'"});
}

void print_findings(const std::vector<Finding>& findings) {
  for (const Finding& f : findings) {
    std::string text = f.text;
    if (f.count > 1 || !f.examples.empty())
      text += cat({" (", f.count, f.examples.empty() ? "" : ": " + f.examples[0],
                   f.examples.size() > 1 ? ", ..." : "", ")"});
    if (f.level == Finding::Level::note)
      log_info({text});
    else
      log_warning({text});
  }
}

void print_plan(const FitPlan& p) {
  print_findings(p.findings);
  log_info({p.task, ": ", p.train, " samples to learn from, ",
            p.folds > 1 ? cat({"judged by cross-validation in ", p.folds, " parts"})
                        : cat({p.held_out, " held out to choose by"}),
            ", ", p.test, " for the test at the end"});
  log_info({"at most ", format_duration(p.seconds), ": a trial of the usual network takes about ",
            format_duration(p.trial_seconds), ", other models less; a step of ", p.first, " takes ",
            format_bytes(p.bytes), " of memory, ", format_bytes(p.limit), " may be used"});
}

void print_trial(const FitTrial& t, bool best, bool regression) {
  const std::string what =
      cat({"trial ", t.number, " ", t.label, " (", t.model,
           t.settings.empty() ? "" : " " + t.settings, "), ", format_duration(t.seconds), ": "});
  if (t.state != Trial::State::done)
    log_info({what, name_of(t.state), ", ", t.note});
  else if (regression)
    log_info({what, "RMSE ", format_number(-t.score, 5), best ? ", the best so far" : ""});
  else
    log_info({what, "accuracy ", format_number(100 * t.score, 4), " %, log loss ",
              format_number(t.loss, 4), best ? ", the best so far" : ""});
}

void print_nested(const NestedResult& r, bool regression) {
  const auto text = [&](double score) {
    return regression ? "RMSE " + format_number(-score, 5) : format_number(100 * score, 4) + " %";
  };
  for (const FamilyScore& f : r.families)
    log_info({"family ", f.family, ": ", text(f.inner), " on inner parts, ", text(f.outer),
              " on outer parts, chosen ", f.chosen, f.chosen == 1 ? " time" : " times"});
  log_info({r.chosen, " is searched; what was chosen in each of ", r.parts, " outer parts had ",
            text(r.inner), " on inner parts and ", text(r.outer), " there"});
}

Json family_json(const FamilyScore& f) {
  Json j = Json::object();
  j["family"] = f.family;
  j["inner"] = f.inner;
  j["outer"] = f.outer;
  j["chosen"] = f.chosen;
  return j;
}

Json kept_json(const KeptModel& m) {
  Json j = Json::object();
  j["trial"] = m.trial;
  j["structure"] = m.structure;
  j["model"] = m.file;
  j["score"] = m.score;
  j["test"] = m.test;
  return j;
}

Json trial_json(const FitTrial& t) {
  Json j = Json::object();
  j["trial"] = t.number;
  j["state"] = name_of(t.state);
  j["label"] = t.label;
  j["model"] = t.model;
  j["settings"] = t.settings;
  if (t.state == Trial::State::done) {
    j["value"] = t.value;
    j["score"] = t.score;
    j["loss"] = t.loss;
    j["epochs"] = t.epochs;
    j["bytes"] = t.bytes;
    j["weight"] = t.weight;
  }
  j["seconds"] = t.seconds;
  if (!t.note.empty()) j["note"] = t.note;
  return j;
}

}  // namespace

int run_fit(const FitArgs& a) {
  bool regression = false;
  FitCallbacks callbacks;
  callbacks.on_plan = [&](const FitPlan& p) {
    regression = p.regression;
    print_plan(p);
  };
  callbacks.on_nested = [&](const NestedResult& n) { print_nested(n, regression); };
  callbacks.on_trial = [&](const FitTrial& t, bool best) { print_trial(t, best, regression); };
  callbacks.on_stage = [&](const std::string& what) { log_info({what}); };
  if (a.join) {
    if (a.study.empty()) fail(Error::Kind::usage, {"--join needs --study with the study to join"});
    const int64_t n = join_fit(a.study, callbacks);
    std::printf("%lld trials were run here\n", static_cast<long long>(n));
    return 0;
  }
  FitOptions o;
  o.data = a.data;
  o.target = a.target;
  o.task = a.task;
  if (!a.budget.empty())
    o.budget = seconds_of("budget", a.budget, "10m");
  else if (a.resume)
    o.budget = 0;  // as it was begun
  o.trials = a.trials;
  if (!a.size_limit.empty()) o.size_limit = parse_bytes("--size-limit", a.size_limit);
  if (!a.memory_limit.empty()) o.memory_limit = parse_bytes("--memory-limit", a.memory_limit);
  if (!a.latency_limit.empty())
    o.latency_limit = seconds_of("latency-limit", a.latency_limit, "5ms");
  o.from = a.from;
  o.slice = a.slice;
  o.seed = a.seed;
  o.nested = a.nested;
  o.keep = a.keep;
  o.study = a.study;
  o.resume = a.resume;
  o.out = a.out;
  if (o.data.empty()) fail(Error::Kind::usage, {"which data? nacre fit DATA"});
  if (o.out.empty()) {
    if (o.resume) fail(Error::Kind::usage, {"--resume needs --out with the model that was begun"});
    std::string stem = std::filesystem::path(o.data).lexically_normal().filename().string();
    if (stem.empty())
      stem = std::filesystem::path(o.data).lexically_normal().parent_path().filename().string();
    stem = stem.substr(0, stem.find('.', 1));
    o.out = free_folder("runs/fit-" + (stem.empty() ? "data" : stem)) + "/model.safetensors";
  } else if (!o.out.ends_with(".safetensors")) {
    o.out += "/model.safetensors";
  }
  const FitResult r = fit(o, callbacks);
  if (r.stopped) {
    log_info({"stopped; ", r.leaderboard.size(),
              " finished trials are kept. Go on with: nacre fit ", nacre::quoted(o.data), " --out ",
              nacre::quoted(o.out), " --resume"});
    return 130;
  }
  if (a.json) {
    Json j = evaluation_json(r.test, 5);
    j["model"] = r.model;
    j["report"] = r.report;
    j["seconds"] = r.seconds;
    Json commands = Json::array(), trials = Json::array();
    for (const std::string& c : r.commands) commands.push_back(c);
    for (const FitTrial& t : r.leaderboard) trials.push_back(trial_json(t));
    if (r.nested.parts) {
      Json families = Json::array();
      for (const FamilyScore& f : r.nested.families) families.push_back(family_json(f));
      j["families"] = families;
    }
    if (!r.kept.empty()) {
      Json kept = Json::array();
      for (const KeptModel& m : r.kept) kept.push_back(kept_json(m));
      j["kept"] = kept;
    }
    j["commands"] = commands;
    j["trials"] = trials;
    std::printf("%s\n", print_json(j).c_str());
    return 0;
  }
  std::printf("%s\nmodel   %s\nreport  %s\n", headline(r.test, r.part).c_str(), r.model.c_str(),
              r.report.c_str());
  for (const KeptModel& m : r.kept)
    std::printf("kept    %s  %s, test %s\n", m.file.c_str(), m.structure.c_str(),
                r.test.regression ? cat({"RMSE ", format_number(-m.test, 5)}).c_str()
                                  : cat({format_number(100 * m.test, 4), " %"}).c_str());
  for (const std::string& c : r.commands) std::printf("again   %s\n", c.c_str());
  return 0;
}

}  // namespace nacre::cli
