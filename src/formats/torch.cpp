// PyTorch checkpoints: from the tree of values in the pickle to named arrays.
#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"
#include "formats/elements.h"
#include "formats/raw.h"
#include "formats/torch_file.h"
#include "nacre/error.h"
#include "nacre/weights.h"

namespace nacre {
namespace {

using Kind = Pickle::Kind;
constexpr int kDepth = 64;

/// A storage's type without "Storage", or a dtype.
std::optional<Element> element_named(std::string_view name) {
  constexpr std::pair<std::string_view, Element> names[] = {
      {"FloatStorage", Element::f32},
      {"DoubleStorage", Element::f64},
      {"HalfStorage", Element::f16},
      {"BFloat16Storage", Element::bf16},
      {"CharStorage", Element::i8},
      {"ByteStorage", Element::u8},
      {"ShortStorage", Element::i16},
      {"IntStorage", Element::i32},
      {"LongStorage", Element::i64},
      {"BoolStorage", Element::boolean},
      {"float32", Element::f32},
      {"float", Element::f32},
      {"float64", Element::f64},
      {"double", Element::f64},
      {"float16", Element::f16},
      {"half", Element::f16},
      {"bfloat16", Element::bf16},
      {"int8", Element::i8},
      {"uint8", Element::u8},
      {"int16", Element::i16},
      {"short", Element::i16},
      {"int32", Element::i32},
      {"int", Element::i32},
      {"int64", Element::i64},
      {"long", Element::i64},
      {"bool", Element::boolean},
      {"uint16", Element::u16},
      {"uint32", Element::u32},
      {"uint64", Element::u64},
      {"float8_e4m3fn", Element::f8_e4m3},
      {"float8_e5m2", Element::f8_e5m2},
  };
  for (const auto& [n, element] : names)
    if (n == name) return element;
  return std::nullopt;
}

class Builder {
 public:
  Builder(const TorchFile& file, std::shared_ptr<const void> owner, std::string_view what)
      : file_(file), pickle_(*file.pickle), what_(what), spare_(file.spare) {
    if (file.unpacked.empty()) {
      owner_ = std::move(owner);
    } else {
      auto all = file.unpacked;
      all.push_back(std::move(owner));
      owner_ = std::make_shared<decltype(all)>(std::move(all));
    }
  }

  /// The array, or nothing if its type is not supported, which is noted.
  std::optional<RawTensor> build(Pickle::Id id, const std::string& name) {
    const auto damaged = [&](std::initializer_list<Piece> why) {
      fail(Error::Kind::data,
           {what_, " is damaged: '", clip(printable(name), 100), "' ", cat(why)});
    };
    Pickle::Tensor t;
    std::string type;
    std::string_view bytes;
    std::optional<Element> element;
    if (pickle_.kind(id) == Kind::outside) {
      const auto at = file_.outside.find(pickle_.name(id));
      if (at == file_.outside.end()) damaged({"refers to a tensor that is not there"});
      t = at->second.tensor;
      const auto storage = file_.storages.find(at->second.storage);
      if (storage == file_.storages.end()) damaged({"has no storage"});
      type = storage->second.type;
      bytes = storage->second.bytes;
      element = element_named(type);
    } else {
      t = pickle_.tensor(id);
      const Pickle::Storage& s = pickle_.storages()[t.storage];
      type = t.dtype.empty() ? s.type : t.dtype;
      element = element_named(type);
      const auto storage = file_.storages.find(s.key);
      if (storage == file_.storages.end()) damaged({"has no storage"});
      bytes = storage->second.bytes;
      const bool untyped = s.type == "UntypedStorage" || s.type == "_UntypedStorage";
      const auto stored = untyped ? Element::u8 : element_named(s.type);
      if (!stored) element.reset();
      if (element) {
        const uint64_t width = element_type(*stored).size;
        if (s.count < 0 || static_cast<uint64_t>(s.count) > bytes.size() / width ||
            bytes.size() != static_cast<uint64_t>(s.count) * width)
          damaged({"lies in a storage of ", s.count, " elements of ", width,
                   " bytes, the file has ", bytes.size(), " bytes"});
        if (s.view >= 0) {
          if (s.from < 0 || s.from > s.count || s.view > s.count - s.from)
            damaged({"lies in a view that leads out of its storage"});
          bytes = bytes.substr(static_cast<uint64_t>(s.from) * width,
                               static_cast<uint64_t>(s.view) * width);
        }
      }
    }
    if (!element) {
      if (++unknown_count_ <= 10)
        unknown_ += (unknown_.empty() ? "" : ", ") + clip(printable(name), 80) + " (" +
                    clip(printable(type), 40) + ")";
      return std::nullopt;
    }
    return place(t, element_type(*element), bytes, damaged);
  }

