// The three containers of PyTorch checkpoints: where the pickle and the storages are.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "formats/pickle.h"

namespace nacre {

/// A storage of the tar form or the plain form has its own type and place.
struct TorchStorage {
  std::string_view bytes;
  std::string type;  ///< "FloatStorage"; empty: as the pickle says
};

struct TorchFile {
  std::unique_ptr<Pickle> pickle;
  std::map<std::string, TorchStorage, std::less<>> storages;
  /// Tensors of the tar form, which the pickle refers to by name; the storage is a name too.
  struct Outside {
    std::string storage;
    Pickle::Tensor tensor;
  };
  std::map<std::string, Outside, std::less<>> outside;
  bool big_endian = false;
  /// Memory that tensors and unpacked entries may take beyond the file itself.
  uint64_t spare = 0;
  std::vector<std::shared_ptr<const void>> unpacked;  ///< what storages that were deflated lie in
};

/// Throws Error(data) if the file is none of them or damaged.
TorchFile read_torch_file(std::string_view bytes, std::string_view what);

/// True if the plain or the tar form may start like this.
bool is_old_torch_file(std::string_view bytes);

}  // namespace nacre
