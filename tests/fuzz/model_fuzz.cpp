// The metadata of a model file, a JSON object of texts; the parameters are those of a tiny model.
#include "fuzz.h"
#include "memory_file.h"
#include "nacre/zoo.h"
#include "safetensors_bytes.h"

FUZZ_TARGET(model) {
  static const nacre::Json tensors = nacre::parse_json(
      R"({"fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
          "fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})",
      "parameters");
  std::map<std::string, std::string> metadata;
  const nacre::Json given = nacre::parse_json(input, "input");
  for (const auto& [name, value] : given.fields()) metadata[name] = value.text();
  const MemoryFile file(safetensors_bytes(metadata, tensors, std::string(32, 1)));
  const nacre::Model model = nacre::load_model(file.path());
  for (const nacre::Variable& v : model.net->variables())
    touch(v.value().data(), static_cast<size_t>(v.value().numel()) * 4);
}
