#include "fuzz.h"
#include "nacre/import.h"

/// A solver file of Caffe's.
FUZZ_TARGET(solver) {
  const nacre::CaffeSolver s = nacre::read_caffe_solver(input, "input");
  touch(s.network.data(), s.network.size());
}
