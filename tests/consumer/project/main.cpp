// A program outside of the tree that uses an installed nacre.
#include <cstdio>

#include "nacre/error.h"
#include "nacre/random.h"

int main() {
  try {
    nacre::broadcast_shapes({2, 3}, {4, 3});
  } catch (const nacre::Error& e) {
    const double u = nacre::Rng(nacre::Key(42)).uniform();
    std::printf("consumer: %s; %d\n", e.what(), u >= 0 && u < 1);
    return 0;
  }
  return 1;
}
