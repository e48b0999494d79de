// Python's pickles, as PyTorch writes them around tensors: numbers, text, lists, dicts, and places
// in storages. Nothing is run: a function or class that does not make such values is only named.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/shape.h"

namespace nacre {

class Pickle {
 public:
  using Id = uint32_t;
  /// Tuples and sets are lists. `global` is a function or class; `outside` is an object that the
  /// pickle refers to by a number or text; `other` stands for what an unknown function would make.
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    real,
    text,
    list,
    dict,
    object,  ///< a dict of the attributes of a TorchScript module
    global,
    storage,
    tensor,
    outside,
    other
  };
  struct Storage {
    std::string type;  ///< "FloatStorage"
    std::string key;
    int64_t count = 0;  ///< elements; of an UntypedStorage bytes
    int64_t from = 0;   ///< of a view: its first element in the storage
    int64_t view = -1;  ///< of a view: its elements
  };
  struct Tensor {
    uint32_t storage = 0;  ///< place in storages()
    int64_t offset = 0;    ///< in elements, as are the strides
    Shape shape, strides;
    std::string dtype;  ///< "float8_e4m3fn"; empty: that of the storage
  };

  /// Reads the pickle at the start of `bytes` and takes it away. `values` bounds what it may make.
  /// Throws Error(data) if it is damaged. The bytes have to outlive the result.
  Pickle(std::string_view& bytes, std::string_view what, uint64_t values);

  Id root() const { return root_; }
  Kind kind(Id v) const { return values_[v].kind; }
  int64_t integer(Id v) const;  ///< Throws Error(data) for other kinds, as do the next three.
  std::string_view text(Id v) const;
  /// Items of a list; keys and values of a dict, in turn.
  std::span<const Id> items(Id v) const;
  const Tensor& tensor(Id v) const;
  const std::vector<Storage>& storages() const { return storages_; }
  /// The name or number of an object outside, and the name of a global, as text.
  std::string name(Id v) const;
  /// Functions and classes that are not known, "os.system", each once.
  const std::vector<std::string>& unknown() const { return unknown_; }

 private:
  struct Value {
    Kind kind = Kind::none;
    uint32_t length = 0;
    union {
      int64_t integer = 0;
      double real;
      const char* text;
      uint32_t index;
    };
  };
  class Reader;
  [[noreturn]] void damaged(std::string_view why) const;

  std::string what_;
  std::vector<Value> values_;
  std::vector<std::vector<Id>> lists_;
  std::vector<Storage> storages_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> globals_, unknown_;
  Id root_ = 0;
};

}  // namespace nacre
