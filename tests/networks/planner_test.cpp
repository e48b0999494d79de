// The memory planner on ResNet-50 (He et al. 2016): how little it needs, and that no value is
// overwritten while it lives.
#include <gtest/gtest.h>

#include <map>

#include "../examples/networks/resnet18.h"
#include "compile/plan.h"
#include "nacre/autograd.h"
#include "nacre/graph.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

using networks::conv;

struct Bottleneck : Module {
  Bottleneck(const Scope& s, int64_t in, int64_t width, int64_t stride)
      : Module(s),
        conv1(s / "conv1", conv(in, width, 1, 1)),
        bn1(s / "bn1", {width}),
        conv2(s / "conv2", conv(width, width, 3, stride)),
        bn2(s / "bn2", {width}),
        conv3(s / "conv3", conv(width, 4 * width, 1, 1)),
        bn3(s / "bn3", {4 * width}),
        downsample(s / "downsample") {
    if (in == 4 * width && stride == 1) return;
    downsample.add<Conv2d>(conv(in, 4 * width, 1, stride));
    downsample.add<BatchNorm>(BatchNorm::Config{4 * width});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = relu(bn1(conv1(x, ctx), ctx));
    y = bn3(conv3(relu(bn2(conv2(y, ctx), ctx)), ctx), ctx);
    return relu(y + downsample(x, ctx));
  }
  Conv2d conv1;
  BatchNorm bn1;
  Conv2d conv2;
  BatchNorm bn2;
  Conv2d conv3;
  BatchNorm bn3;
  Sequential downsample;
};

struct ResNet50 : Module {
  explicit ResNet50(const Scope& s)
      : Module(s),
        conv1(s / "conv1", conv(3, 64, 7, 2)),
        bn1(s / "bn1", {64}),
        layers(s / "layers"),
        fc(s / "fc", {2048, 1000}) {
    const int64_t depths[] = {3, 4, 6, 3};
    for (int64_t k = 0, in = 64, width = 64; k < 4; ++k, width *= 2)
      for (int64_t i = 0; i < depths[k]; ++i, in = 4 * width)
        layers.add<Bottleneck>(in, width, k && !i ? 2 : 1);
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = max_pool2d(relu(bn1(conv1(x, ctx), ctx)), 3, {.stride = 2, .padding = 1})[0];
    return fc(mean(layers(y, ctx), {2, 3}), ctx);
  }
  Conv2d conv1;
  BatchNorm bn1;
  Sequential layers;
  Linear fc;
};

std::shared_ptr<const Plan> planned(const Graph& graph, bool share) {
  CompileOptions options;
  options.share_memory = share;
  return compile(graph, {}, std::vector<bool>(graph.inputs().size(), false), options);
}

std::vector<float> run(const Plan& plan, const Tensor& x) {
  EXPECT_EQ(plan.output_bytes.size(), 1u);
  std::vector<float> y(plan.output_bytes[0] / sizeof(float));
  void* in[] = {const_cast<void*>(x.data())};
  void* out[] = {y.data()};
  plan.run(in, out);
  return y;
}

/// Runs both plans in the mind. In `apart` each value has memory of its own, so an address names
/// the value; each read of `shared` must find the value that the same read of `apart` finds.
void check_lifetimes(const Plan& shared, const Plan& apart) {
  using Key = std::pair<Plan::Place, uint32_t>;
  const auto key = [](const Plan::Address& a) { return Key(a.place, a.index); };
  ASSERT_EQ(shared.steps.size(), apart.steps.size());
  std::map<int64_t, int64_t> values;  // in the arena of `apart`: start, end
  for (const Plan::Step& s : apart.steps)
    for (const Plan::Address& a : s.out)
      if (a.place == Plan::Place::arena) values[a.offset] = 0;
  const auto arena_end = static_cast<int64_t>(apart.scratch_offset);
  for (auto v = values.begin(); v != values.end(); ++v)
    v->second = std::next(v) == values.end() ? arena_end : std::next(v)->first;

  constexpr int64_t kLine = 64;
  std::map<Key, std::vector<int64_t>> holds;  // for each 64 bytes, the value that lies there
  int64_t checked = 0;
  for (size_t i = 0; i < shared.steps.size(); ++i) {
    const Plan::Step &s = shared.steps[i], &t = apart.steps[i];
    ASSERT_EQ(s.in.size(), t.in.size());
    for (size_t k = 0; k < s.in.size(); ++k) {
      if (t.in[k].place != Plan::Place::arena) continue;
      const auto value = std::prev(values.upper_bound(t.in[k].offset));
      const int64_t start = s.in[k].offset - (t.in[k].offset - value->first);
      const auto& lines = holds[key(s.in[k])];
      for (int64_t at = 0; at < value->second - value->first; at += kLine, ++checked) {
        const auto line = static_cast<size_t>((start + at) / kLine);
        ASSERT_LT(line, lines.size());
        ASSERT_EQ(lines[line], value->first) << "step " << i << ", " << s.label;
      }
    }
    for (size_t k = 0; k < s.out.size(); ++k) {
      if (t.out[k].place != Plan::Place::arena) continue;
      const auto value = values.find(t.out[k].offset);
      auto& lines = holds[key(s.out[k])];
      ASSERT_EQ(s.out[k].offset % kLine, 0);
      for (int64_t at = 0; at < value->second - value->first; at += kLine) {
        const auto line = static_cast<size_t>((s.out[k].offset + at) / kLine);
        if (lines.size() <= line) lines.resize(line + 1, -1);
        lines[line] = value->first;
      }
    }
  }
  EXPECT_GT(checked, 100000);
}