  void finish() const {
    if (unknown_count_)
      fail(Error::Kind::unsupported, {what_, " holds ", unknown_count_,
                                      " tensors of types that are not supported: ", unknown_,
                                      unknown_count_ > 10 ? ", ..." : ""});
  }

 private:
  template <typename Damaged>
  RawTensor place(const Pickle::Tensor& t, const ElementType& type, std::string_view bytes,
                  const Damaged& damaged) {
    if (t.shape.size() != t.strides.size())
      damaged({"has ", t.shape.size(), " sizes and ", t.strides.size(), " strides"});
    RawTensor out{type.dtype, t.shape, nullptr, owner_};
    const uint64_t needed = checked_bytes(t.shape, type.dtype, what_);
    const auto there = static_cast<int64_t>(bytes.size() / type.size);
    if (t.offset < 0 || t.offset > there) damaged({"starts at element ", t.offset, " of ", there});
    if (needed == 0) return tensor_over({}, type.dtype, t.shape, owner_);
    // The last element has to be in the storage; so are then all others.
    int64_t last = t.offset, dense = 1;
    bool contiguous = true;
    for (int64_t d = t.shape.rank() - 1; d >= 0; --d) {
      int64_t step = 0;
      if (t.strides[d] < 0 || __builtin_mul_overflow(t.shape[d] - 1, t.strides[d], &step) ||
          __builtin_add_overflow(last, step, &last))
        damaged({"has impossible strides ", as_list(t.strides)});
      if (t.shape[d] > 1 && t.strides[d] != dense) contiguous = false;
      dense *= t.shape[d];
    }
    if (last >= there)
      damaged({"of shape ", t.shape, " and strides ", as_list(t.strides), " at ", t.offset,
               " reaches element ", last, " of a storage of ", there});
    const char* from = bytes.data() + static_cast<size_t>(t.offset) * type.size;
    const bool swapped = file_.big_endian && type.size > 1;
    if (contiguous && !swapped && !type.widen)
      return tensor_over({from, static_cast<size_t>(needed)}, type.dtype, t.shape, owner_);
    if (needed > spare_)
      damaged({"repeats its storage to ", needed, " bytes, beyond what a file of this size may"});
    spare_ -= needed;
    char* to = allocate_tensor(out);
    gather_elements(from, to, t.shape, t.strides, type, swapped);
    return tensor_over({to, out.bytes()}, type.dtype, t.shape, out.owner);
  }

  const TorchFile& file_;
  const Pickle& pickle_;
  std::string_view what_;
  std::shared_ptr<const void> owner_;
  uint64_t spare_;
  std::string unknown_;
  size_t unknown_count_ = 0;
};

/// Finds the dict of weights in the tree, and all tensors below it by their paths.
class Finder {
 public:
  Finder(const Pickle& pickle, std::string_view what, uint64_t bytes)
      : p_(pickle), what_(what), budget_(2 * bytes + (uint64_t{16} << 20)) {}

  /// The value at a dotted path; the names of dicts may hold dots themselves.
  std::optional<Pickle::Id> find(Pickle::Id v, std::string_view path, int depth = 0) const {
    if (path.empty()) return v;
    if (!is_dict(v) || depth > kDepth) return std::nullopt;
    const auto items = p_.items(v);
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const std::string key = key_of(items[i]);
      if (!path.starts_with(key) || (path.size() > key.size() && path[key.size()] != '.')) continue;
      const size_t skip = std::min(path.size(), key.size() + 1);
      if (const auto found = find(items[i + 1], path.substr(skip), depth + 1)) return found;
    }
    return std::nullopt;
  }

