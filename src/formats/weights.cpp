// Files of weights of every kind, told apart by their content.
#include "nacre/weights.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "base/zip.h"
#include "formats/raw.h"
#include "formats/torch_file.h"
#include "nacre/error.h"

namespace nacre {
namespace {

/// A zip archive is a PyTorch checkpoint if it has a pickle, else a .npz file.
bool holds_pickle(std::string_view bytes, std::string_view what) {
  const auto entries = read_zip(bytes, what);
  return std::any_of(entries.begin(), entries.end(), [](const ZipEntry& e) {
    return e.name == "data.pkl" || e.name.ends_with("/data.pkl");
  });
}

bool is_safetensors(std::string_view bytes) {
  return bytes.size() > 8 && bytes[8] == '{' && bytes[6] == 0 && bytes[7] == 0;
}

Weights parse(std::string_view bytes, std::shared_ptr<const void> owner, std::string_view what,
              const WeightsOptions& options) {
  if (bytes.starts_with("\x93NUMPY")) {
    Weights w{"npy", {}, {}};
    w.tensors.emplace_back("array", parse_npy(bytes, std::move(owner), what));
    return w;
  }
  if (bytes.starts_with("PK")) {
    if (holds_pickle(bytes, what)) return parse_torch(bytes, std::move(owner), what, options);
    return {"npz", parse_npz(bytes, std::move(owner), what), {}};
  }
  if (is_safetensors(bytes)) {
    const SafeTensors file = SafeTensors::parse(bytes, std::move(owner), what);
    return {"safetensors", file.tensors(), file.metadata()};
  }
  if (bytes.starts_with(std::string_view("\x12\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16)))
    return parse_mxnet(bytes, std::move(owner), what);
  if (bytes.starts_with("GGUF")) return parse_gguf(bytes, std::move(owner), what);
  if (is_old_torch_file(bytes)) return parse_torch(bytes, std::move(owner), what, options);
  fail(Error::Kind::data,
       {what,
        " is no file of weights that nacre knows: safetensors, npy, npz, PyTorch, GGUF or MXNet"});
}

/// Takes "module." away if it stands before all names.
void drop_module(std::vector<NamedTensor>& tensors) {
  constexpr std::string_view prefix = "module.";
  for (const auto& [name, array] : tensors)
    if (!name.starts_with(prefix) || name.size() == prefix.size()) return;
  for (auto& [name, array] : tensors) name.erase(0, prefix.size());
}

/// bf16 as f32, which holds all its values.
RawTensor widened(const RawTensor& array) {
  RawTensor out{DType::f32, array.shape, nullptr, nullptr};
  auto* to = reinterpret_cast<float*>(allocate_tensor(out));
  const auto* from = static_cast<const uint16_t*>(array.data);
  std::transform(from, from + array.shape.numel(), to, bf16_to_f32);
  return out;
}

}  // namespace

Weights parse_weights(std::string_view bytes, std::shared_ptr<const void> owner,
                      std::string_view what, const WeightsOptions& options) {
  Weights w;
  try {
    w = parse(bytes, std::move(owner), what, options);
  } catch (const Error& e) {
    // Some errors of single values do not know the file.
    if (std::string_view(e.what()).find(what) != std::string_view::npos) throw;
    fail(e.kind(), {what, ": ", e.what()});
  }
  if (options.drop_module) drop_module(w.tensors);
  return w;
}

Weights read_weights(const std::string& path, const WeightsOptions& options) {
  const auto map = MappedFile::open(path);
  return parse_weights(map->bytes(), map, path, options);
}

void write_weights(const std::string& path, std::span<const NamedTensor> tensors,
                   const std::map<std::string, std::string>& metadata, std::string_view format) {
  if (format.empty())
    for (const std::string_view f : {"safetensors", "npz", "npy"})
      if (path.ends_with("." + std::string(f))) format = f;
  if (format == "safetensors") {
    // Readers of other frameworks look for this entry.
    auto texts = metadata;
    texts.emplace("format", "pt");
    return save_safetensors(path, tensors, texts);
  }
  if (format != "npz" && format != "npy")
    fail(Error::Kind::usage, {"cannot write ", path,
                              ": weights are written as .safetensors, .npz or .npy, networks as ",
                              ".onnx, .param (ncnn) or .program, executables with --to exe"});
  std::vector<NamedTensor> arrays;
  for (const auto& [name, array] : tensors)
    arrays.emplace_back(name, array.dtype == DType::bf16 ? widened(array) : array);
  if (format == "npz") return save_npz(path, arrays);
  for (const auto& [name, array] : arrays)
    if (name.empty() || name.size() > 200 || name.starts_with('.') ||
        name.find_first_of(std::string_view("/\0", 2)) != name.npos)
      fail(Error::Kind::usage, {"cannot write ", path, ": '", clip(printable(name), 100),
                                "' is no name of a file; write .npz or .safetensors"});
  make_folders(path);
  for (const auto& [name, array] : arrays) save_npy(path + "/" + name + ".npy", array);
}

bool is_idle_array(std::string_view name) {
  return name.ends_with("num_batches_tracked") || name.ends_with("relative_position_index");
}

}  // namespace nacre
