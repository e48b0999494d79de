// What the programs of this folder share: reading the command, measuring, writing what other
// frameworks need to do the same work.
//
//   PROGRAM [MODE [BATCH]] [--seconds S] [--precision f32|bf16] [--values FOLDER] [--kernels]
//
// prints one line of JSON, with --kernels also where the time of a run goes. With --values FOLDER
// it writes there, before anything runs, the parameters (model.safetensors), what the work is given
// (NAME.npy) and, if the workload has a sample, the network for inference (model.onnx); and
// afterwards the results (values.npy).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nacre/autograd.h"
#include "nacre/bench.h"
#include "nacre/nn.h"
#include "nacre/optim.h"

namespace workload {
using namespace nacre;

struct Arguments {
  std::string mode = "infer";
  int64_t batch = 1;
  bool training() const { return mode == "train"; }
};

struct Workload {
  std::function<Tensors()> run;  ///< one run; its first result is compared with other frameworks'
  std::vector<std::pair<std::string, Tensor>> given;
  std::shared_ptr<Module> net;  ///< may be null
  Shape sample;                 ///< of one input without the batch; empty: no model.onnx
};

/// main() of a workload.
int measure(int argc, char** argv, const std::function<Workload(const Arguments&)>& make);

/// A step of SGD with momentum 0.9 and rate 1e-3, as `nacre bench --train` has it.
std::function<Tensors()> training_step(std::shared_ptr<Module> net,
                                       std::function<Tensor(Context&)> loss);
/// Inference as a program compiled once.
std::function<Tensors()> inference(std::shared_ptr<Module> net, const Tensor& x);

}  // namespace workload
