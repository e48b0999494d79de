// Networks as ncnn's files, read back by the importer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nacre/convert.h"
#include "nacre/import.h"
#include "nacre/ops.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Values that normalisation and deep layers do something to, none of them zero for good.
void randomise(Module& net) {
  uint64_t k = 0;
  for (const Variable& v : net.variables()) {
    if (!is_float(v.value().dtype())) continue;
    const Shape& s = v.value().shape();
    const Tensor noise = normal(s, Key(7).fold_in(k++));
    const double fan = std::max<double>(
        1, s.rank() > 1 ? static_cast<double>(s.numel()) / static_cast<double>(s[0]) : 1);
    if (s.rank() > 1)
      Variable(v).set(noise * std::sqrt(1.5 / fan));
    else
      Variable(v).set(v.name().ends_with("bias") || v.name().ends_with("mean")
                          ? noise * 0.1
                          : abs(noise) * 0.2 + 0.8);
  }
}

double worst(const std::vector<OutputDifference>& all) {
  double most = 0;
  for (const OutputDifference& d : all) most = std::max(most, d.relative);
  return most;
}

/// The largest difference after a round trip, as a part of the largest value.
double round_trip(const NetworkFunction& before, std::string* param = nullptr) {
  const NcnnFiles files = to_ncnn(before, "the network");
  if (param) *param = files.param;
  const auto after = onnx::parse(import_ncnn(files.param, files.bin, "back"), "back");
  return worst(compare_outputs(before, as_function(*after)));
}

class NcnnRoundTrip : public ::testing::TestWithParam<const char*> {};

