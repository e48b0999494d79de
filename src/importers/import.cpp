// Which importer a file belongs to.
#include "nacre/import.h"

#include <filesystem>

#include "base/file.h"
#include "importers/kinds.h"
#include "nacre/error.h"

namespace nacre {
namespace {

/// The first whose ending fits is taken.
const NetworkKind* const kKinds[] = {&kCaffeFiles,  &kNcnnFiles,    &kTfliteFiles,
                                     &kMxnetFiles,  &kPaddleFiles,  &kPaddleFolders,
                                     &kCaffe2Files, &kGraphDefFiles};

const NetworkKind* kind_of(const std::string& path) {
  for (const NetworkKind* k : kKinds)
    if (path.ends_with(k->ending)) return k;
  return nullptr;
}

}  // namespace

std::string beside(const std::string& path, std::string_view ending, std::string_view other) {
  return path.substr(0, path.size() - ending.size()) + std::string(other);
}

std::string read_text_network(const std::string& path, const std::string& weights,
                              std::string (*import)(std::string_view, std::string_view,
                                                    std::string_view, std::string_view)) {
  const std::string text = read_file(path, 64 << 20);
  return import(text, MappedFile::open(weights)->bytes(), path, weights);
}

std::string read_whole_network(const std::string& path, const std::string& weights,
                               std::string (*import)(std::string_view, std::string_view)) {
  if (!weights.empty())
    fail(Error::Kind::usage, {path, " has its weights in it, ", weights, " is not needed"});
  return import(MappedFile::open(path)->bytes(), path);
}

bool is_network_file(const std::string& path) { return kind_of(path) != nullptr; }

std::string import_network(const std::string& path, const std::string& weights) {
  if (const NetworkKind* kind = kind_of(path))
    return kind->read(path, weights.empty() ? kind->weights(path) : weights);
  std::string list;
  for (const NetworkKind* k : kKinds)
    list += cat({list.empty() ? "" : ", ", k->ending, " (", k->framework, ")"});
  fail(Error::Kind::usage, {path, " is no network that nacre translates; those end in ", list});
}

std::vector<std::string> network_files(const std::string& path) {
  std::vector<std::string> files = {path};
  const NetworkKind* kind = kind_of(path);
  const std::string weights = kind ? kind->weights(path) : "";
  if (folder_exists(weights)) {
    for (const FolderEntry& entry : list_folder(weights))
      if (!entry.is_folder && entry.name != std::filesystem::path(path).filename())
        files.push_back(weights + "/" + entry.name);
  } else if (!weights.empty()) {
    files.push_back(weights);
  }
  return files;
}

}  // namespace nacre
