#include "ops/rnn/rnn.h"

namespace nacre {

/// One step of a gated recurrent unit (Cho et al. 2014), gates in the order r, z, n, the reset gate
/// applied after the product as in cuDNN: n = tanh(x_n + sigmoid(r) h_n), h' = (1 - z) n + z h.
/// x: NxC, h: NxH, w_ih: 3HxC, w_hh: 3HxH, biases: 3H, both or none. Returns h'.
API(Tensor gru_cell(In x, In h, In w_ih, In w_hh, const Tensor& b_ih = {}, const Tensor& b_hh = {}))
/// Gated recurrent units over sequences; arguments as those of lstm. Returns {y, h}.
API(Tensors gru(In x, Ins weights, const RnnOptions& options = {}, const Tensor& h0 = {},
                const Tensor& lengths = {}))

OP(gru_cell) = {
    .name = "gru_cell",
    .kind = OpKind::composite,
    .infer = [](Infer& in) { infer_cell(in, CellKind::gru); },
    .decompose = [](const void*, const Tensors& in) { return decompose_cell(CellKind::gru, in); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{gru_cell(x[0], x[1], x[2], x[3], x[4], x[5])};
          };
          s.add({s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({9, 4}), s.uniform({9, 3}),
                 s.uniform({9}), s.uniform({9})},
                call, "torch.gru_cell({0}, {1}, {2}, {3}, {4}, {5})");
          s.add(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({9, 4}), s.uniform({9, 3})},
              [](const Tensors& x) { return Tensors{gru_cell(x[0], x[1], x[2], x[3])}; },
              "torch.gru_cell({0}, {1}, {2}, {3})");
          s.add({s.uniform({0, 4}), s.uniform({0, 3}), s.uniform({9, 4}), s.uniform({9, 3}),
                 s.uniform({9}), s.uniform({9})},
                call, "torch.gru_cell({0}, {1}, {2}, {3}, {4}, {5})");
          s.bad({s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({9, 5}), s.uniform({9, 3}),
                 s.uniform({9}), s.uniform({9})},
                call, "w_ih has shape 9x5, 9x4 is needed");
          s.bad({s.uniform({2, 4}), s.uniform({1, 3}), s.uniform({9, 4}), s.uniform({9, 3}),
                 s.uniform({9}), s.uniform({9})},
                call, "a state has shape 1x3, 2x3 is needed");
          s.bad(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({9, 4}), s.uniform({9, 3}),
               s.uniform({9}), s.uniform({9})},
              [](const Tensors& x) { return Tensors{gru_cell(x[0], x[1], x[2], x[3], x[4])}; },
              "one of the two biases is missing");
        },
};

/// One layer of gru() in one direction.
/// Inputs x TxNxC, the states NxH, w_ih, w_hh, then both biases and lengths if there are any.
OP(gru_layer) = {
    .name = "gru_layer",
    .kind = OpKind::composite,
    .attrs = attr_type<RnnLayerAttrs>(),
    .infer = [](Infer& in) { infer_layer(in, CellKind::gru); },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          return decompose_layer(CellKind::gru, *static_cast<const RnnLayerAttrs*>(attrs), in);
        },
    .onnx = "GRU",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({6, 3}), s.uniform({6, 2}),
               s.uniform({6}), s.uniform({6})},
              [](const Tensors& x) { return gru(x[0], Tensors(x.begin() + 2, x.end()), {}, x[1]); },
              "torch.gru({0}, {1}, [{2}, {3}, {4}, {5}], True, 1, 0.0, False, False, False)");
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({6, 3}), s.uniform({6, 2}), s.uniform({6}),
               s.uniform({6}), s.uniform({6, 3}), s.uniform({6, 2}), s.uniform({6}), s.uniform({6}),
               s.uniform({6, 4}), s.uniform({6, 2}), s.uniform({6}), s.uniform({6}),
               s.uniform({6, 4}), s.uniform({6, 2}), s.uniform({6}), s.uniform({6})},
              [](const Tensors& x) {
                return gru(x[0], Tensors(x.begin() + 1, x.end()),
                           {.layers = 2, .bidirectional = true});
              },
              "torch.gru({0}, torch.zeros(4, 2, 2, dtype={0}.dtype), [{1}, {2}, {3}, {4}, {5}, "
              "{6}, {7}, {8}, {9}, {10}, {11}, {12}, {13}, {14}, {15}, {16}], True, 2, 0.0, False, "
              "True, False)");
          s.add(
              {s.uniform({1, 1, 3}), s.uniform({1, 1, 2}), s.uniform({6, 3}), s.uniform({6, 2})},
              [](const Tensors& x) {
                return gru(x[0], Tensors(x.begin() + 2, x.end()), {.bias = false}, x[1]);
              },
              "torch.gru({0}, {1}, [{2}, {3}], False, 1, 0.0, False, False, False)");
          const auto lengths = [](const Tensors& x) {
            return gru(x[0], Tensors(x.begin() + 2, x.end()), {.bidirectional = true}, {}, x[1]);
          };
          s.add({s.uniform({3, 2, 3}), s.ints_at({3, 2}, {2}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6}), s.uniform({6}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6}), s.uniform({6})},
                lengths,
                "(lambda P: (lambda o: "
                "(torch.nn.utils.rnn.pad_packed_sequence(torch.nn.utils.rnn.PackedSequence(o[0], "
                "P.batch_sizes), total_length=3)[0], *o[1:]))(torch.gru(P.data, P.batch_sizes, "
                "torch.zeros(2, 2, 2, dtype={0}.dtype), [{2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}], "
                "True, 1, 0.0, False, True)))(torch.nn.utils.rnn.pack_padded_sequence({0}, "
                "{1}.cpu()))");
          const auto call = [](const Tensors& x) {
            return gru(x[0], Tensors(x.begin() + 2, x.end()), {}, x[1]);
          };
          s.bad({s.uniform({3, 2, 4}), s.uniform({1, 2, 2}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6}), s.uniform({6})},
                call, "w_ih has shape 6x3, 6x4 is needed");
          s.bad({s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6})},
                call, "3 weights, 4 are needed");
          s.bad({s.uniform({3, 2, 3}), s.uniform({2, 2, 2}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6}), s.uniform({6})},
                call, "an initial state has shape 2x2x2, 1x2x2 is needed");
          s.bad({s.uniform({0, 2, 3}), s.uniform({1, 2, 2}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6}), s.uniform({6})},
                call, "the sequence is empty");
          s.bad({s.uniform({2, 3}), s.uniform({1, 2, 2}), s.uniform({6, 3}), s.uniform({6, 2}),
                 s.uniform({6}), s.uniform({6})},
                call, "input has shape 2x3, TxNxC is needed");
        },
};

Tensor gru_cell(In x, In h, In w_ih, In w_hh, const Tensor& b_ih, const Tensor& b_hh) {
  return make_cell(op_gru_cell, Attrs(), {x, h, w_ih, w_hh}, b_ih, b_hh)[0];
}

Tensors gru(In x, Ins weights, const RnnOptions& options, const Tensor& h0, const Tensor& lengths) {
  return run_layers("gru", op_gru_layer, CellKind::gru, x, weights, options, {h0}, lengths);
}

}  // namespace nacre
