// nacre: the command line. Reading of options is here, the work is in one file per command.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <thread>

#include "backends/cpu/info.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "nacre/op.h"
#include "nacre/train.h"

namespace nacre::cli {
namespace {

const char* help_of(const std::string& name) {
  static const std::pair<const char*, const char*> texts[] = {
      {"model", "model of the zoo"},
      {"options", "of the model: \"width=32 classes=10\""},
      {"data", "data set: a folder or file"},
      {"target", "of a table: the column to predict"},
      {"task", "of a table: what the target holds (auto: by its looks)"},
      {"out", "run folder to write"},
      {"transform",
       "steps between file and network, or auto: "
       "\"resize(32)|hflip()|normalize(mean=0.5,std=0.25)\"; or selected: of a table only columns "
       "that go with the target"},
      {"from", "weights to start from: a model file, .pth, .safetensors, .npz, .gguf"},
      {"freeze", "patterns of parameters that stay as they are: \"stem,layer[1-3]\""},
      {"unfreeze", "patterns and the epochs from which they are trained: \"head@0,layer4@2\""},
      {"lr_scale", "factors on the learning rate: \"stem=0.1,layer1=0.3\""},
      {"layer_decay", "the rate of a layer as a share of that of the layer above it"},
      {"adapter", "few parameters that correct the weights, which stay"},
      {"adapter_rank", "of adapters"},
      {"adapter_alpha", "of lora: its factor times the rank; 0: the rank"},
      {"adapter_layers", "patterns of weights that get adapters (default: all but the head)"},
      {"sample_weights",
       "file of lines name,weight: how much training samples count (nacre data weights)"},
      {"l2_sp", "penalty on half the squared distance from the weights to start from"},
      {"epochs", "passes over the training part"},
      {"batch", "samples per step"},
      {"loss", "what is minimised (auto: what the data call for)"},
      {"optimizer", "sgd, momentum, nesterov, adam, adamw, ..."},
      {"lr", "learning rate (its maximum, for schedules)"},
      {"weight_decay", "weight decay"},
      {"momentum", "for optimisers that have one"},
      {"schedule", "constant, cosine, one_cycle, step:30:0.1, plateau:5, warmup:2+cosine, ..."},
      {"label_smoothing", "share of the target spread over all classes"},
      {"l1", "penalty on the sum of |parameters|"},
      {"l2", "penalty on half the sum of squares"},
      {"clip_norm", "largest joint norm of the gradients; 0: any"},
      {"accumulate", "batches per update"},
      {"ema", "decay of averaged weights; 0: none"},
      {"sampler", "order of the samples"},
      {"class_weights",
       "how much the mistakes of a class count: balanced gives small classes more"},
      {"patience", "epochs without improvement before stopping; 0: never"},
      {"val_share", "share for validation, if the data have no such part"},
      {"test_share", "share for testing, if the data have no such part"},
      {"memory_limit", "of the work space of a step, as 2GB; activations are then computed again"},
      {"checkpoint_every", "steps between checkpoints; 0: each epoch"},
      {"seed", "of all random choices"},
      {"workers", "loader threads"},
      {"precision",
       "type that convolutions and matrix products multiply in: bf16 is faster on processors that "
       "have it; parameters stay f32"},
      {"on_error", "for samples that cannot be read"},
  };
  for (const auto& [n, text] : texts)
    if (name == n) return text;
  return "";
}

std::string dashed(std::string name) {
  for (char& c : name)
    if (c == '_') c = '-';
  return name;
}

int exit_code(Error::Kind kind) {
  return kind == Error::Kind::usage ? 2 : kind == Error::Kind::cancelled ? 130 : 1;
}

/// Far more threads than cores only wait for each other.
int sensible_threads(int wanted) {
  const int most = std::max(16, 4 * static_cast<int>(std::thread::hardware_concurrency()));
  if (wanted > most) log_warning({"--threads ", wanted, " is too many for this machine: ", most});
  return std::min(wanted, most);
}

/// What was printed may not have arrived: a full disk shows only now.
int with_output(int code) {
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return code;
  log_error({"cannot write the output: ", errno ? reason_of(errno) : "the write failed"});
  return code ? code : 1;
}

int run(int argc, char** argv) {
  CLI::App app{"nacre: from labelled data to a trained model, in one program.\n"};
  app.name("nacre");
  app.require_subcommand(1);
  app.fallthrough();  // -q and --threads may stand after the command too
  bool quiet = false;
  int threads = 0;
  app.add_flag("-q,--quiet", quiet, "no progress, only results and warnings");
  app.add_option("--threads", threads,
                 "threads that compute (default: as many as cores may be used)")
      ->check(CLI::Range(1, 1024));
  std::vector<std::string> plugins;
  const auto takes_plugins = [&](CLI::App* command) {
    command
        ->add_option("--plugin", plugins,
                     "shared library with further ops and models (may be given more than once)")
        ->type_name("FILE")
        ->allow_extra_args(false);
  };
  const std::string in_what =
      "type that convolutions and matrix products multiply in: f32, or bf16 (faster on processors "
      "that have it)";
  const auto takes_precision = [&](CLI::App* command, std::string& precision) {
    command->add_option("--precision", precision, in_what)->check(CLI::IsMember({"f32", "bf16"}));
  };
  const auto takes_shapes = [](CLI::App* command, std::vector<std::string>& shapes) {
    command
        ->add_option("--shape", shapes,
                     "sizes that the file of another program leaves open: input=1x3x224x224, the "
                     "batch first (may be given more than once)")
        ->allow_extra_args(false);
  };
  app.set_version_flag("--version", NACRE_VERSION);
  int code = 0;
  const auto settle = [&] {  // options that concern every command
    if (quiet) {
      set_progress_mode(Progress::Mode::quiet);
      if (log_level() == LogLevel::info) set_log_level(LogLevel::warning);
    }
    check_environment();
    if (threads) set_num_threads(sensible_threads(threads));
    for (const std::string& file : plugins) load_plugin(file);
  };

  FitArgs fit;
  auto* ft = app.add_subcommand("fit", "Labelled data in, a good model out, within a time budget");
  ft->footer(
      "Example:\n  nacre fit photos.zip --budget 10m --out runs/photos\n  nacre fit table.csv "
      "--target price\n  nacre fit photos.zip --out runs/photos --resume");
  ft->add_option("data", fit.data,
                 "a folder for each class, an archive of those, a table, or what `nacre data info` "
                 "knows");
  ft->add_option("--target", fit.target, "of a table: the column to predict");
  ft->add_option("--task", fit.task, "of a table: what the target holds (auto: by its looks)")
      ->check(CLI::IsMember({"auto", "classes", "values"}));
  ft->add_option("--budget", fit.budget, "time for all: 30s, 10m, 2h (default: 10m)");
  ft->add_option("--trials", fit.trials,
                 "trials in all; then the same seed gives the same model (default: what the budget "
                 "allows)")
      ->check(CLI::Range(1, 1000000));
  ft->add_option("--size-limit", fit.size_limit, "largest model file: 500KB, 5MB");
  ft->add_option("--latency-limit", fit.latency_limit, "longest time for one sample: 5ms");
  ft->add_option("--memory-limit", fit.memory_limit,
                 "most memory for a step of training: 2GB (default: most of what is free)");
  ft->add_option("--from", fit.from, "model file whose weights are tried as a start");
  ft->add_option("--slice", fit.slice, "of a table: also show the result by this column's values");
  ft->add_option(
        "--nested", fit.nested,
        "of a table: outer parts of a nested cross-validation that first chooses the family "
        "of models to search, and judges the choice")
      ->check(CLI::Range(2, 20));
  ft->add_option("--keep", fit.keep,
                 "also write so many models of different structure within a hundredth of the best, "
                 "and an ensemble of them, to models/ beside the model")
      ->check(CLI::Range(2, 64));
  ft->add_option("--seed", fit.seed, "of all random choices");
  ft->add_option("--out", fit.out,
                 "model file to write, or a folder for it; report.html, study.db and trials/ go "
                 "beside it");
  ft->add_option(
      "--study", fit.study,
      "where trials are kept: a file of SQLite or postgresql://user@host/database (default: "
      "study.db beside the model)");
  ft->add_flag("--resume", fit.resume, "go on with the fit that --out holds");
  ft->add_flag("--join", fit.join, "run trials of the fit that another process began in --study");
  ft->add_flag("--json", fit.json, "print the result as JSON");
  takes_plugins(ft);
  ft->callback([&] {
    settle();
    code = run_fit(fit);
  });

  TrainArgs train;
  auto* t = app.add_subcommand("train", "Train a model of the zoo on a data set");
  t->footer(
      "Example:\n  nacre train lenet5 --data data/digits --epochs 20 --out runs/a\n  nacre train "
      "--recipe cnn-mnist --data mnist\n  nacre train --resume runs/a");
  const std::vector<std::string> settings = TrainConfig::names();
  std::map<std::string, std::string> given;
  for (const std::string& name : settings) {
    if (name == "resume" || name == "model") continue;
    const std::string words = TrainConfig::choices(name);
    t->add_option("--" + dashed(name), given[name],
                  words.empty() ? help_of(name) : cat({help_of(name), ": ", words}));
  }
  std::string model;
  t->add_option("model", model, "model of the zoo (see: nacre zoo list)");
  t->add_option("--config", train.config,
                "YAML file of settings; options on the command line go before");
  t->add_option("--recipe", train.recipe,
                "settings that come with nacre (see: nacre zoo recipes), likewise");
  t->add_option("--resume", train.resume, "run folder to go on with");
  t->add_flag("--find-lr", train.find_lr, "try growing learning rates and suggest one");
  t->add_flag("--json", train.json, "print the result as JSON");
  takes_plugins(t);
  t->callback([&] {
    if (!model.empty()) train.settings.emplace_back("model", model);
    for (const std::string& name : settings)
      if (t->get_option_no_throw("--" + dashed(name)) && t->count("--" + dashed(name)) &&
          name != "resume")
        train.settings.emplace_back(name, given[name]);
    settle();
    code = run_train(train);
  });

  EvalArgs eval;
  auto* e = app.add_subcommand("eval", "Evaluate a model file on a data set");
  e->footer("Example:\n  nacre eval runs/a/model.safetensors --data data/digits");
  e->add_option("model", eval.model, "model file")->required();
  e->add_option("--data", eval.data, "data set")->required();
  e->add_option("--part", eval.part,
                "train, val, test or all; auto: test (as the model's training split the data, if "
                "they have no such part), else all")
      ->check(CLI::IsMember({"auto", "train", "val", "test", "all"}));
  e->add_option("--top-k", eval.top_k, "also the share of labels among the k best")
      ->check(CLI::Range(1, 1000000));
  e->add_option("--workers", eval.workers, "loader threads")->check(CLI::Range(0, 64));
  takes_precision(e, eval.precision);
  e->add_flag("--sparsity", eval.sparsity,
              "also the share of zero activations after each ReLU, on a batch");
  e->add_flag("--json", eval.json, "print the result as JSON");
  takes_plugins(e);
  e->callback([&] {
    settle();
    code = run_eval(eval);
  });

  PredictArgs predict;
  auto* p = app.add_subcommand("predict", "Predict pictures, clips of sound, or rows of a table");
  p->footer(
      "Example:\n  nacre predict runs/a/model.safetensors cat.png photos/\n  nacre predict "
      "m.safetensors - < cat.png");
  p->add_option("model", predict.model, "model file")->required();
  p->add_option(
       "inputs", predict.inputs,
       "pictures, WAV clips, folders of them, a .csv file of rows, or - for standard input")
      ->required();
  p->add_option("--top", predict.top, "classes to show")->check(CLI::Range(1, 1000000));
  takes_precision(p, predict.precision);
  p->add_flag("--draw", predict.draw, "draw each picture in the terminal");
  p->add_flag("--json", predict.json, "one JSON object a line");
  takes_plugins(p);
  p->callback([&] {
    settle();
    code = run_predict(predict);
  });

  ExplainArgs explain;
  auto* x = app.add_subcommand("explain", "Show why a model answers as it does");
  x->footer(
      "Writes a page (index.html), a heat map as PNG for each method, and explanation.json.\n"
      "Example:\n  nacre explain runs/a/model.safetensors cat.png\n  nacre explain "
      "m.safetensors cat.png --method lrp,grad_cam --class dog --out why\n  nacre explain "
      "table.safetensors --data table.csv\n  nacre explain m.safetensors --data photos/ --layer "
      "conv2\n  nacre explain m.safetensors --unit dog");
  x->add_option("model", explain.model, "model file")->required();
  x->add_option("pictures", explain.inputs, "pictures to explain");
  x->add_option("--method", explain.methods,
                "with commas: cam, grad_cam, lrp, saliency, guided_backprop, smooth_grad, "
                "integrated_gradients, occlusion, shap (default: all but guided_backprop and "
                "smooth_grad)");
  x->add_option("--class", explain.class_name,
                "class to explain, by name or number (default: the predicted one)");
  x->add_option(
      "--layer", explain.layer,
      "layer of cam, grad_cam and --data (default: the last with maps; see: nacre zoo show)");
  x->add_option("--rule", explain.rule, "of lrp: composite, composite_flat, epsilon, gamma, zplus");
  x->add_option("--data", explain.data,
                "a table: how much each column matters, and how; pictures: which of them excite "
                "the channels of --layer most");
  x->add_option("--unit", explain.unit,
                "picture that excites a unit most: LAYER:CHANNEL, or a class of the model");
  x->add_flag("--maps", explain.maps, "what all layers make of a picture, and all weights, as PNG");
  x->add_option("--checks", explain.checks,
                "random networks that each map is compared with; 0: none")
      ->check(CLI::Range(0, 100));
  x->add_option("--out", explain.out, "folder to write (default: explanation, explanation-2, ...)");
  x->add_flag("--json", explain.json, "print the result as JSON");
  takes_plugins(x);
  x->callback([&] {
    settle();
    code = run_explain(explain);
  });

  ServeArgs serve;
  auto* sv = app.add_subcommand("serve", "Answer requests over HTTP with models");
  sv->footer(
      "Example:\n  nacre serve runs/a/model.safetensors\n  curl --data-binary @cat.png -H "
      "'content-type: image/png' localhost:8080/v1/models/model:predict\nSee docs/serve.md.");
  sv->add_option("models", serve.models,
                 "model files, NAME=FILE, run folders, or folders of these or of "
                 "NAME/VERSION/model.safetensors")
      ->required();
  sv->add_option("--host", serve.host, "address to listen on; 0.0.0.0: all");
  sv->add_option("--port", serve.port, "0: any that is free")->check(CLI::Range(0, 65535));
  sv->add_option("--max-batch", serve.max_batch, "rows that run together at most")
      ->check(CLI::Range(1, 65536));
  sv->add_option("--batch-wait", serve.batch_wait_ms,
                 "milliseconds that a request waits for others to run with (0: it runs with those "
                 "that came meanwhile)")
      ->check(CLI::Range(0.0, 60000.0));
  sv->add_option("--queue", serve.queue, "requests that may wait for a model; more are refused")
      ->check(CLI::Range(1, 1000000));
  sv->add_option("--queue-time", serve.queue_seconds, "seconds that they may wait")
      ->check(CLI::Range(0.001, 86400.0));
  sv->add_option("--memory-limit", serve.memory_limit,
                 "of models and requests, as 2GB (default: 3/4 of the machine)")
      ->transform(CLI::AsSizeValue(false));
  sv->add_option("--body-limit", serve.body_limit, "of a request, unpacked, as 64MB")
      ->transform(CLI::AsSizeValue(false));
  sv->add_option("--max-pixels", serve.max_pixels, "of a picture, and samples of a clip")
      ->check(CLI::PositiveNumber);
  sv->add_option("--connections", serve.connections, "open at once")->check(CLI::Range(1, 100000));
  sv->add_option("--connections-per-address", serve.connections_per_address, "of one client")
      ->check(CLI::Range(1, 100000));
  sv->add_option("--idle-time", serve.idle_seconds, "seconds between requests of a connection")
      ->check(CLI::Range(0.1, 86400.0));
  sv->add_option("--body-time", serve.body_seconds,
                 "seconds for a body to arrive, or an answer "
                 "to be taken")
      ->check(CLI::Range(0.1, 86400.0));
  sv->add_option("--readers", serve.readers,
                 "threads that decode pictures (default: half of the cores)")
      ->check(CLI::Range(1, 256));
  sv->add_option("--poll", serve.poll_seconds,
                 "seconds between looks for new and changed models; 0: never")
      ->check(CLI::Range(0.0, 86400.0));
  sv->add_option("--canary", serve.canary,
                 "per cent of the requests that a new version gets until it is promoted; 0: it "
                 "takes over")
      ->check(CLI::Range(0, 100));
  sv->add_option("--token-file", serve.token_file, "requests need this token; health does not");
  sv->add_option("--tls-cert", serve.tls_cert, "certificates (PEM): HTTPS");
  sv->add_option("--tls-key", serve.tls_key, "the key of --tls-cert (PEM)");
  sv->add_option("--allow-host", serve.allow_hosts,
                 "a further name of this server in requests that change models")
      ->allow_extra_args(false);
  sv->add_option("--not-finite", serve.not_finite, "how NaN and infinity are answered")
      ->check(CLI::IsMember({"null", "text", "error"}));
  sv->add_option("--drain-time", serve.drain_seconds,
                 "seconds for requests to be finished after SIGTERM")
      ->check(CLI::Range(0.0, 86400.0));
  sv->add_flag("--log-requests", serve.log_requests, "a line of JSON for each, on standard error");
  takes_plugins(sv);
  sv->callback([&] {
    settle();
    code = run_serve(serve);
  });

  RunArgs run;
  auto* rn = app.add_subcommand("run", "Run a model on raw tensors");
  rn->footer(
      "Example:\n  nacre run model.onnx --input x=x.npy --output results\n  writes each output as "
      "results/NAME.npy");
  rn->add_option("model", run.model,
                 "ONNX file, a model file of nacre's, or a model of the zoo with fresh weights")
      ->required();
  rn->add_option("--input", run.inputs, "NAME=FILE.npy (once for each input)")
      ->allow_extra_args(false);
  rn->add_option("--output", run.output, "folder to write")->required();
  takes_plugins(rn);
  rn->callback([&] {
    settle();
    code = run_run(run);
  });

  ZooArgs zoo;
  auto* z = app.add_subcommand("zoo", "The models that come with nacre");
  z->require_subcommand(1);
  z->footer("Example:\n  nacre zoo list\n  nacre zoo show lenet5");
  auto* zl = z->add_subcommand("list", "Names, sizes, papers; or the model files in a folder");
  zl->footer("Example:\n  nacre zoo list\n  nacre zoo list runs");
  zl->add_option("folder", zoo.name,
                 "list the model files below it: what they were trained on, how well they do, and "
                 "whether they are whole");
  zl->add_flag("--json", zoo.json, "as JSON");
  takes_plugins(zl);
  zl->callback([&] {
    settle();
    code = run_zoo_list(zoo);
  });
  auto* zs = z->add_subcommand("show", "One model: options, layers, parameters, arithmetic");
  zs->add_option("name", zoo.name, "model, or the file of one")->required();
  zs->add_option("--options", zoo.options, "\"classes=100\"");
  takes_shapes(zs, zoo.shapes);
  zs->add_option(
      "--limits", zoo.limits,
      "YAML file of the most that a file may have, \"milliseconds: 5\"; names as in --json; "
      "exit code 1 if it has more");
  zs->add_flag("--json", zoo.json, "as JSON");
  takes_plugins(zs);
  zs->callback([&] {
    settle();
    code = run_zoo_show(zoo);
  });

  auto* zr = z->add_subcommand(
      "recipes", "Settings of training by model and data set, with results; or one of them");
  zr->footer("Example:\n  nacre zoo recipes\n  nacre zoo recipes resnet20-cifar10");
  zr->add_option("name", zoo.name, "recipe, whose file is printed");
  zr->add_flag("--json", zoo.json, "as JSON");
  zr->callback([&] {
    settle();
    code = run_zoo_recipes(zoo);
  });

  DataArgs data;
  auto* d = app.add_subcommand("data", "Look at, check, convert and join data sets");
  d->require_subcommand(1);
  d->footer(
      "Example:\n  nacre data info data/digits\n  nacre data check photos/\n  nacre data convert "
      "mnist/ mnist-pictures/\n  nacre data join clients.csv events.jsonl letters/ --on id --out "
      "all.csv");
  auto* di = d->add_subcommand("info", "What was found: parts, classes, sizes");
  auto* dc =
      d->add_subcommand("check", "What is wrong: unreadable files, duplicates, empty classes, ...");
  auto* dv =
      d->add_subcommand("convert", "Write pictures as a folder per class, or rows as a .csv file");
  auto* dw = d->add_subcommand(
      "weights", "How much likelier each sample is in another data set, for --sample-weights");
  for (auto* s : {di, dc, dv, dw}) s->add_option("data", data.path, "data set")->required();
  dw->add_option("like", data.like, "the other data set, whose labels are not looked at")
      ->required();
  dw->add_option("to", data.to, "file to write, lines name,weight")->required();
  dw->callback([&] {
    settle();
    code = run_data_weights(data);
  });
  for (auto* s : {di, dc}) s->add_flag("--json", data.json, "as JSON");
  dv->add_option("to", data.to, "new folder, or file that ends in .csv")->required();
  JoinArgs join;
  auto* dj = d->add_subcommand("join", "One table of tables, JSON lines and texts, by a key");
  dj->footer(
      "The rows of the first source stay; to them come the columns of the others. Memory stays "
      "below\n200 MB whatever the size of the files.\nExample:\n  nacre data join clients.csv "
      "events.jsonl letters/ --on id --out all.csv\n  nacre data join clients.csv firms.csv --on "
      "firm,id --out all.csv --inner");
  dj->add_option("sources", join.sources,
                 "tables (.csv, .tsv), JSON lines (.jsonl, .ndjson) and folders of texts that are "
                 "named by the key: letters/17.txt")
      ->required();
  dj->add_option("--on", join.on,
                 "name of the key in all tables, or one for each, with commas: id,client")
      ->required();
  dj->add_option("--out", join.out, "table to write, which ends in .csv")->required();
  dj->add_option("--text", join.texts,
                 "column of paths of texts, which take the place of the paths (may be given more "
                 "than once)")
      ->allow_extra_args(false);
  dj->add_flag("--inner", join.inner, "leave out rows without a match in some source");
  dj->add_flag("--json", join.json, "print the result as JSON");
  dj->callback([&] {
    settle();
    code = run_data_join(join);
  });
  di->callback([&] {
    settle();
    code = run_data_info(data);
  });
  dc->callback([&] {
    settle();
    code = run_data_check(data);
  });
  dv->callback([&] {
    settle();
    code = run_data_convert(data);
  });

  ConvertArgs convert;
  auto* cv = app.add_subcommand("convert", "Weights and networks from one kind of file to another");
  cv->footer(
      "Reads safetensors, .npy, .npz, PyTorch checkpoints, GGUF and MXNet; networks as ONNX, Caffe "
      "(.prototxt), Caffe2 (predict_net.pb), MXNet (-symbol.json), ncnn (.param), PaddlePaddle "
      "(.pdmodel), TensorFlow (.pb) and TFLite (.tflite).\nExample:\n  nacre convert weights.pth "
      "weights.safetensors\n  nacre convert "
      "lenet.pth lenet.safetensors --model lenet5\n  nacre convert runs/a/model.safetensors "
      "model.onnx --check\n  nacre convert net.prototxt net.onnx\n  nacre convert resnet18 "
      "resnet18.param\n  nacre convert runs/a/model.safetensors --to exe --output digits\n  nacre "
      "convert runs/a/model.safetensors int8.onnx --int8 --data data/digits");
  cv->add_option("input", convert.from,
                 "file of weights, or a network; for ONNX and ncnn also a model of the zoo")
      ->required();
  cv->add_option(
        "output,--output", convert.to,
        "file to write; with --to npy a folder; of ncnn the .param, with the .bin beside it")
      ->required();
  cv->add_option("--to", convert.format,
                 "safetensors, npz, npy, onnx or ncnn (default: by the ending); program: for the "
                 "runtime; exe: model and runtime in one executable")
      ->check(CLI::IsMember({"safetensors", "npz", "npy", "onnx", "ncnn", "program", "exe"}));
  cv->add_option("--runner", convert.runner,
                 "of --to exe: the nacre_runner of another kind of machine (default: the one "
                 "beside nacre)");
  cv->add_option("--opset", convert.opset, "of ONNX files (17)")->check(CLI::Range(13, 28));
  cv->add_flag("--int8", convert.int8,
               "write an ONNX file that computes in integers of 8 bits, with ranges from --data");
  cv->add_option("--data", convert.data, "of --int8: data set such as the model will see");
  cv->add_option("--samples", convert.samples, "of --int8: so many of the data set (256)")
      ->check(CLI::Range(1, 1000000));
  cv->add_option("--range", convert.range,
                 "of --int8: minmax takes ranges that hold all values, percentile those of 99.99 % "
                 "of them, error those of the least squared error")
      ->check(CLI::IsMember({"minmax", "percentile", "error"}));
  cv->add_option("--weights", convert.weights,
                 "file with the weights of a network of another framework (default: the one beside "
                 "it that such networks have)");
  cv->add_option("--prefix", convert.prefix,
                 "dotted path of the weights in a checkpoint that holds several");
  cv->add_option("--model", convert.model, "write a model file of this model of the zoo");
  cv->add_option("--options", convert.options, "of the model: \"classes=100\"");
  cv->add_option("--classes", convert.classes, "of the model: a file with a name on each line");
  cv->add_option("--transform", convert.transform,
                 "of the model: steps between picture and network");
  cv->add_flag("--partial", convert.partial, "take what fits the model and begin the rest afresh");
  cv->add_flag("--check", convert.check,
               "compare outputs before and after on random inputs (with --int8 on the samples), or "
               "the arrays; exit code 1 if they differ by more than --tolerance");
  cv->add_option(
        "--tolerance", convert.tolerance,
        "largest difference of --check, as a part of the output's largest value (1e-5; with "
        "--int8 0.1)")
      ->check(CLI::Range(0.0, 1.0));
  takes_plugins(cv);
  cv->callback([&] {
    settle();
    if (convert.int8 && cv->count("--tolerance") == 0) convert.tolerance = 0.1;
    code = run_convert(convert);
  });

  BenchArgs bench;
  auto* b = app.add_subcommand("bench", "How fast models run here, and what each kernel takes");
  b->footer(
      "Example:\n  nacre bench resnet18 --html resnet18.html\n  nacre bench --train --batch 8 "
      "--save now.json\n  nacre bench --train --batch 8 --against now.json");
  b->add_option("models", bench.models, "models of the zoo or model files (default: a usual list)");
  b->add_option("--options", bench.options, "of the model: \"classes=100\"");
  takes_shapes(b, bench.shapes);
  b->add_option("--batch", bench.batch, "samples in one run (1, or as --shape says)")
      ->check(CLI::Range(1, 65536));
  b->add_flag("--train", bench.train, "steps of training instead of inference");
  b->add_option("--precision", bench.precision,
                in_what + "; int8: integers of 8 bits, with ranges from the input")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}));
  b->add_option("--seconds", bench.seconds, "to measure each model for")
      ->check(CLI::Range(0.0, 86400.0));
  b->add_flag("--tune", bench.tune,
              "measure kernels against each other first, and keep what was found for later runs");
  b->add_option("--save", bench.save, "write the results, for --against");
  auto* against = b->add_option("--against", bench.against,
                                "exit with 1 if a model is slower than in this file");
  b->add_option("--bound", bench.bound, "per cent by which a model may be slower")
      ->needs(against)
      ->check(CLI::NonNegativeNumber);
  b->add_option("--html", bench.html, "write a page with rooflines and kernels");
  b->add_option("--values", bench.values,
                "folder to write weights, input and results of the model to");
  b->add_flag("--json", bench.json, "as JSON");
  takes_plugins(b);
  b->callback([&] {
    settle();
    code = run_bench(bench);
  });

  LabArgs lab;
  auto* l = app.add_subcommand("lab", "Experiments of a course, with a page of curves and tables");
  l->footer(
      "Example:\n  nacre lab list\n  nacre lab degradation --out labs/degradation\n  nacre lab "
      "vanishing-gradient --options \"depth=50\"");
  l->add_option("name", lab.name, "of the lab, or list")->required();
  l->add_option("--data", lab.data, "pictures to learn from (default: data/digits)");
  l->add_option("--out", lab.out,
                "folder for report.html and results.json (default: the next free labs/NAME)");
  l->add_option("--epochs", lab.epochs, "passes over the training part, for each network")
      ->check(CLI::Range(1, 1000000));
  l->add_option("--seed", lab.seed, "of all random choices")->check(CLI::NonNegativeNumber);
  l->add_option("--options", lab.options, "of the lab, which the list shows: \"width=8 side=8\"");
  l->add_flag("--json", lab.json, "print the numbers as JSON");
  takes_plugins(l);
  l->callback([&] {
    settle();
    code = lab.name == "list" ? run_lab_list() : run_lab(lab);
  });

  FeaturesArgs features;
  auto* fe =
      app.add_subcommand("features", "Outputs of layers of a model for a data set, as arrays");
  fe->footer(
      "Example:\n  nacre features runs/a/model.safetensors --data data/digits --layer fc2 --out "
      "features.npz");
  fe->add_option("model", features.model, "model file")->required();
  fe->add_option("--data", features.data, "data set")->required();
  fe->add_option("--layer", features.layers,
                 "path of a layer, as nacre zoo show has it (may be given more than once)")
      ->required()
      ->allow_extra_args(false);
  fe->add_option("--out", features.out, "file to write: .npz or .safetensors")->required();
  fe->add_option("--part", features.part, "train, val, test or all (auto: all)")
      ->check(CLI::IsMember({"auto", "train", "val", "test", "all"}));
  fe->add_flag("--pool", features.pool, "the mean over the positions of pictures");
  takes_plugins(fe);
  fe->callback([&] {
    settle();
    code = run_features(features);
  });

  bool doctor_json = false;
  auto* doc =
      app.add_subcommand("doctor", "This machine, the libraries, and whether everything computes");
  doc->footer("Example:\n  nacre doctor");
  doc->add_flag("--json", doctor_json, "as JSON");
  doc->callback([&] {
    settle();
    code = run_doctor(doctor_json);
  });

  DemoArgs demo;
  auto* dm = app.add_subcommand(
      "demo", "Train LeNet-5 on the handwritten digits that ship, and predict some");
  dm->footer("Example:\n  nacre demo");
  dm->add_option("--data", demo.data, "data set");
  dm->add_option("--out", demo.out, "run folder (default: the next free runs/digits-N)");
  dm->add_option("--epochs", demo.epochs, "passes over the training part")
      ->check(CLI::Range(1, 1000000));
  dm->callback([&] {
    settle();
    code = run_demo(demo);
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    if (app.get_subcommands().empty())
      for (int i = 1; i < argc; ++i)
        if (argv[i][0] != '-') {
          std::fprintf(stderr, "nacre: there is no command '%s' (see: nacre --help)\n", argv[i]);
          return 2;
        }
    std::string sub;
    for (const auto* s : app.get_subcommands()) sub = " " + s->get_name();
    for (int i = 1; i < argc; ++i)
      if (std::string_view(argv[i]).starts_with("--device")) {
        std::fprintf(stderr, "nacre%s: there is no %s: nacre computes on the processor\n",
                     sub.c_str(), argv[i]);
        return 2;
      }
    std::fprintf(stderr, "nacre%s: %s (see: nacre%s --help)\n", sub.c_str(), e.what(), sub.c_str());
    return 2;
  }
  return code;
}

