// A runner with the kernels of one model, linked by the C++ compiler that built the whole one.
#pragma once

#include <string>
#include <vector>

namespace nacre::cli {

/// The bytes of an executable like the nacre_runner at this path, whose libraries
/// (libnacre_runner.a, libnacre_runtime.a, libnacre_runner.link) lie beside it or where they are
/// installed. Empty if there are none or they cannot be linked; then `why` is a sentence on it.
std::string link_runner(const std::string& runner, const std::vector<std::string>& kernels,
                        std::string& why);

}  // namespace nacre::cli
