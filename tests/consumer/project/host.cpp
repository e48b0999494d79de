// Loads a plug-in and runs a model of it.
#include <cstdio>

#include "nacre/ops.h"
#include "nacre/zoo.h"

int main(int, char** argv) {
  try {
    nacre::load_plugin(argv[1]);
    const auto net = nacre::make_model("bell_net", "in=4", nacre::Scope::init(nacre::Key(1)));
    nacre::Context ctx = nacre::Context::eval();
    std::printf("host: %s\n", (*net)(nacre::ones({2, 4}), ctx).shape().str().c_str());
    return 0;
  } catch (const nacre::Error& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