TEST_P(NcnnRoundTrip, GivesTheSame) {
  const ModelEntry& m = find_model(GetParam());
  const auto net = make_model(m.name, m.tiny, Scope::init(Key(1)));
  randomise(*net);
  const NetworkFunction before = as_function(*net, m.tiny_input.empty() ? m.input : m.tiny_input);
  EXPECT_LT(round_trip(before), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Zoo, NcnnRoundTrip,
                         ::testing::Values("lenet5", "alexnet", "vgg11_bn", "googlenet",
                                           "googlenet_2014", "inception_v3", "squeezenet1_1",
                                           "resnet18", "resnet18_v2", "resnext50_32x4d",
                                           "seresnet18", "densenet121", "mobilenet_v1",
                                           "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v1",
                                           "shufflenet_v2_x1_0", "efficientnet_b0", "mnasnet1_0",
                                           "regnet_y_400mf", "dpn68", "convnext_tiny", "mixer_s32",
                                           "vit_b_32", "mlp"),
                         [](const auto& info) { return std::string(info.param); });

/// A function of one input as a network.
NetworkFunction of(const Shape& shape, std::function<Tensor(const Tensor&)> f) {
  return {{{"input", DType::f32, shape, true}}, {"output"}, [f](const Tensors& in) {
            return Tensors{f(in[0])};
          }};
}

struct Form {
  const char* name;
  std::function<Tensor(const Tensor&)> f;  ///< of 1x4x6x6
};

class NcnnForms : public ::testing::TestWithParam<Form> {};
TEST_P(NcnnForms, GiveTheSame) { EXPECT_LT(round_trip(of({1, 4, 6, 6}, GetParam().f)), 1e-6); }

Tensor numbers(const Shape& s, uint64_t k = 0) { return normal(s, Key(3).fold_in(k)); }

const Form kForms[] = {
    {"transposed",
     [](const Tensor& x) {
       return conv_transpose2d(x, numbers({4, 3, 4, 4}), numbers({6}),
                               {.stride = {2}, .padding = {1}, .groups = 2});
     }},
    {"rows",
     [](const Tensor& x) {
       return conv1d(reshape(x, {-1, 4, 36}), numbers({5, 4, 3}));
     }},
    {"orders_of_three",
     [](const Tensor& x) {
       Tensors all;
       for (const Ints& p :
            std::vector<Ints>{{0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}})
         all.push_back(reshape(permute(x, p), {-1, 144}));
       return concat(all, 1);
     }},
    {"orders_of_four",
     [](const Tensor& x) {
       const Tensor four = reshape(x, {-1, 2, 3, 4, 6});
       Tensors all;
       Ints p{1, 2, 3, 4};
       do {
         Ints order{0};
         for (const int64_t d : p) order.push_back(d);
         all.push_back(reshape(permute(four, order), {-1, 144}));
       } while (std::next_permutation(p.begin(), p.end()));
       return concat(all, 1);
     }},
    {"the_batch_elsewhere",
     [](const Tensor& x) {
       const Tensor turned = permute(x, {2, 0, 1, 3});
       return permute(softmax(turned * 2.0 + numbers({6, 1, 4, 1}), 2), {1, 0, 2, 3});
     }},
    {"reductions",
     [](const Tensor& x) {
       return concat({mean(x, {2, 3}), sum(x, {1, 3}), reshape(amax(x, {3}), {-1, 24}),
                      reshape(amin(x, {2}, true), {-1, 24}), reshape(mean(x, {1}), {-1, 36})},
                     1);
     }},
    {"elements",
     [](const Tensor& x) {
       const Tensor v = mean(x, {2, 3}, true), a = abs(x) + 0.5;
       return concat(
           {x * v,         1.0 - x,       2.0 / a,     x - numbers({6}), numbers({4, 1, 1}) / a,
            maximum(x, v), minimum(v, x), pow(a, 1.5), exp(-x),          log(a),
            sqrt(a),       rsqrt(a),      square(x),   sin(x),           cos(x),
            floor(x),      ceil(x),       round(x),    reciprocal(a),    tanh(x),
            erf(x)},
           1);
     }},
    {"activations",
     [](const Tensor& x) {
       return concat({relu(x),
                      relu6(x * 5.0),
                      leaky_relu(x, 0.2),
                      elu(x),
                      selu(x),
                      gelu(x),
                      gelu(x, "tanh"),
                      silu(x),
                      mish(x),
                      softplus(x),
                      hard_swish(x),
                      hard_sigmoid(x),
                      sigmoid(x),
                      clip(x, -0.3, 0.4),
                      clip(x, 0.1, INFINITY),
                      softmax(x, 1),
                      softmax(x, 2),
                      softmax(x, -1),
                      log_softmax(x, 1),
                      prelu(x, numbers({4}))},
                     1);
     }},
    {"norms",
     [](const Tensor& x) {
       const Tensor y = group_norm(x, 2, numbers({4}), numbers({4}, 1));
       const Tensor z = layer_norm(y, numbers({6}), numbers({6}, 1));
       return layer_norm(instance_norm(z), numbers({4, 6, 6}), numbers({4, 6, 6}, 1));
     }},
    {"sizes",
     [](const Tensor& x) {
       const Tensor up = interpolate(x, {12, 12}), smooth = interpolate(x, {12, 12}, "bilinear"),
                    ends = interpolate(x, {12, 12}, "bilinear", true);
       return concat(
           {up, smooth, ends, pixel_shuffle(x, 2), interpolate(x, {12, 12}, "nearest-exact"),
            pad(interpolate(x, {9, 10}, "bilinear"), {1, 2}, {2, 0}),
            pad(x, {3, 3}, {3, 3}, "reflect"), pad(x, {3, 3}, {3, 3}, "replicate"),
            pad(x, {-1, 4}, {7, 2}, "constant", 1.5)},
           1);
     }},
    {"picks",
     [](const Tensor& x) {
       const Tensor i = Tensor::from<int64_t>({3, 0, 3, 1}, {4});
       return concat({channel_shuffle(x, 2), index_select(x, 1, i), index_select(x, 1, i + 0),
                      slice(x, 1, 1, 3)},
                     1);
     }},
    {"pools",
     [](const Tensor& x) {
       return concat({max_pool2d(x, {3}, {.stride = {2}, .padding = {1}})[0],
                      avg_pool2d(x, {3}, {.stride = {2}, .padding = {1}}),
                      adaptive_avg_pool(x, {3, 3}), adaptive_max_pool(x, {3, 3})},
                     1);
     }},
    {"attention",
     [](const Tensor& x) {
       const Tensor q = reshape(x, {-1, 2, 12, 6});
       const Tensor y = scaled_dot_product_attention(q, q * 0.5, q * 2.0);
       return matmul(numbers({12, 12}), y) + matmul(y, matmul(numbers({6, 6}), numbers({6, 6}, 1)));
     }},
    {"copies_and_constants",
     [](const Tensor& x) {
       const Tensor token = expand(numbers({1, 1, 6, 6}), {x.size(0), 1, 6, 6});
       return concat({x, token, x + x, expand(mean(x, {1}, true), {x.size(0), 2, 6, 6})}, 1);
     }},
};
INSTANTIATE_TEST_SUITE_P(All, NcnnForms, ::testing::ValuesIn(kForms),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(NcnnFile, LayersNamesAndWeights) {
  const Tensor w = numbers({5, 4, 3, 3}), b = numbers({5, 1, 1});
  std::string param;
  const NcnnFiles files = to_ncnn(of({1, 4, 6, 6},
                                     [&](const Tensor& x) {
                                       const Tensor y = conv2d(x, w) + b;
                                       return relu(y) * y;
                                     }),
                                  "n");
  EXPECT_EQ(files.param,
            "7767517\n5 6\n"
            "Input input 0 1 input 0=6 1=6 2=4\n"
            "Convolution conv 1 1 input conv 0=5 1=3 11=3 2=1 12=1 3=1 13=1 4=0 15=0 14=0 16=0 "
            "6=180 5=1\n"
            "Split split_conv 1 2 conv conv_copy conv_copy_1\n"
            "ReLU relu 1 1 conv_copy relu\n"
            "BinaryOp mul 2 1 relu conv_copy_1 output 0=2\n");
  EXPECT_EQ(files.bin.size(), 4u * (1 + 180 + 5));
}

TEST(NcnnFile, SeveralInputsAndOutputsKeepTheirNames) {
  const NetworkFunction net = {
      {{"left", DType::f32, {1, 3}, true}, {"right", DType::f32, {1, 3}, true}},
      {"sum", "same", "relu"},
      [](const Tensors& in) {
        return Tensors{in[0] + in[1], in[1], tanh(relu(in[0]))};
      }};
  std::string param;
  EXPECT_EQ(round_trip(net, &param), 0) << param;
}

TEST(NcnnFile, OfAFixedBatch) {
  NetworkFunction net = of({1, 4, 6, 6}, [](const Tensor& x) {
    return reshape(x * 2.0, {1, 144});
  });
  net.inputs[0].any_batch = false;
  EXPECT_EQ(round_trip(net), 0);
}

TEST(NcnnErrors, EverythingWithoutALayerIsListed) {
  const auto message = [](const NetworkFunction& f) {
    try {
      to_ncnn(f, "the network");
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::unsupported);
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(
      message(of({1, 4, 6, 6}, [](const Tensor& x) { return lgamma(cumsum(x, 1)) + lgamma(x); })),
      "the network has 2 kinds of operators without a translation: cumsum (1 time, first "
      "'cumsum'); lgamma (2 times, first 'lgamma')");
  EXPECT_NE(message(of({1, 4, 6}, [](const Tensor& x) { return x / sum(x, {0}, true); }))
                .find("mixes the batch"),
            std::string::npos);
  EXPECT_NE(message(of({1, 2, 2, 2, 2},
                       [](const Tensor& x) {
                         return reshape(tanh(reshape(x, {-1, 2, 2, 2, 2, 1})), {-1, 16});
                       }))
                .find("5 sizes beside the batch"),
            std::string::npos);
}

}  // namespace
}  // namespace nacre
