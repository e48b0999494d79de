#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "backends/cpu/info.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "nacre/bench.h"
#include "nacre/onnx.h"
#include "nacre/precision.h"
#include "nacre/predict.h"
#include "nacre/quantize.h"
#include "nacre/tuning.h"
#include "nacre/zoo.h"
#include "predict/network.h"
#include "train/terminal.h"
#include "zoo/options.h"

namespace nacre::cli {
namespace {

/// Measured if no model is named: those of these that are there.
constexpr const char* kUsual[] = {"mlp",   "lenet5",      "resnet18",     "resnet50",
                                  "vgg16", "densenet121", "mobilenet_v2", "efficientnet_b0"};

struct Subject {
  ModelInfo info;
  std::unique_ptr<Module> net;
  Shape sample;
  DType input = DType::f32;
  int64_t batch = 1;
};

Subject open(const std::string& name, const std::string& options,
             const std::vector<std::string>& shapes) {
  if (std::filesystem::is_regular_file(name)) {
    if (!options.empty())
      fail(Error::Kind::usage, {"--options are for models of the zoo; '", name, "' is a file"});
    Model m = open_model(name);
    Shape sample = m.info.input;
    DType input = DType::f32;
    int64_t batch = 1;
    if (const auto* net = dynamic_cast<const onnx::Network*>(m.net.get())) {
      input = onnx::storage_of(net->inputs()[0].type.elem);
      if (!shapes.empty()) {
        const Shape whole = input_shapes(*net, shapes).at(net->inputs()[0].name);
        if (whole.rank() > 0) batch = whole[0];
        sample = whole.slice(std::min<int64_t>(1, whole.rank()), whole.rank());
      }
    } else if (!shapes.empty()) {
      fail(Error::Kind::usage, {name, " says what shape its input has: ", sample});
    }
    return {std::move(m.info), std::move(m.net), sample, input, batch};
  }
  if (!shapes.empty())
    fail(Error::Kind::usage,
         {"--shape is for files of other programs; '", name, "' is a model of the zoo"});
  const ModelEntry& entry = find_model(name);
  Subject s{
      {}, make_model(name, options, Scope::init(Key(0))), model_input(name, options), DType::f32};
  if (s.sample.empty()) s.sample = entry.tiny_input;
  s.info.model = name;
  s.info.options = model_options(name, options);
  s.info.input = s.sample;
  return s;
}

Json to_json(const std::string& name, const BenchResult& r, const std::string& precision) {
  Json j = Json::object();
  j["model"] = name;
  j["mode"] = r.train ? "train" : "infer";
  j["batch"] = r.input[0];
  j["precision"] = precision;
  j["threads"] = r.threads;
  j["runs"] = r.runs.size();
  j["first_ms"] = r.first;
  j["first_at"] = r.first_at;
  j["p50_ms"] = r.milliseconds(0.5);
  j["p90_ms"] = r.milliseconds(0.9);
  j["p99_ms"] = r.milliseconds(0.99);
  j["samples_per_second"] = r.samples_per_second();
  j["peak_bytes"] = r.peak_bytes;
  j["process_peak_bytes"] = r.process_peak_bytes;
  j["macs"] = r.macs;
  j["gflops"] = r.gflops();
  j["peak_gflops"] = r.peak_gflops;
  j["share_of_peak"] = r.share_of_peak();
  return j;
}

/// What the model was given, and the numbers that it gave.
void write_values(const std::string& folder, const BenchResult& r) {
  for (const auto& [name, value] : r.given)
    save_npy(cat({folder, "/", name, ".npy"}), raw_tensor(value));
  save_npy(folder + "/values.npy",
           {DType::f64, {static_cast<int64_t>(r.values.size())}, r.values.data(), nullptr});
}

std::string precision_of(const Json& result) { return result.text_or("precision", "f32"); }

/// Throws Error(usage) if what is to be measured stands in an earlier file in other precisions
/// only.
void check_precision(const BenchArgs& a, const std::vector<std::string>& names,
                     const Json& earlier) {
  std::string other;
  for (const Json& then : earlier.list()) {
    if (std::find(names.begin(), names.end(), then.at("model").text()) == names.end() ||
        then.at("mode").text() != (a.train ? "train" : "infer"))
      continue;
    if (precision_of(then) == a.precision) return;
    other = precision_of(then);
  }
  if (!other.empty())
    fail(Error::Kind::usage, {"'", a.against, "' was measured in ", other, ", this would be in ",
                              a.precision, "; measure with --precision ", other});
}

/// Sentences on what has become slower by more than `bound` (a share) than in an earlier file.
std::vector<std::string> slower(const Json& results, const Json& earlier, const std::string& path,
                                double bound) {
  std::vector<std::string> list;
  size_t compared = 0;
  for (const Json& now : results.list())
    for (const Json& then : earlier.list()) {
      bool same = true;
      for (const char* field : {"model", "mode", "batch", "threads"})
        same = same && print_json(now.at(field)) == print_json(then.at(field));
      same = same && precision_of(now) == precision_of(then);
      if (!same) continue;
      ++compared;
      const double a = then.at("p50_ms").number(), b = now.at("p50_ms").number();
      if (b > a * (1 + bound))
        list.push_back(cat({now.at("model").text(), " (", now.at("mode").text(), ", batch ",
                            now.at("batch").integer(), ") takes ", format_number(b), " ms, ",
                            format_number(100 * (b / a - 1), 3), " % more than the ",
                            format_number(a), " ms of '", path, "'"}));
    }
  if (compared == 0)
    fail(Error::Kind::data, {"'", path,
                             "' holds none of the models, modes, batches, precisions and thread "
                             "counts that were measured"});
  return list;
}

}  // namespace

int run_bench(const BenchArgs& a) {
  const bool integers = a.precision == "int8";
  if (integers && a.train) fail(Error::Kind::usage, {"--precision int8 is for inference"});
  const Precision precision(integers ? "f32" : a.precision);
  std::vector<std::string> names = a.models;
  if (names.empty())
    for (const ModelEntry* m : all_models())
      for (const char* usual : kUsual)
        if (std::string_view(m->name) == usual) names.push_back(usual);
  // What would fail at the end fails now.
  for (const std::string& file : {a.save, a.html}) {
    const auto folder = std::filesystem::path(file).parent_path();
    if (!folder.empty() && !std::filesystem::is_directory(folder))
      fail(Error::Kind::io,
           {"cannot write '", file, "': there is no folder '", folder.string(), "'"});
  }
  std::optional<Json> earlier;
  if (!a.against.empty()) {
    earlier = parse_json(read_file(a.against, uint64_t{16} << 20), a.against);
    check_precision(a, names, *earlier);
  }
  if (!a.values.empty() && names.size() != 1)
    fail(Error::Kind::usage, {"--values is for one model, not for ", names.size()});
  set_tuning(a.tune);
  BenchOptions options;
  options.train = a.train;
  options.seconds = a.seconds;
  if (a.seconds == 0) options.least_runs = 1;  // only the values count
  std::vector<std::pair<std::string, BenchResult>> results;
  Json list = Json::array();
  TextTable table({"model", "batch", "median ms", "p90 ms", "p99 ms", "samples/s", "first ms",
                   "memory", "GFLOP/s", "of peak"});
  for (const std::string& name : names) {
    Subject s = open(name, a.options, a.shapes);
    const int64_t batch = a.batch.value_or(s.batch);
    if (!a.shapes.empty() && batch != s.batch)
      fail(Error::Kind::usage, {"--shape says a batch of ", s.batch, ", --batch ", batch});
    Shape input = s.sample;
    input.insert(0, batch);
    if (!a.values.empty()) {
      std::filesystem::create_directories(a.values);
      save_model(a.values + "/model.safetensors", *s.net, s.info);
    }
    options.input = s.input;
    if (integers) {
      if (!is_float(s.input))
        fail(Error::Kind::usage, {name, " takes whole numbers, not pictures"});
      s.net = quantize(std::shared_ptr<Module>(std::move(s.net)), {normal(input, Key(1))});
      if (!a.values.empty()) onnx::save(a.values + "/model.onnx", *s.net, s.sample);
    }
    BenchResult r = bench(*s.net, input, options);
    if (!a.values.empty()) write_values(a.values, r);
    list.push_back(to_json(name, r, a.precision));
    table.add({name, std::to_string(batch), format_number(r.milliseconds(0.5)),
               format_number(r.milliseconds(0.9)), format_number(r.milliseconds(0.99)),
               format_number(r.samples_per_second()), format_number(r.first),
               format_bytes(r.peak_bytes), format_number(r.gflops()),
               format_number(100 * r.share_of_peak(), 3) + " %"});
    results.emplace_back(name, std::move(r));
  }
  if (a.tune)
    log_info({kernel_choices().size(), " choices of kernels are kept in ", save_kernel_choices()});
  if (a.json) {
    std::printf("%s\n", print_json(list, 2).c_str());
  } else {
    const BenchResult& any = results.front().second;
    const bool units =
        integers ? cpu::int8_units() : a.precision == "f32" || !cpu::bf16_units().empty();
    std::printf(
        "%s of random input in %s%s, %d threads; this machine: %s GFLOP/s, %s GB/s from memory\n\n"
        "%s",
        a.train ? "Training" : "Inference", a.precision.c_str(),
        units ? "" : " (computed in f32: no units for it here)", any.threads,
        format_number(any.peak_gflops).c_str(), format_number(any.peak_gbytes, 3).c_str(),
        table.str().c_str());
    if (results.size() == 1) {
      TextTable kernels({"layer", "work", "kernel", "ms", "share", "GFLOP/s", "GB/s"});
      double whole = 0;
      for (const BenchLine& l : any.lines) whole += l.milliseconds;
      for (size_t i = 0; i < std::min<size_t>(20, any.lines.size()); ++i) {
        const BenchLine& l = any.lines[i];
        kernels.add({l.layer, l.work, l.kernel, format_number(l.milliseconds, 3),
                     format_number(100 * l.milliseconds / whole, 3) + " %",
                     l.gflops > 0 ? format_number(l.gflops, 3) : "", format_number(l.gbytes, 3)});
      }
      std::printf("\n%s", kernels.str(36).c_str());
    }
  }
  if (!a.save.empty()) write_file_atomic(a.save, print_json(list, 2) + "\n");
  if (!a.html.empty()) write_file_atomic(a.html, bench_page(results));
  if (!earlier) return 0;
  const auto complaints = slower(list, *earlier, a.against, a.bound / 100);
  for (const std::string& c : complaints) std::fprintf(stderr, "nacre: %s\n", c.c_str());
  return complaints.empty() ? 0 : 1;
}

}  // namespace nacre::cli