TEST(Planner, ResNet50NeedsLessThanAThirdAndOverwritesNothingAlive) {
  ResNet50 net(Scope::init(Key(0)));
  eval(values(net.variables()));
  const Tensor x = normal({1, 3, 224, 224}, Key(1));
  eval(x);
  const Graph graph = Graph::trace(
      [&](const Tensors& in) {
        Context ctx = Context::eval();
        return Tensors{net(in[0], ctx)};
      },
      {x});
  const auto shared = planned(graph, true), apart = planned(graph, false);
  EXPECT_EQ(shared->reference_steps, 0);
  const auto ratio =
      static_cast<double>(shared->scratch_offset) / static_cast<double>(shared->sum_of_values);
  std::printf("arena %.1f MB of %.1f MB, %.1f %%\n",
              static_cast<double>(shared->scratch_offset) / 1e6,
              static_cast<double>(shared->sum_of_values) / 1e6, 100 * ratio);
  EXPECT_LE(ratio, 0.30);
  EXPECT_GE(apart->scratch_offset, apart->sum_of_values);
  check_lifetimes(*shared, *apart);
  EXPECT_EQ(run(*shared, x), run(*apart, x));
}

TEST(Planner, CheckpointingLowersTheMemoryOfTrainingAtEqualGradients) {
  const int64_t n = 64, width = 32, depth = 16;
  Tensors x = {normal({n * 16, width}, Key(0))};
  for (int64_t i = 0; i < depth; ++i)
    x.push_back(normal({width, width}, Key(static_cast<uint64_t>(i) + 1)) * 0.2);
  eval(x);
  const auto gradients = [&](bool checkpointed) {
    return Graph::trace(
        [&](const Tensors& in) {
          Tensor y = in[0];
          for (size_t i = 1; i < in.size(); i += 4) {
            const auto four = [&](const Tensors& t) {
              Tensor h = t[0];
              for (size_t k = 1; k < t.size(); ++k) h = tanh(matmul(h, t[k]));
              return Tensors{h};
            };
            const Tensors t = {y, in[i], in[i + 1], in[i + 2], in[i + 3]};
            y = (checkpointed ? checkpoint(four, t) : four(t))[0];
          }
          return grad(mean(square(y)), in);
        },
        x);
  };
  const Graph plain = gradients(false), saving = gradients(true);
  const auto a = planned(plain, true), b = planned(saving, true);
  std::printf("arena %.2f MB, checkpointed %.2f MB\n", static_cast<double>(a->scratch_offset) / 1e6,
              static_cast<double>(b->scratch_offset) / 1e6);
  EXPECT_LT(static_cast<double>(b->scratch_offset), 0.7 * static_cast<double>(a->scratch_offset));
  const Tensors want = plain.call(x), got = saving.call(x);
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_EQ(got[i].to_vector<float>(), want[i].to_vector<float>());
}

TEST(Planner, ValuesAreComputedAgainWhereMemoryIsLimited) {
  struct Small : Module {
    explicit Small(const Scope& s) : Module(s), layers(s / "layers") {
      for (int64_t i = 0; i < 6; ++i) layers.add<Bottleneck>(i ? 64 : 16, 16, 1);
    }
    Tensor forward(const Tensor& x, Context& ctx) override { return layers(x, ctx); }
    Sequential layers;
  } net(Scope::init(Key(0)));
  Tensors x = {normal({8, 16, 32, 32}, Key(1))};
  for (const Tensor& t : values(net.trainable())) x.push_back(t);
  eval(x);
  const auto trained = net.trainable();
  const Graph graph = Graph::trace(
      [&](const Tensors& in) {
        Tensors parameters;
        for (size_t i = 0; i < trained.size(); ++i) {
          Variable(trained[i]).set(in[i + 1]);
          parameters.push_back(trained[i].value());
        }
        Context ctx = Context::train(Key(0));
        const Tensor loss = mean(square(net(in[0], ctx)));
        Tensors out = grad(loss, parameters);
        out.push_back(loss);
        return out;
      },
      x);
  for (const Variable& v : trained) Variable(v).rollback();
  const std::vector<bool> kept(x.size(), false);
  const auto plan_for = [&](size_t limit, bool share = true) {
    CompileOptions o;
    o.memory_limit = limit;
    o.share_memory = share;
    return compile(graph, {}, kept, o);
  };
  const auto free = plan_for(0);
  const auto values_of = [&](const Plan& plan) {
    std::vector<float> all;
    for (const Tensor& t : run_on(plan, x))
      for (const float v : t.to_vector<float>()) all.push_back(v);
    return all;
  };
  const std::vector<float> want = values_of(*free);
  for (const double share : {0.7, 0.4}) {
    const auto limit = static_cast<size_t>(share * static_cast<double>(free->arena_bytes));
    const auto plan = plan_for(limit);
    std::printf("work space %.1f of %.1f MB, %zu steps of %zu\n",
                static_cast<double>(plan->arena_bytes) / 1e6,
                static_cast<double>(free->arena_bytes) / 1e6, plan->steps.size(),
                free->steps.size());
    EXPECT_LE(plan->arena_bytes, limit);
    EXPECT_GT(plan->steps.size(), free->steps.size());
    EXPECT_EQ(values_of(*plan), want);  // bit for bit
  }
  try {
    plan_for(10000);
    ADD_FAILURE() << "no plan can take so little";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::memory);
    EXPECT_NE(std::string(e.what()).find("the memory limit is 10000"), std::string::npos);
  }
}

}  // namespace
}  // namespace nacre
