#include "ops/nn/attention.h"

namespace nacre {

void attention_samples(Samples& s) {
  const auto plain = [](bool causal, double scale) {
    return [=](const Tensors& x) {
      return Tensors{scaled_dot_product_attention(x[0], x[1], x[2], x.size() > 3 ? x[3] : Tensor(),
                                                  causal, scale)};
    };
  };
  const std::string f = "F.scaled_dot_product_attention";
  s.add({s.uniform({2, 2, 3, 4}), s.uniform({2, 2, 5, 4}), s.uniform({2, 2, 5, 3})},
        plain(false, 0), f + "({0}, {1}, {2})");
  s.add({s.uniform({1, 2, 4, 4}), s.uniform({1, 2, 4, 4}), s.uniform({1, 2, 4, 4})}, plain(true, 0),
        f + "({0}, {1}, {2}, is_causal=True)");
  s.add({s.uniform({2, 3, 4}), s.uniform({2, 5, 4}), s.uniform({2, 5, 4})}, plain(false, 0.3),
        f + "({0}, {1}, {2}, scale=0.3)");
  s.add({s.uniform({3, 4}), s.uniform({5, 4}), s.uniform({5, 4}), s.uniform({3, 5})},
        plain(false, 0), f + "({0}, {1}, {2}, attn_mask={3})");
  s.add({s.uniform({2, 2, 3, 4}), s.uniform({2, 2, 3, 4}), s.uniform({2, 2, 3, 4}),
         s.ints_at({1, 0, 1, 1, 1, 0, 0, 1, 0}, {3, 3}, DType::boolean)},
        plain(false, 0), f + "({0}, {1}, {2}, attn_mask={3})");
  s.add({s.uniform({1, 1, 2, 3}), s.uniform({1, 1, 2, 3}), s.uniform({1, 1, 2, 3}),
         s.ints_at({0, 0, 1, 1}, {2, 2}, DType::boolean)},
        plain(false, 0))
      .oracle = "a query that sees nothing gives zeros";
  s.add({s.uniform({0, 1, 2, 3}), s.uniform({0, 1, 2, 3}), s.uniform({0, 1, 2, 3})},
        plain(false, 0), f + "({0}, {1}, {2})");
  const auto heads = [](const Tensors& x) {
    return Tensors{multi_head_attention(x[0], x[0], x[0], x[1], x[2], x[3], x[4],
                                        {.heads = 2, .causal = true})};
  };
  const std::string packed =
      "F.multi_head_attention_forward({0}.transpose(0, 1), {0}.transpose(0, 1), "
      "{0}.transpose(0, 1), 4, 2, {1}, {2}, None, None, False, 0.0, {3}, {4}, need_weights=False, "
      "attn_mask=torch.full((3, 3), float('-inf')).triu(1).to({0}.dtype))[0].transpose(0, 1)";
  s.add({s.uniform({2, 3, 4}), s.uniform({12, 4}), s.uniform({12}), s.uniform({4, 4}),
         s.uniform({4})},
        heads, packed);
  s.add(
      {s.uniform({2, 3, 4}), s.uniform({2, 5, 4}), s.uniform({12, 4}), s.uniform({4, 4}),
       s.ints_at({0, 0, 1, 1, 0, 0, 0, 0, 0, 1}, {2, 5}, DType::boolean)},
      [](const Tensors& x) {
        return Tensors{multi_head_attention(x[0], x[1], x[1], x[2], {}, x[3], {},
                                            {.heads = 1, .padding_mask = x[4]})};
      },
      "F.multi_head_attention_forward({0}.transpose(0, 1), {1}.transpose(0, 1), "
      "{1}.transpose(0, 1), 4, 1, {2}, None, None, None, False, 0.0, {3}, None, "
      "need_weights=False, key_padding_mask={4})[0].transpose(0, 1)");
  s.bad({s.uniform({2, 3, 4}), s.uniform({12, 4}), s.uniform({12}), s.uniform({4, 4}),
         s.uniform({3})},
        heads, "out_bias has shape 3, 4 is needed");
  s.bad(
      {s.uniform({2, 3, 3}), s.uniform({9, 3}), s.uniform({9}), s.uniform({3, 3}), s.uniform({3})},
      heads, "3 features do not divide into 2 heads");
  s.bad({s.uniform({3, 4}), s.uniform({5, 3}), s.uniform({5, 4})}, plain(false, 0),
        "queries have 4 features, keys 3");
  s.bad({s.uniform({3, 4}), s.uniform({5, 4}), s.uniform({6, 4})}, plain(false, 0),
        "5 keys but 6 values");
  s.bad({s.uniform({2, 3, 4}), s.uniform({5, 4}), s.uniform({5, 4})}, plain(false, 0),
        "ranks have to be equal");
  s.bad({s.uniform({2, 3, 4}), s.uniform({1, 5, 4}), s.uniform({1, 5, 4})}, plain(false, 0),
        "leading dimensions differ");
  s.bad({s.uniform({3, 4}), s.uniform({5, 4}), s.uniform({5, 4}), s.uniform({4, 5})},
        plain(false, 0), "does not broadcast to 1x1x3x5");
}

void attention_grad_samples(Samples& s) {
  const auto call = [](const Tensors& x) { return attention_grad(x, false, 0.5); };
  const std::string torch =
      "(lambda p: (lambda ds: (ds @ {1}, ds.transpose(-1, -2) @ {0}, p.transpose(-1, -2) @ {5}))"
      "(p * ({5} @ {2}.transpose(-1, -2) - ({5} * {3}).sum(-1, keepdim=True)) * 0.5))"
      "(torch.exp({0} @ {1}.transpose(-1, -2) * 0.5";
  const auto inputs = [&](int64_t b, int64_t h, int64_t l, int64_t n, int64_t d) {
    return std::vector<SampleInput>{s.uniform({b, h, l, d}),    s.uniform({b, h, n, d}),
                                    s.uniform({b, h, n, d}),    s.uniform({b, h, l, d}),
                                    s.uniform({b, h, l}, 1, 2), s.uniform({b, h, l, d})};
  };
  s.add(inputs(2, 2, 3, 4, 2), call, torch + " - {4}[..., None]))");
  s.add(inputs(1, 1, 1, 1, 3), call, torch + " - {4}[..., None]))");
  auto masked = inputs(1, 2, 2, 3, 2);
  masked.push_back(s.ints_at({1, 0, 1, 1, 1, 0}, {2, 3}, DType::boolean));
  s.add(masked, call, torch + " - {4}[..., None]) * {6})");
  auto wrong = inputs(1, 1, 2, 3, 2);
  wrong[4] = s.uniform({1, 1, 3});
  s.bad(wrong, call, "input 4 has shape 1x1x3");
}

}  // namespace nacre
