// The commands of the program. main.cpp reads the command line into these structs; each run_* does
// the work and throws Error.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nacre {
struct Model;
}

namespace nacre::cli {

struct TrainArgs {
  std::vector<std::pair<std::string, std::string>>
      settings;  ///< of TrainConfig, in the order given
  std::string config;
  std::string recipe;  ///< name, see nacre/recipes.h
  std::string resume;  ///< run folder to go on with
  bool find_lr = false;
  bool json = false;
};
int run_train(const TrainArgs& a);

struct FitArgs {
  std::string data, target, task = "auto", out, from, slice, study;
  std::string budget, size_limit, latency_limit, memory_limit;  ///< with units
  int64_t trials = 0, seed = 0, nested = 0, keep = 0;
  bool resume = false, join = false, json = false;
};
int run_fit(const FitArgs& a);

struct EvalArgs {
  std::string model, data, part = "auto";
  int64_t top_k = 5;
  int workers = 1;
  std::string precision = "f32";
  bool sparsity = false;  ///< also the share of zeros after each ReLU
  bool json = false;
};
int run_eval(const EvalArgs& a);

struct PredictArgs {
  std::string model;
  std::vector<std::string> inputs;
  int64_t top = 3;
  std::string precision = "f32";
  bool json = false, draw = false;
};
int run_predict(const PredictArgs& a);

struct ExplainArgs {
  std::string model;
  std::vector<std::string> inputs;  ///< pictures
  std::string methods;              ///< names with commas; empty: the usual ones
  std::string class_name, layer, out;
  std::string rule = "composite";  ///< of LRP
  int64_t checks = 3;              ///< random networks that each map is compared with
  std::string data;                ///< a table, or pictures for the units of a layer
  std::string unit;                ///< LAYER:CHANNEL, or a class, to maximise
  bool maps = false;               ///< feature maps and weights of the model
  bool json = false;
};
int run_explain(const ExplainArgs& a);

struct RunArgs {
  std::string model, output;
  std::vector<std::string> inputs;  ///< "name=file.npy"
};
int run_run(const RunArgs& a);

struct ZooArgs {
  std::string name, options, limits;
  std::vector<std::string> shapes;  ///< of inputs: "input=1x3x224x224"
  bool json = false;
};
int run_zoo_list(const ZooArgs& a);
int run_zoo_show(const ZooArgs& a);
/// All recipes, or with a name the file of one.
int run_zoo_recipes(const ZooArgs& a);

struct DataArgs {
  std::string path, like, to;
  bool json = false;
};
int run_data_info(const DataArgs& a);
int run_data_check(const DataArgs& a);
int run_data_convert(const DataArgs& a);
int run_data_weights(const DataArgs& a);

struct JoinArgs {
  std::vector<std::string> sources, texts;
  std::string on, out;
  bool inner = false, json = false;
};
int run_data_join(const JoinArgs& a);

struct ConvertArgs {
  std::string from, to, format, prefix, weights;
  std::string runner;  ///< of executables
  std::string model, options, classes, transform;
  bool partial = false;  ///< take what fits and begin the rest afresh
  int64_t opset = 0;     ///< of ONNX files; 0: 17
  bool int8 = false;     ///< an ONNX file of integers, with ranges from `data`
  std::string data, range = "minmax";
  int64_t samples = 256;
  bool check = false;  ///< compare what was written with what was read
  double tolerance = 1e-5;
};
int run_convert(const ConvertArgs& a);
/// A model of the zoo with fresh parameters.
Model fresh_model(const std::string& name, const std::string& options = "");
/// To a file for the runtime, or an executable.
int convert_to_program(const ConvertArgs& a);

struct BenchArgs {
  std::vector<std::string> models, shapes;
  std::string options;
  std::optional<int64_t> batch;
  bool train = false;
  std::string precision = "f32";
  double seconds = 2;
  bool tune = false;
  std::string save, html;  ///< files to write
  std::string values;      ///< folder for weights, input and results
  std::string against;     ///< results of an earlier run
  double bound = 10;       ///< per cent that a model may be slower than there
  bool json = false;
};
int run_bench(const BenchArgs& a);

int run_doctor(bool json);

/// Names variables of the environment whose values mean nothing; throws for an unknown backend.
void check_environment();

struct ServeArgs {
  std::vector<std::string> models;
  std::string host = "127.0.0.1", token_file, tls_cert, tls_key, not_finite = "null";
  std::vector<std::string> allow_hosts;
  int port = 8080, canary = 0, readers = 0;
  int64_t max_batch = 32, queue = 256, connections = 1000, connections_per_address = 500;
  int64_t max_pixels = int64_t{1} << 24;
  double batch_wait_ms = 0, queue_seconds = 30, poll_seconds = 2, drain_seconds = 30;
  double idle_seconds = 75, body_seconds = 60;
  uint64_t memory_limit = 0, body_limit = uint64_t{64} << 20;
  bool log_requests = false;
};
int run_serve(const ServeArgs& a);

struct LabArgs {
  std::string name, data = "data/digits", out, options;
  int64_t epochs = 0, seed = -1;  ///< 0 and -1: as the lab has it
  bool json = false;
};
int run_lab_list();
int run_lab(const LabArgs& a);

struct FeaturesArgs {
  std::string model, data, out, part = "auto";
  std::vector<std::string> layers;
  bool pool = false;
};
int run_features(const FeaturesArgs& a);

struct DemoArgs {
  std::string data = "data/digits", out;
  int64_t epochs = 40;
};
int run_demo(const DemoArgs& a);

}  // namespace nacre::cli
