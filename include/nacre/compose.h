// Networks from text: layers in the order in which they are run, their sizes inferred.
//
//   // A tagger of words: classes for each of the 12 places of a sentence.
//   auto net = compose("embedding(5000, 64) | lstm(128, bidirectional=1) | dropout(0.3) |
//   linear(9)",
//                      Scope::init(Key(1)), {12}, DType::i64);
//   Tensor scores = (*net)(words, ctx);            // i64 [n, 12] -> [n, 12, 9]
//
//   compose("3 * (conv(32) | batch_norm | relu | residual(conv(32) | relu)) | mean | linear(10)",
//           Scope::init(Key(1)), {3, 32, 32});
//
// A layer is a name and, in brackets, numbers in their order or as name=number. Brackets around
// layers make one of them: N * (...) is N such layers, each with parameters of its own, and
// residual(...) adds what comes in to what comes out. Parameters are named by the places of their
// layers, from 0: "1.weight_ih_l0", "0.2.weight".
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/nn.h"

namespace nacre {

/// The network of a text for samples of this shape (without the batch) and type. Throws
/// Error(usage) that names the place in the text and what would be right, and Error(shape) where a
/// layer does not fit what comes before.
std::unique_ptr<Module> compose(std::string_view text, const Scope& scope, const Shape& input,
                                DType dtype = DType::f32);

/// A layer for help texts: how it is written, and what it does.
struct LayerHelp {
  std::string usage, text;
};
std::vector<LayerHelp> compose_layers();

/// A recurrent network over sequences with the batch first, x: NxTxC -> NxTx(directions * size);
/// see lstm, gru and rnn in nacre/ops.h. Parameters as those of the public reference:
/// weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, of the way back with "_reverse" behind.
class Recurrent : public Module {
 public:
  enum class Cell { lstm, gru, rnn };
  struct Config {
    Cell cell = Cell::lstm;
    int64_t in = 0, size = 0, layers = 1;
    bool bidirectional = false;
  };
  Recurrent(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;

 private:
  Config config_;
  std::vector<Variable> weights_;
};

}  // namespace nacre
