// What recurrent cells and layers share.
#pragma once

#include "ops/op.h"

namespace nacre {

enum class CellKind { tanh, relu, lstm, gru };
/// "tanh", "relu", "lstm" or "gru".
const char* name_of(CellKind k);

constexpr int64_t gates_of(CellKind k) {
  return k == CellKind::lstm ? 4 : k == CellKind::gru ? 3 : 1;
}
/// Number of state tensors: h, and for an LSTM c.
constexpr size_t states_of(CellKind k) { return k == CellKind::lstm ? 2 : 1; }

struct RnnCellAttrs {
  bool relu = false;  ///< of plain cells: relu instead of tanh
  void fields(FieldVisitor& v) { v("relu", relu); }
};
struct RnnLayerAttrs {
  bool reverse = false;  ///< from the last step to the first
  bool relu = false;
  bool keep = false;  ///< what the gradient needs is kept
  void fields(FieldVisitor& v) {
    v("reverse", reverse);
    v("relu", relu);
    v("keep", keep);
  }
};

/// One step. from_input: NxGH, the input's share of the gates. Returns the new states.
Tensors step(CellKind kind, const Tensor& from_input, const Tensors& state, const Tensor& w_hh,
             const Tensor& b_hh);

/// x w^T (+ b) over the last dimension.
Tensor project(const Tensor& x, const Tensor& w, const Tensor& b);

/// Shape rule of cells, inputs (x NxC, h NxH[, c NxH], w_ih GHxC, w_hh GHxH[, b_ih GH, b_hh GH]).
void infer_cell(Infer& in, CellKind kind);
Tensors decompose_cell(CellKind kind, const Tensors& in);
/// Makes a cell's node; errors begin with its name.
Tensors make_cell(const OpDef& op, Attrs attrs, Tensors in, const Tensor& b_ih, const Tensor& b_hh);

/// Shape rule of one layer in one direction, inputs as those of the cell with x TxNxC, then
/// lengths N (i64) if there are any; outputs y TxNxH and the last states NxH.
void infer_layer(Infer& in, CellKind kind);
Tensors decompose_layer(CellKind kind, const RnnLayerAttrs& attrs, const Tensors& in);

/// A layer after the product of its input with w_ih: gates TxNxGH (without biases), then the other
/// inputs of the layer without w_ih; outputs as those of the layer.
Tensors recurrence(CellKind kind, bool reverse, bool keep, const Tensors& in);

/// Stacked layers over a sequence: {y, states...}.
Tensors run_layers(const char* name, const OpDef& op, CellKind kind, const Tensor& x,
                   const Tensors& weights, const RnnOptions& options, const Tensors& initial,
                   const Tensor& lengths);

}  // namespace nacre
