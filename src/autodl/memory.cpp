// What a step of training will need, before it runs: the step is traced and compiled with
// parameters as inputs, and its plan knows its work space.
#include "autodl/task.h"
#include "base/cgroup.h"
#include "base/file.h"
#include "compile/plan.h"
#include "nacre/autodl.h"
#include "nacre/autograd.h"

namespace nacre {
namespace {

constexpr size_t kCopies = 4;  // parameters, two moments of the optimiser, an average

size_t bytes_of(const Tensor& t) {
  return static_cast<size_t>(t.shape().numel()) * size_of(t.dtype());
}

/// "MemAvailable:   123 kB" of /proc/meminfo; 0 if it does not say.
size_t available_memory() {
  const std::string name = "MemAvailable:", text = read_file("/proc/meminfo", 1 << 16);
  const auto at = text.find(name);
  return at == std::string::npos
             ? 0
             : std::strtoull(text.c_str() + at + name.size(), nullptr, 10) * 1024;
}

}  // namespace

size_t predicted_bytes(Module& net, const Shape& batch, bool regression) {
  const std::vector<Variable> trained = net.trainable();
  Tensors like;
  size_t parameters = 0;
  for (const Variable& v : trained) {
    like.push_back(zeros(v.value().shape(), v.value().dtype()));
    parameters += bytes_of(v.value());
  }
  like.push_back(zeros(batch));
  const auto roll_back = [&] {
    for (const Variable& v : trained) Variable(v).rollback();
  };
  Graph step;
  try {
    step = Graph::trace(
        [&](const Tensors& in) {
          Tensors parameters_in;
          for (size_t i = 0; i < trained.size(); ++i) {
            Variable(trained[i]).set(in[i]);
            parameters_in.push_back(trained[i].value());  // which is a node of its own
          }
          Context ctx = Context::train(Key(0));
          const Tensor y = net(in.back(), ctx);
          const Tensor loss = regression ? mean(y * y) : neg(mean(log_softmax(y)));
          Tensors out = grad(loss, parameters_in);
          out.push_back(loss);
          return out;
        },
        like);
  } catch (...) {
    roll_back();
    throw;
  }
  roll_back();
  CompileOptions options;
  options.label = "memory";
  const auto plan = compile(step, {}, std::vector<bool>(like.size(), false), options);
  size_t bytes = plan->arena_bytes + kCopies * parameters + bytes_of(like.back());
  for (size_t b : plan->output_bytes) bytes += b;
  return bytes;
}

size_t free_memory() {
  size_t free = available_memory();
  if (const CgroupMemory group = cgroup_memory(); group.most > 0)
    free = free == 0 ? group.left : std::min<size_t>(free, group.left);
  return free == 0 ? size_t{2} << 30 : free;
}

}  // namespace nacre
