// nacre convert --to program and --to exe: a model for the runtime, alone or behind the runner.
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/link_runner.h"
#include "embed/trailer.h"
#include "nacre/convert.h"
#include "nacre/predict.h"
#include "nacre/runtime.h"
#include "nacre/zoo.h"

namespace nacre::cli {
namespace {

std::string runner_path(const std::string& given) {
  if (!given.empty()) return given;
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string path = (self.parent_path() / "nacre_runner").string();
  if (!file_exists(path))
    fail(Error::Kind::io, {"there is no ", path,
                           ", which --to exe puts the model behind: build it (cmake --build build "
                           "--target nacre_runner), or give one with --runner"});
  return path;
}

std::string read_runner(const std::string& path) {
  std::string bytes = read_file(path, uint64_t{1} << 30);
  if (!bytes.starts_with("\x7f"
                         "ELF") ||
      !embed::appended(bytes).empty() || bytes.find(embed::kMark) == std::string::npos)
    fail(Error::Kind::usage, {path, " is no nacre_runner without a model"});
  return bytes;
}

NetworkFunction function_of(const Predictor& p) {
  NetworkFunction f;
  for (const auto& port : p.inputs()) {
    Shape shape = port.shape;
    for (int64_t& d : shape) d = std::max<int64_t>(d, 1);
    f.inputs.push_back({port.name, port.dtype, shape, p.batches()});
  }
  for (const auto& port : p.outputs()) f.outputs.push_back(port.name);
  f.run = [&p](const Tensors& in) { return p.run(in); };
  return f;
}

NetworkFunction function_of(const Runtime& net) {
  NetworkFunction f;
  for (const auto& port : net.inputs()) {
    Shape shape = port.shape;
    if (net.batches()) shape[0] = 1;
    f.inputs.push_back({port.name, port.dtype, shape, net.batches()});
  }
  for (const auto& port : net.outputs()) f.outputs.push_back(port.name);
  f.run = [&net](const Tensors& in) {
    const int64_t rows = net.batches() ? in[0].size(0) : 1;
    std::vector<const void*> from;
    for (const Tensor& t : in) from.push_back(t.data());
    std::vector<std::string> memory;
    std::vector<void*> to;
    std::vector<Shape> shapes;
    memory.reserve(net.outputs().size());
    for (const auto& port : net.outputs()) {
      shapes.push_back(port.shape);
      if (net.batches()) shapes.back()[0] = rows;
      memory.emplace_back(static_cast<size_t>(shapes.back().numel()) * size_of(port.dtype), '\0');
      to.push_back(memory.back().data());
    }
    net.run(from, to, rows);
    Tensors out;
    for (size_t k = 0; k < memory.size(); ++k)
      out.push_back(Tensor::from_bytes(memory[k].data(), memory[k].size(), shapes[k],
                                       net.outputs()[k].dtype));
    return out;
  };
  return f;
}

}  // namespace

int convert_to_program(const ConvertArgs& a) {
  if (!a.model.empty())
    fail(Error::Kind::usage, {"--model writes a model file of nacre's; convert that then"});
  const Predictor model =
      file_exists(a.from) ? Predictor(a.from) : Predictor(fresh_model(a.from, a.options), a.from);
  const auto program = std::make_shared<const std::string>(export_program(model));
  const Runtime net(*program, program, a.to);  // what is written can be read
  if (a.format == "exe") {
    if (net.inputs().size() != 1 || net.inputs()[0].dtype != DType::f32 ||
        net.outputs()[0].dtype != DType::f32)
      fail(Error::Kind::unsupported,
           {a.from, " has ", net.inputs().size(), net.inputs().size() == 1 ? " input" : " inputs",
            " of ", net.inputs()[0].dtype, " and gives ", net.outputs()[0].dtype,
            "; an executable takes one input of f32 and gives f32 (--to program takes any)"});
    const std::string path = runner_path(a.runner);
    std::string runner = read_runner(path);
    std::string why;
    const std::string small = link_runner(path, net.kernels(), why);
    if (!small.empty()) runner = small;
    const std::string whole = embed::with_program(runner, *program);
    write_file_atomic(a.to, whole);
    if (::chmod(a.to.c_str(), 0755) != 0)
      fail(Error::Kind::io, {"cannot make ", a.to, " executable: ", reason_of(errno)});
    std::printf("%s: executable, %zu bytes, of which %zu are the model\n", a.to.c_str(),
                whole.size(), program->size());
    if (small.empty())
      std::printf("it has all kernels, not only those of this model: %s\n", why.c_str());
  } else {
    write_file_atomic(a.to, *program);
    std::printf("%s: program, %zu steps, %zu bytes\n", a.to.c_str(), net.steps(), program->size());
  }
  if (const TableSchema* table = model.schema(); table && model.info().input.rank() == 1) {
    std::string names;
    for (const std::string& name : table->feature_names())
      names += (names.empty() ? "" : ", ") + name;
    std::printf(
        "it takes rows as the network sees them (.npy, f32), not cells of a table: %s%s\n",
        names.c_str(),
        model.info().transform.empty() ? "" : cat({"; after ", model.info().transform}).c_str());
  }
  if (!a.check) return 0;
  bool fits = true;
  for (const OutputDifference& d : compare_outputs(function_of(model), function_of(net))) {
    const bool ok = d.relative <= a.tolerance;
    std::printf("%s: largest difference %.3g, %.3g of the largest value%s\n", d.name.c_str(),
                d.absolute, d.relative, ok ? "" : ": too much");
    fits = fits && ok;
  }
  return fits ? 0 : 1;
}

}  // namespace nacre::cli
