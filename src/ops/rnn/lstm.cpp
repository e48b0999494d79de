#include "ops/rnn/rnn.h"

namespace nacre {

/// One step of a long short-term memory (Hochreiter and Schmidhuber 1997), gates in the order i, f,
/// g, o: c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').
/// x: NxC, h, c: NxH, w_ih: 4HxC, w_hh: 4HxH, biases: 4H, both or none. Returns {h', c'}.
API(Tensors lstm_cell(In x, In h, In c, In w_ih, In w_hh, const Tensor& b_ih = {},
                      const Tensor& b_hh = {}))
/// A long short-term memory over sequences. x: TxNxC; weights: w_ih, w_hh, b_ih, b_hh of each layer
/// and direction, layers outermost; h0, c0: (layers * directions)xNxH, zeros if undefined; lengths:
/// i64 N, steps of each sequence (beyond them outputs are zero and states stay), all if undefined.
/// Returns {y TxNx(directions * H), h, c}, the states after the last step.
API(Tensors lstm(In x, Ins weights, const RnnOptions& options = {}, const Tensor& h0 = {},
                 const Tensor& c0 = {}, const Tensor& lengths = {}))

OP(lstm_cell) = {
    .name = "lstm_cell",
    .kind = OpKind::composite,
    .infer = [](Infer& in) { infer_cell(in, CellKind::lstm); },
    .decompose = [](const void*, const Tensors& in) { return decompose_cell(CellKind::lstm, in); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return lstm_cell(x[0], x[1], x[2], x[3], x[4], x[5], x[6]);
          };
          s.add({s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({2, 3}), s.uniform({12, 4}),
                 s.uniform({12, 3}), s.uniform({12}), s.uniform({12})},
                call, "torch.lstm_cell({0}, ({1}, {2}), {3}, {4}, {5}, {6})");
          s.add(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({2, 3}), s.uniform({12, 4}),
               s.uniform({12, 3})},
              [](const Tensors& x) { return lstm_cell(x[0], x[1], x[2], x[3], x[4]); },
              "torch.lstm_cell({0}, ({1}, {2}), {3}, {4})");
          s.add({s.uniform({0, 4}), s.uniform({0, 3}), s.uniform({0, 3}), s.uniform({12, 4}),
                 s.uniform({12, 3}), s.uniform({12}), s.uniform({12})},
                call, "torch.lstm_cell({0}, ({1}, {2}), {3}, {4}, {5}, {6})");
          s.bad({s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({2, 3}), s.uniform({12, 5}),
                 s.uniform({12, 3}), s.uniform({12}), s.uniform({12})},
                call, "w_ih has shape 12x5, 12x4 is needed");
          s.bad({s.uniform({2, 4}), s.uniform({1, 3}), s.uniform({1, 3}), s.uniform({12, 4}),
                 s.uniform({12, 3}), s.uniform({12}), s.uniform({12})},
                call, "a state has shape 1x3, 2x3 is needed");
          s.bad(
              {s.uniform({2, 4}), s.uniform({2, 3}), s.uniform({2, 3}), s.uniform({12, 4}),
               s.uniform({12, 3}), s.uniform({12}), s.uniform({12})},
              [](const Tensors& x) { return lstm_cell(x[0], x[1], x[2], x[3], x[4], x[5]); },
              "one of the two biases is missing");
        },
};

