#include "ops/rnn/rnn.h"

namespace nacre {

/// One step of a plain recurrent network (Elman 1990): h' = tanh(w_ih x + b_ih + w_hh h + b_hh), or
/// relu. x: NxC, h: NxH, w_ih: HxC, w_hh: HxH, biases: H, both or none. Returns h'.
API(Tensor rnn_cell(In x, In h, In w_ih, In w_hh, const Tensor& b_ih = {}, const Tensor& b_hh = {},
                    bool relu = false))
/// Plain recurrent networks over sequences; arguments as those of lstm. Returns {y, h}.
API(Tensors rnn(In x, Ins weights, const RnnOptions& options = {}, const Tensor& h0 = {},
                const Tensor& lengths = {}))

namespace {
CellKind kind_of(bool relu) { return relu ? CellKind::relu : CellKind::tanh; }
}  // namespace

OP(rnn_cell) = {
    .name = "rnn_cell",
    .kind = OpKind::composite,
    .attrs = attr_type<RnnCellAttrs>(),
    .infer = [](Infer& in) { infer_cell(in, kind_of(in.attrs<RnnCellAttrs>().relu)); },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          return decompose_cell(kind_of(static_cast<const RnnCellAttrs*>(attrs)->relu), in);
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{rnn_cell(x[0], x[1], x[2], x[3], x[4], x[5])};
          };
          s.add({s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({3, 4}), s.uniform({3, 3}),
                 s.uniform({3}), s.uniform({3})},
                call, "torch.rnn_tanh_cell({0}, {1}, {2}, {3}, {4}, {5})");
          s.add(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({3, 4}), s.uniform({3, 3})},
              [](const Tensors& x) { return Tensors{rnn_cell(x[0], x[1], x[2], x[3])}; },
              "torch.rnn_tanh_cell({0}, {1}, {2}, {3})");
          s.add({s.uniform({0, 4}), s.uniform({0, 3}), s.uniform({3, 4}), s.uniform({3, 3}),
                 s.uniform({3}), s.uniform({3})},
                call, "torch.rnn_tanh_cell({0}, {1}, {2}, {3}, {4}, {5})");
          s.add(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({3, 4}), s.uniform({3, 3}),
               s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) {
                return Tensors{rnn_cell(x[0], x[1], x[2], x[3], x[4], x[5], true)};
              },
              "torch.rnn_relu_cell({0}, {1}, {2}, {3}, {4}, {5})");
          s.bad({s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({3, 5}), s.uniform({3, 3}),
                 s.uniform({3}), s.uniform({3})},
                call, "w_ih has shape 3x5, 3x4 is needed");
          s.bad({s.uniform({2, 4}), s.uniform({1, 3}), s.uniform({3, 4}), s.uniform({3, 3}),
                 s.uniform({3}), s.uniform({3})},
                call, "a state has shape 1x3, 2x3 is needed");
          s.bad(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({3, 4}), s.uniform({3, 3}),
               s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{rnn_cell(x[0], x[1], x[2], x[3], x[4])}; },
              "one of the two biases is missing");
        },
};

