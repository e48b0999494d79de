// What a run of a model costs: time and memory traffic of each layer, memory, energy.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/json.h"
#include "nacre/tensor.h"

namespace nacre::cli {

struct Costs {
  struct Layer {
    double milliseconds = 0;
    double bytes = 0;  ///< that kernels read and wrote, caches included
  };
  std::map<std::string, Layer> layers;  ///< by path; what is fused counts for one of its layers
  Layer whole;                          ///< the median run, and the traffic of all kernels
  size_t peak_bytes = 0;                ///< beside the parameters
  double joules = 0;
  bool measured = false;  ///< by the processor's counter (RAPL), else kJoulesPerMac and ...Byte

  /// The fields of a layer, and of the whole.
  void add_layer(Json& to, const std::string& path) const;
  void add(Json& to) const;
  /// "0.12", or nothing.
  std::string milliseconds(const std::string& path) const;
  std::string traffic(const std::string& path) const;
  /// Lines "time ...", "memory ...", "energy ...".
  std::string text() const;
};

/// Energy of an operation in f32 and of a byte from memory, of a 45 nm process: M. Horowitz,
/// Computing's energy problem, ISSCC 2014. Bytes that lie in a cache take less.
inline constexpr double kJoulesPerMac = 4.6e-12, kJoulesPerByte = 160e-12;

/// Holds a model's numbers against a YAML file of names and most values ("macs: 1e9"). Throws
/// Error(data) with all that are above, Error(usage) for a name that `numbers` does not have.
void check_limits(const std::string& file, const std::string& model, const Json& numbers);

/// Runs for about half a second.
Costs measure_costs(const std::function<Tensors()>& run, int64_t macs);

}  // namespace nacre::cli
