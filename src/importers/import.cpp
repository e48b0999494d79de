// Which importer a file belongs to, and where its weights are.
#include "nacre/import.h"

#include "base/file.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr uint64_t kTextCap = 64 << 20;

struct Kind {
  std::string_view ending, weights;
  std::string (*import)(std::string_view, std::string_view, std::string_view);
};
constexpr Kind kKinds[] = {{".prototxt", ".caffemodel", import_caffe},
                           {".param", ".bin", import_ncnn}};

const Kind* kind_of(const std::string& path) {
  for (const Kind& k : kKinds)
    if (path.ends_with(k.ending)) return &k;
  return nullptr;
}

}  // namespace

bool is_network_file(const std::string& path) { return kind_of(path) != nullptr; }

std::string import_network(const std::string& path, const std::string& weights) {
  const Kind* kind = kind_of(path);
  if (!kind)
    fail(Error::Kind::usage,
         {path, " is no network that nacre translates: .prototxt (Caffe) or .param (ncnn)"});
  const std::string beside =
      path.substr(0, path.size() - kind->ending.size()) + std::string(kind->weights);
  const std::string text = read_file(path, kTextCap);
  const auto map = MappedFile::open(weights.empty() ? beside : weights);
  return kind->import(text, map->bytes(), path);
}

}  // namespace nacre