/// One layer of rnn() in one direction.
/// Inputs x TxNxC, the states NxH, w_ih, w_hh, then both biases and lengths if there are any.
OP(rnn_layer) = {
    .name = "rnn_layer",
    .kind = OpKind::composite,
    .attrs = attr_type<RnnLayerAttrs>(),
    .infer = [](Infer& in) { infer_layer(in, kind_of(in.attrs<RnnLayerAttrs>().relu)); },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const RnnLayerAttrs*>(attrs);
          return decompose_layer(kind_of(a.relu), a, in);
        },
    .onnx = "RNN",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
               s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) { return rnn(x[0], Tensors(x.begin() + 2, x.end()), {}, x[1]); },
              "torch.rnn_tanh({0}, {1}, [{2}, {3}, {4}, {5}], True, 1, 0.0, False, False, False)");
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({2, 3}), s.uniform({2, 2}), s.uniform({2}),
               s.uniform({2}), s.uniform({2, 3}), s.uniform({2, 2}), s.uniform({2}), s.uniform({2}),
               s.uniform({2, 4}), s.uniform({2, 2}), s.uniform({2}), s.uniform({2}),
               s.uniform({2, 4}), s.uniform({2, 2}), s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) {
                return rnn(x[0], Tensors(x.begin() + 1, x.end()),
                           {.layers = 2, .bidirectional = true});
              },
              "torch.rnn_tanh({0}, torch.zeros(4, 2, 2, dtype={0}.dtype), [{1}, {2}, {3}, {4}, "
              "{5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, {13}, {14}, {15}, {16}], True, 2, 0.0, "
              "False, True, False)");
          s.add(
              {s.uniform({1, 1, 3}), s.uniform({1, 1, 2}), s.uniform({2, 3}), s.uniform({2, 2})},
              [](const Tensors& x) {
                return rnn(x[0], Tensors(x.begin() + 2, x.end()), {.bias = false}, x[1]);
              },
              "torch.rnn_tanh({0}, {1}, [{2}, {3}], False, 1, 0.0, False, False, False)");
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
               s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) {
                return rnn(x[0], Tensors(x.begin() + 2, x.end()), {.relu = true}, x[1]);
              },
              "torch.rnn_relu({0}, {1}, [{2}, {3}, {4}, {5}], True, 1, 0.0, False, False, False)");
          const auto lengths = [](const Tensors& x) {
            return rnn(x[0], Tensors(x.begin() + 2, x.end()), {.bidirectional = true}, {}, x[1]);
          };
          s.add({s.uniform({3, 2, 3}), s.ints_at({3, 2}, {2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2}), s.uniform({2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2}), s.uniform({2})},
                lengths,
                "(lambda P: (lambda o: "
                "(torch.nn.utils.rnn.pad_packed_sequence(torch.nn.utils.rnn.PackedSequence(o[0], "
                "P.batch_sizes), total_length=3)[0], *o[1:]))(torch.rnn_tanh(P.data, "
                "P.batch_sizes, torch.zeros(2, 2, 2, dtype={0}.dtype), [{2}, {3}, {4}, {5}, {6}, "
                "{7}, {8}, {9}], True, 1, 0.0, False, "
                "True)))(torch.nn.utils.rnn.pack_padded_sequence({0}, {1}.cpu()))");
          const auto call = [](const Tensors& x) {
            return rnn(x[0], Tensors(x.begin() + 2, x.end()), {}, x[1]);
          };
          s.bad({s.uniform({3, 2, 4}), s.uniform({1, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2}), s.uniform({2})},
                call, "w_ih has shape 2x3, 2x4 is needed");
          s.bad({s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2})},
                call, "3 weights, 4 are needed");
          s.bad({s.uniform({3, 2, 3}), s.uniform({2, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2}), s.uniform({2})},
                call, "an initial state has shape 2x2x2, 1x2x2 is needed");
          s.bad({s.uniform({0, 2, 3}), s.uniform({1, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2}), s.uniform({2})},
                call, "the sequence is empty");
          s.bad({s.uniform({2, 3}), s.uniform({1, 2, 2}), s.uniform({2, 3}), s.uniform({2, 2}),
                 s.uniform({2}), s.uniform({2})},
                call, "input has shape 2x3, TxNxC is needed");
        },
};

Tensor rnn_cell(In x, In h, In w_ih, In w_hh, const Tensor& b_ih, const Tensor& b_hh, bool relu) {
  return make_cell(op_rnn_cell, box(RnnCellAttrs{relu}), {x, h, w_ih, w_hh}, b_ih, b_hh)[0];
}

Tensors rnn(In x, Ins weights, const RnnOptions& options, const Tensor& h0, const Tensor& lengths) {
  return run_layers("rnn", op_rnn_layer, kind_of(options.relu), x, weights, options, {h0}, lengths);
}

}  // namespace nacre
