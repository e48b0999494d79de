// No heap allocation inside the executor: operator new is replaced by one that counts.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "compile/plan.h"
#include "nacre/autograd.h"
#include "nacre/graph.h"
#include "nacre/zoo.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int64_t> ours{0}, of_library{0};

/// oneDNN makes a map of arguments in each call of a primitive; that is not the executor's.
void count(const void* caller) {
  Dl_info info;
  const bool library =
      dladdr(caller, &info) && info.dli_fname && std::strstr(info.dli_fname, "libdnnl");
  ++(library ? of_library : ours);
}

void* counted(size_t bytes, size_t alignment, const void* caller) {
  if (counting) count(caller);
  void* p = alignment
                ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                : std::malloc(bytes ? bytes : 1);
  if (!p) throw std::bad_alloc();
  return p;
}

/// Not inlined, or the compiler would see memory of new given to free.
__attribute__((noinline)) void release(void* p) { std::free(p); }

}  // namespace

void* operator new(size_t n) { return counted(n, 0, __builtin_return_address(0)); }
void* operator new[](size_t n) { return counted(n, 0, __builtin_return_address(0)); }
// std::stable_sort and others take their buffers from this one.
void* operator new(size_t n, const std::nothrow_t&) noexcept {
  return counted(n, 0, __builtin_return_address(0));
}
void* operator new[](size_t n, const std::nothrow_t&) noexcept {
  return counted(n, 0, __builtin_return_address(0));
}
void* operator new(size_t n, std::align_val_t a) {
  return counted(n, static_cast<size_t>(a), __builtin_return_address(0));
}
void* operator new[](size_t n, std::align_val_t a) {
  return counted(n, static_cast<size_t>(a), __builtin_return_address(0));
}
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return counted(n, static_cast<size_t>(a), __builtin_return_address(0));
}
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return counted(n, static_cast<size_t>(a), __builtin_return_address(0));
}
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, size_t) noexcept { release(p); }
void operator delete[](void* p, size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { release(p); }

namespace nacre {
namespace {

TEST(Execution, ATrainingStepAllocatesNothingInsideThePlan) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 16; ++i) labels.push_back(i % 10);
  const Tensor x = normal({16, 1, 32, 32}, Key(1)), y = Tensor::from(labels, {16});
  eval(x);
  // Forward, backward and a step of SGD as one graph of the parameters, as a training step is.
  const std::vector<Variable> trained = net->trainable();
  const Tensors like = values(trained);
  const Graph graph = Graph::trace(
      [&](const Tensors& in) {
        std::vector<Variable> now = trained;
        for (size_t i = 0; i < in.size(); ++i) now[i].set(in[i]);
        Context ctx = Context::train(Key(2));
        const Tensor loss = cross_entropy((*net)(x, ctx), y);
        Tensors out = grad(loss, in);
        for (size_t i = 0; i < in.size(); ++i) out[i] = in[i] - 0.01 * out[i];
        out.push_back(loss);
        for (Variable& v : now) v.rollback();
        return out;
      },
      like);
  const auto plan = compile(graph, {}, std::vector<bool>(like.size(), false), {});
  ASSERT_GT(plan->steps.size(), 10u);
  EXPECT_EQ(plan->reference_steps, 0);
  std::vector<void*> in, out;
  for (const Tensor& t : like) in.push_back(const_cast<void*>(t.data()));
  std::vector<std::unique_ptr<char[]>> blocks;
  for (const size_t bytes : plan->output_bytes) {
    blocks.push_back(std::make_unique<char[]>(bytes + 64));
    out.push_back(
        reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(blocks.back().get()) + 63) / 64 * 64));
  }
  for (int i = 0; i < 3; ++i) plan->run(in, out);
  ours = of_library = 0;
  counting = true;
  for (int i = 0; i < 10; ++i) plan->run(in, out);
  counting = false;
  EXPECT_EQ(ours, 0);
  std::printf("in oneDNN: %.1f a step\n", static_cast<double>(of_library) / 10);
  counting = true;  // the hook does count
  static int* volatile sink;
  sink = new int(1);
  counting = false;
  delete sink;
  EXPECT_EQ(ours, 1);
}

}  // namespace
}  // namespace nacre
