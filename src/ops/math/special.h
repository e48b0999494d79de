// Special functions that the C++ library lacks, in double precision.
#pragma once

#include <cstdint>

namespace nacre::special {

/// log |gamma(x)|, without the global sign variable that std::lgamma writes.
double lgamma(double x);
/// Derivative of lgamma. At 0: -inf; at negative integers: NaN.
double digamma(double x);
/// n-th derivative of digamma, n >= 0.
double polygamma(int64_t n, double x);
/// Inverse of erf.
double erfinv(double x);

}  // namespace nacre::special
