// The order of the passes, and the one wrapper through which all of them go.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "compile/pass_stats.h"
#include "compile/plan.h"
#include "graph/node.h"

namespace nacre {

extern const Pass pass_expand, pass_norm, pass_fold, pass_algebra, pass_cse, pass_fuse, pass_layout,
    pass_precision, pass_rows, pass_edges, pass_products, pass_recompute, pass_integers,
    pass_pooling, pass_bottlenecks;

namespace {

std::vector<PassStats>& stats() {
  static std::vector<PassStats> s;
  return s;
}

PassStats& stats_of(const char* pass) {
  auto& all = stats();
  auto at = all.begin();
  while (at != all.end() && at->name != pass) ++at;
  if (at == all.end()) at = all.insert(all.end(), PassStats{pass, 0, 0, 0, 0, 0});
  return *at;
}

bool disabled(const char* name) {
  const char* list = std::getenv("NACRE_DISABLE_PASSES");
  if (!list) return false;
  std::stringstream ss(list);
  for (std::string item; std::getline(ss, item, ',');)
    if (item == name || item == "all") return true;
  return false;
}

/// What is not there for speed alone also holds for plans that run once.
bool asked_for(const Pass& pass) { return std::string_view(pass.name) == "precision"; }

void dump(const Graph& g, const std::string& stem) {
  const char* folder = std::getenv("NACRE_DUMP");
  if (!folder || !*folder) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  bool written = true;
  for (const auto& [ending, text] : {std::pair{".json", g.json()}, {".dot", g.dot()}})
    written = (std::ofstream(cat({folder, "/", stem, ending})) << text).good() && written;
  static std::atomic<bool> told = false;
  if (!written && !told.exchange(true))
    log_warning({"graphs cannot be written to '", folder, "', which NACRE_DUMP names"});
}

/// A pass may change how a graph computes, never what it takes and gives.
void verify(const Graph& before, const Graph& after, const char* pass) {
  bool ok = before.outputs().size() == after.outputs().size() &&
            before.inputs().size() == after.inputs().size();
  for (size_t i = 0; ok && i < before.outputs().size(); ++i)
    ok = before.outputs()[i].dtype() == after.outputs()[i].dtype() &&
         before.outputs()[i].shape() == after.outputs()[i].shape();
  for (const Node* n : after.nodes()) {
    if (n->op || n->evaluated) continue;
    ok = ok && n->placeholder >= 0 && static_cast<size_t>(n->placeholder) < after.inputs().size() &&
         after.inputs()[static_cast<size_t>(n->placeholder)].node() == n;
  }
  if (!ok) fail(Error::Kind::internal, {"pass '", pass, "' changed the meaning of a graph"});
}

}  // namespace

std::span<const Pass> passes() {
  static const Pass list[] = {
      pass_expand,   pass_integers, pass_fold,  pass_norm,      pass_fold,     pass_algebra,
      pass_cse,      pass_rows,     pass_edges, pass_precision, pass_layout,   pass_bottlenecks,
      pass_products, pass_pooling,  pass_fold,  pass_fuse,      pass_recompute};
  return list;
}

Graph run_passes(Graph graph, const CompileOptions& options, std::span<const Pass> list) {
  static int plan_number = 0;
  const int number = plan_number++;
  dump(graph, cat({options.label, "-", number, "-0-recorded"}));
  int step = 0;
  for (const Pass& pass : list) {
    ++step;
    const bool off = options.reference || (!options.passes && !asked_for(pass));
    if (pass.optional && (off || disabled(pass.name))) continue;
    const auto start = std::chrono::steady_clock::now();
    Graph next;
    try {
      next = pass.run(graph, options);
      verify(graph, next, pass.name);
    } catch (const std::exception& e) {
      if (!pass.optional) throw;
      // What a pass makes faster also runs as it is.
      ++stats_of(pass.name).failures;
      warn_once({"the pass '", pass.name, "' of the compiler failed and is left out: ", e.what()});
      continue;
    }
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    dump(next, cat({options.label, "-", number, "-", step, "-", pass.name}));
    PassStats& counted = stats_of(pass.name);
    ++counted.runs;
    counted.milliseconds += ms;
    counted.nodes_before += graph.nodes().size();
    counted.nodes_after += next.nodes().size();
    graph = std::move(next);
  }
  return graph;
}

std::vector<PassStats> pass_stats() {
  std::lock_guard lock(graph_mutex());
  return stats();
}

}  // namespace nacre