  /// The dict to take where no path is given.
  Pickle::Id choose(Pickle::Id root, std::string& chosen) const {
    if (p_.kind(root) != Kind::dict || holds_tensors(root)) return root;
    constexpr std::string_view usual[] = {"state_dict", "model_state_dict", "model",  "net",
                                          "network",    "params",           "weights"};
    std::optional<Pickle::Id> best;
    std::set<Pickle::Id> looked_at;
    size_t rank = std::size(usual), count = 0;
    const auto items = p_.items(root);
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (p_.kind(items[i + 1]) != Kind::dict || !looked_at.insert(items[i + 1]).second ||
          !holds_tensors(items[i + 1]))
        continue;
      const std::string key = key_of(items[i]);
      const auto at = static_cast<size_t>(std::find(std::begin(usual), std::end(usual), key) -
                                          std::begin(usual));
      ++count;
      if (count == 1 || at < rank) {
        best = items[i + 1];
        rank = at;
        chosen = key;
      }
    }
    if (best && (count == 1 || rank < std::size(usual))) return *best;
    chosen.clear();
    return root;
  }

  /// Calls seen(name, value) for each tensor below.
  template <typename Seen>
  void walk(Pickle::Id v, const std::string& path, int depth, const Seen& seen) {
    spend(path.size() + 1);
    if (is_tensor(v)) return seen(path.empty() ? std::string("tensor") : path, v);
    if (!is_dict(v) && p_.kind(v) != Kind::list) return;
    if (depth > kDepth)
      fail(Error::Kind::data, {what_, " nests values deeper than ", kDepth, " levels"});
    const auto items = p_.items(v);
    const size_t step = is_dict(v) ? 2 : 1;
    for (size_t i = 0; i + step <= items.size(); i += step)
      walk(items[i + step - 1],
           (path.empty() ? "" : path + ".") + (step == 2 ? key_of(items[i]) : std::to_string(i)),
           depth + 1, seen);
  }

  bool is_tensor(Pickle::Id v) const {
    return p_.kind(v) == Kind::tensor || p_.kind(v) == Kind::outside;
  }

 private:
  bool is_dict(Pickle::Id v) const {
    return p_.kind(v) == Kind::dict || p_.kind(v) == Kind::object;
  }
  bool holds_tensors(Pickle::Id v) const {
    const auto items = p_.items(v);
    for (size_t i = 1; i < items.size(); i += 2)
      if (is_tensor(items[i])) return true;
    return false;
  }
  std::string key_of(Pickle::Id v) const {
    return p_.kind(v) == Kind::text || p_.kind(v) == Kind::integer ? p_.name(v) : "?";
  }
  /// Values may refer to each other in circles; names and visits stay in proportion to the file.
  void spend(uint64_t n) {
    if (n > 4096) fail(Error::Kind::data, {what_, " holds a name of ", n, " bytes"});
    if (n > budget_) fail(Error::Kind::data, {what_, " holds values that repeat each other"});
    budget_ -= n;
  }

  const Pickle& p_;
  std::string_view what_;
  uint64_t budget_;
};

void refuse_unknown(const Pickle& pickle, std::string_view what) {
  const auto& names = pickle.unknown();
  if (names.empty()) return;
  std::string list;
  bool module = false;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i < 10) list += (i ? ", " : "") + clip(printable(names[i]), 100);
    module = module || names[i].starts_with("torch.nn.modules.");
  }
  fail(Error::Kind::unsupported,
       {what, " asks to run ", list, names.size() > 10 ? ", ..." : "",
        module ? ", because it holds a whole Python module: save its state_dict() instead"
               : ", which a file of weights has no reason to do; nothing was run"});
}

}  // namespace

Weights parse_torch(std::string_view bytes, std::shared_ptr<const void> owner,
                    std::string_view what, const WeightsOptions& options) {
  const TorchFile file = read_torch_file(bytes, what);
  const Pickle& pickle = *file.pickle;
  refuse_unknown(pickle, what);
  Weights out{"pytorch", {}, {}};
  Finder finder(pickle, what, bytes.size());
  Pickle::Id root = pickle.root();
  if (!options.prefix.empty()) {
    const auto found = finder.find(root, options.prefix);
    if (!found) fail(Error::Kind::usage, {what, " holds nothing called '", options.prefix, "'"});
    root = *found;
  } else {
    std::string chosen;
    root = finder.choose(root, chosen);
    if (!chosen.empty()) out.metadata["prefix"] = printable(chosen);
  }
  Builder builder(file, std::move(owner), what);
  std::set<std::string> names;
  finder.walk(root, "", 0, [&](const std::string& name, Pickle::Id v) {
    if (!names.insert(name).second)
      fail(Error::Kind::data,
           {what, " holds two tensors named '", clip(printable(name), 100), "'"});
    if (auto tensor = builder.build(v, name)) out.tensors.emplace_back(name, std::move(*tensor));
  });
  builder.finish();
  return out;
}

}  // namespace nacre
