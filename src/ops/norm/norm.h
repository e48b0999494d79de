// What the normalisations share.
#pragma once

#include "ops/op.h"

namespace nacre {

struct EpsAttrs {
  double eps = 1e-5;
  void fields(FieldVisitor& v) { v("eps", eps); }
};
struct RowNormAttrs {
  int64_t normalized_rank = 1;  ///< trailing dimensions that are normalised together
  double eps = 1e-5;
  void fields(FieldVisitor& v) {
    v("normalized_rank", normalized_rank);
    v("eps", eps);
  }
};
/// Channels are the last dimension, ...xC, or lie in blocks, NxGx...xB.
struct ChannelAttrs {
  bool blocks = false;
  void fields(FieldVisitor& v) { v("blocks", blocks); }
};

/// The type that statistics of an input have: f32 for 16-bit floats, else the type itself.
inline DType statistics_type(DType t) {
  return t == DType::bf16 || t == DType::f16 ? DType::f32 : t;
}
inline Tensor wide(const Tensor& t) { return cast(t, statistics_type(t.dtype())); }

/// Checks that input i may stand beside input 0: of its type or of its statistics' type.
void check_beside(const Infer& in, size_t i);

/// The dimensions from `from` to `to` - 1.
Ints dims_between(int64_t from, int64_t to);

/// A tensor of one value for each channel, as one that broadcasts over NxCx...
Tensor over_channels(const Tensor& t, int64_t rank);
/// All dimensions but the second.
Ints all_but_channels(int64_t rank);

/// Checks x against normalized_rank; returns the leading dimensions.
Shape check_rows(const Infer& in);
/// Checks that input i has the shape of the normalised dimensions, or of the leading ones.
void check_row_weight(const Infer& in, size_t i);
void check_row_statistic(const Infer& in, size_t i);

/// The rank of weight, else the one given, else 1; errors begin with [op].
int64_t resolve_rank(const char* op, const Tensor& x, const Tensor& weight,
                     int64_t normalized_rank);
/// Statistics of rows as something that broadcasts over x.
Tensor over_rows(const Tensor& t, const Tensor& x, int64_t normalized_rank);

}  // namespace nacre