/// One layer of lstm() in one direction.
/// Inputs x TxNxC, the states NxH, w_ih, w_hh, then both biases and lengths if there are any.
OP(lstm_layer) = {
    .name = "lstm_layer",
    .kind = OpKind::composite,
    .attrs = attr_type<RnnLayerAttrs>(),
    .infer = [](Infer& in) { infer_layer(in, CellKind::lstm); },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          return decompose_layer(CellKind::lstm, *static_cast<const RnnLayerAttrs*>(attrs), in);
        },
    .onnx = "LSTM",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({1, 2, 2}), s.uniform({8, 3}),
               s.uniform({8, 2}), s.uniform({8}), s.uniform({8})},
              [](const Tensors& x) {
                return lstm(x[0], Tensors(x.begin() + 3, x.end()), {}, x[1], x[2]);
              },
              "torch.lstm({0}, ({1}, {2}), [{3}, {4}, {5}, {6}], True, 1, 0.0, False, False, "
              "False)");
          s.add(
              {s.uniform({3, 2, 3}), s.uniform({8, 3}), s.uniform({8, 2}), s.uniform({8}),
               s.uniform({8}), s.uniform({8, 3}), s.uniform({8, 2}), s.uniform({8}), s.uniform({8}),
               s.uniform({8, 4}), s.uniform({8, 2}), s.uniform({8}), s.uniform({8}),
               s.uniform({8, 4}), s.uniform({8, 2}), s.uniform({8}), s.uniform({8})},
              [](const Tensors& x) {
                return lstm(x[0], Tensors(x.begin() + 1, x.end()),
                            {.layers = 2, .bidirectional = true});
              },
              "torch.lstm({0}, (torch.zeros(4, 2, 2, dtype={0}.dtype), torch.zeros(4, 2, 2, "
              "dtype={0}.dtype)), [{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, "
              "{13}, {14}, {15}, {16}], True, 2, 0.0, False, True, False)");
          s.add(
              {s.uniform({1, 1, 3}), s.uniform({1, 1, 2}), s.uniform({1, 1, 2}), s.uniform({8, 3}),
               s.uniform({8, 2})},
              [](const Tensors& x) {
                return lstm(x[0], Tensors(x.begin() + 3, x.end()), {.bias = false}, x[1], x[2]);
              },
              "torch.lstm({0}, ({1}, {2}), [{3}, {4}], False, 1, 0.0, False, False, False)");
          const auto lengths = [](const Tensors& x) {
            return lstm(x[0], Tensors(x.begin() + 2, x.end()), {.bidirectional = true}, {}, {},
                        x[1]);
          };
          s.add({s.uniform({3, 2, 3}), s.ints_at({3, 2}, {2}), s.uniform({8, 3}), s.uniform({8, 2}),
                 s.uniform({8}), s.uniform({8}), s.uniform({8, 3}), s.uniform({8, 2}),
                 s.uniform({8}), s.uniform({8})},
                lengths,
                "(lambda P: (lambda o: "
                "(torch.nn.utils.rnn.pad_packed_sequence(torch.nn.utils.rnn.PackedSequence(o[0], "
                "P.batch_sizes), total_length=3)[0], *o[1:]))(torch.lstm(P.data, P.batch_sizes, "
                "(torch.zeros(2, 2, 2, dtype={0}.dtype), torch.zeros(2, 2, 2, dtype={0}.dtype)), "
                "[{2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}], True, 1, 0.0, False, "
                "True)))(torch.nn.utils.rnn.pack_padded_sequence({0}, {1}.cpu()))");
          const auto call = [](const Tensors& x) {
            return lstm(x[0], Tensors(x.begin() + 3, x.end()), {}, x[1], x[2]);
          };
          s.bad({s.uniform({3, 2, 4}), s.uniform({1, 2, 2}), s.uniform({1, 2, 2}),
                 s.uniform({8, 3}), s.uniform({8, 2}), s.uniform({8}), s.uniform({8})},
                call, "w_ih has shape 8x3, 8x4 is needed");
          s.bad({s.uniform({3, 2, 3}), s.uniform({1, 2, 2}), s.uniform({1, 2, 2}),
                 s.uniform({8, 3}), s.uniform({8, 2}), s.uniform({8})},
                call, "3 weights, 4 are needed");
          s.bad({s.uniform({3, 2, 3}), s.uniform({2, 2, 2}), s.uniform({1, 2, 2}),
                 s.uniform({8, 3}), s.uniform({8, 2}), s.uniform({8}), s.uniform({8})},
                call, "an initial state has shape 2x2x2, 1x2x2 is needed");
          s.bad({s.uniform({0, 2, 3}), s.uniform({1, 2, 2}), s.uniform({1, 2, 2}),
                 s.uniform({8, 3}), s.uniform({8, 2}), s.uniform({8}), s.uniform({8})},
                call, "the sequence is empty");
          s.bad({s.uniform({2, 3}), s.uniform({1, 2, 2}), s.uniform({1, 2, 2}), s.uniform({8, 3}),
                 s.uniform({8, 2}), s.uniform({8}), s.uniform({8})},
                call, "input has shape 2x3, TxNxC is needed");
        },
};

Tensors lstm_cell(In x, In h, In c, In w_ih, In w_hh, const Tensor& b_ih, const Tensor& b_hh) {
  return make_cell(op_lstm_cell, Attrs(), {x, h, c, w_ih, w_hh}, b_ih, b_hh);
}

Tensors lstm(In x, Ins weights, const RnnOptions& options, const Tensor& h0, const Tensor& c0,
             const Tensor& lengths) {
  return run_layers("lstm", op_lstm_layer, CellKind::lstm, x, weights, options, {h0, c0}, lengths);
}

}  // namespace nacre
