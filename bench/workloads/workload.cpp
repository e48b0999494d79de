#include "workload.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "nacre/formats.h"
#include "nacre/onnx.h"
#include "nacre/precision.h"
#include "nacre/program.h"

namespace workload {
namespace {

void write_given(const std::string& folder, const Workload& w, bool training) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, value] : w.given)
    save_npy(folder + "/" + name + ".npy", raw_tensor(value));
  if (!w.net) return;
  std::vector<NamedTensor> weights;
  for (const Variable& v : w.net->variables())
    weights.emplace_back(v.name(), raw_tensor(v.value()));
  save_safetensors(folder + "/model.safetensors", weights);
  if (!w.sample.empty() && !training) onnx::save(folder + "/model.onnx", *w.net, w.sample);
}

int run(int argc, char** argv, const std::function<Workload(const Arguments&)>& make) {
  Arguments a;
  BenchOptions options;
  std::string values, precision = "f32";
  bool kernels = false;
  int place = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seconds" && i + 1 < argc) {
      options.seconds = std::atof(argv[++i]);
    } else if (word == "--kernels") {
      kernels = true;
    } else if (word == "--precision" && i + 1 < argc) {
      precision = argv[++i];
    } else if (word == "--values" && i + 1 < argc) {
      values = argv[++i];
    } else if (word[0] != '-' && place < 2) {
      if (place++ == 0)
        a.mode = word;
      else
        a.batch = std::max<int64_t>(1, std::atoll(word.c_str()));
    } else {
      std::fprintf(stderr,
                   "usage: %s [infer|train [BATCH]] [--seconds S] [--precision f32|bf16] "
                   "[--values FOLDER] [--kernels]\n",
                   argv[0]);
      return 2;
    }
  }
  options.train = a.training();
  if (options.seconds == 0) options.least_runs = 1;  // only the values count
  const Precision now(precision);
  const Workload w = make(a);
  Tensors given;
  for (const auto& [name, value] : w.given) given.push_back(value);
  eval(given);
  if (!values.empty()) write_given(values, w, a.training());
  const BenchResult r = bench(w.run, options);
  if (!values.empty())
    save_npy(values + "/values.npy",
             {DType::f64, {static_cast<int64_t>(r.values.size())}, r.values.data(), nullptr});
  std::printf(
      "{\"p50_ms\": %.9g, \"runs\": %zu, \"first_at\": %.9f, \"process_peak_bytes\": %zu, "
      "\"macs\": %lld, \"peak_gflops\": %.6g}\n",
      r.milliseconds(0.5), r.runs.size(), r.first_at, r.process_peak_bytes,
      static_cast<long long>(r.macs), r.peak_gflops);
  if (!kernels) return 0;
  double whole = 0;
  for (const BenchLine& l : r.lines) whole += l.milliseconds;
  for (const BenchLine& l : r.lines)
    std::printf("%8.3f ms %5.1f %% %7.0f GFLOP/s %6.1f GB/s %5.1f calls  %s | %s | %s\n",
                l.milliseconds, 100 * l.milliseconds / whole, l.gflops, l.gbytes, l.calls,
                l.layer.c_str(), l.work.c_str(), l.kernel.c_str());
  return 0;
}

}  // namespace

int measure(int argc, char** argv, const std::function<Workload(const Arguments&)>& make) {
  try {
    return run(argc, argv, make);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
    return 1;
  }
}

std::function<Tensors()> training_step(std::shared_ptr<Module> net,
                                       std::function<Tensor(Context&)> loss) {
  auto optimizer = std::make_shared<SGD>(net->trainable(), SGD::Options{1e-3, 0.9, 0, false});
  return [net, optimizer, loss = std::move(loss)] {
    Context ctx = Context::train(Key(2));
    const Tensor value = loss(ctx);
    optimizer->step(grad(value, values(net->trainable())));
    ctx.commit();
    State* states[] = {net->state().get(), optimizer->state().get()};
    State::commit(states, {value});
    return Tensors{value};
  };
}

std::function<Tensors()> inference(std::shared_ptr<Module> net, const Tensor& x) {
  auto program = std::make_shared<Program>(Program::of(*net, x.shape(), x.dtype()));
  return [program, x] { return (*program)({x}); };
}

}  // namespace workload
