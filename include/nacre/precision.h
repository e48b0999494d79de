// The type that heavy work is done in: convolutions and matrix products.
//
//   Precision bf16(DType::bf16);      // for this thread, as long as it lives
//   Program p = Program::of(*net, {16, 3, 224, 224});
//   Tensor loss = train_step();       // parameters and what is read of the graph stay f32
//
// With bf16 the compiler rounds the operands of convolutions and products of f32 to bf16, sums in
// f32, and keeps what lies between convolutions as bf16 in memory. Parameters, statistics of
// normalisations, softmax, losses and optimisers stay f32 (mixed precision; Micikevicius et al.
// 2018, Kalamkar et al. 2019). Graphs and user code are those of f32.
#pragma once

#include <string>

#include "nacre/dtype.h"

namespace nacre {

class Precision {
 public:
  /// f32 (which changes nothing) or bf16. Throws Error(usage) for another type. On a processor
  /// without instructions for bf16, the plans made are those of f32.
  explicit Precision(DType type);
  /// By the name of the type.
  explicit Precision(const std::string& type);
  ~Precision();
  Precision(const Precision&) = delete;
  Precision& operator=(const Precision&) = delete;

  /// What holds on this thread; f32 if nothing was set.
  static DType now();

 private:
  DType before_;
};

}  // namespace nacre