/// The libraries read some settings only when they are loaded, hence the second start; if that
/// fails, things are merely slower. What computes nothing starts once.
void start_again_if_better(char** argv) {
  const std::string_view first = argv[0] && argv[1] ? argv[1] : "";
  if (first.empty() || first == "zoo" || first == "--version" || first == "--help") return;
  const auto settings = cpu::better_environment();
  for (const auto& [name, value] : settings) setenv(name, value.c_str(), 1);
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);  // keeps the name
  if (settings.empty() || unknown) return;
  unbind_thread();  // else the second start would see one core
  execv(self.c_str(), argv);
}

/// A file must not get the number of a standard stream that was closed: what is printed would be
/// written there. Writing to the placeholder fails, as it should.
void hold_standard_streams() {
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) < 0) _exit(1);
}

}  // namespace
}  // namespace nacre::cli

int main(int argc, char** argv) {
  nacre::cli::hold_standard_streams();
  nacre::cli::start_again_if_better(argv);
  nacre::install_stop_signals();
  try {
    return nacre::cli::with_output(nacre::cli::run(argc, argv));
  } catch (const nacre::Error& e) {
    nacre::log_error({e.what()});
    return nacre::cli::exit_code(e.kind());
  } catch (const std::bad_alloc&) {
    nacre::log_error({"out of memory"});
    return 1;
  } catch (const std::exception& e) {
    nacre::log_error({e.what()});
    return 1;
  }
}
