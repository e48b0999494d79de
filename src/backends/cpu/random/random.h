// Random tensors and dropout from a key: element i is a pure function of (key, i), by Philox
// (nacre/random.h), on any number of threads and any instruction set up to the rounding of
// logarithm, sine and cosine.
//
//   words    element i is random_word(key, i)
//   uniform  f32: the top 24 bits of word i, / 2^24. f64: ((word 2i >> 5) 2^26 + (word 2i+1 >> 6))
//   / 2^53 normal   Box and Muller (1958): r = sqrt(-2 log u), z = r cos(2 pi v) and r sin(2 pi v).
//            f32: elements 2j and 2j+1 from u = (word 2j + 1) / 2^32 and v = (word 2j+1) / 2^32.
//            f64: from u = 1 - uniform 2j and v = uniform 2j+1 of f64.
//   bf16, f16: the f32 numbers, rounded; uniform rounds down, so that 1 does not occur.
#pragma once

#include "backends/cpu/make.h"

namespace nacre::cpu {

/// (key i64 0-d) -> i64, each a 32-bit word.
std::unique_ptr<Kernel> make_random_bits(Operands in, Operands out);
/// (key) -> uniform in [0, 1).
std::unique_ptr<Kernel> make_random_uniform(Operands in, Operands out);
/// (key) -> standard normal.
std::unique_ptr<Kernel> make_random_normal(Operands in, Operands out);
/// (x, key) -> x / (1 - p) where word i of the key is at least p 2^32, else 0. 0 <= p <= 1.
std::unique_ptr<Kernel> make_dropout(Operands in, Operands out, double p);

/// Words 4 * block .. 4 * (block + blocks) - 1 of the key.
void random_words(uint64_t key, uint64_t block, int64_t blocks, uint32_t* out);

}  // namespace nacre::cpu
