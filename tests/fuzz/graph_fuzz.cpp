// The structure of a graph file, which has three constants to use: c0 (f32 2x3), c1 (i64 2) and c2
// (a bool).
#include "fuzz.h"
#include "memory_file.h"
#include "nacre/graph.h"
#include "safetensors_bytes.h"

FUZZ_TARGET(graph) {
  static const nacre::Json tensors = nacre::parse_json(
      R"({"c0":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},
          "c1":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},
          "c2":{"dtype":"BOOL","shape":[],"data_offsets":[40,41]}})",
      "constants");
  const MemoryFile file(safetensors_bytes(
      {{"format", "nacre-graph-1"}, {"graph", std::string(input)}}, tensors, std::string(41, 1)));
  const nacre::Graph graph = nacre::Graph::load(file.path());
  graph.hash();
  const std::string text = graph.str();
  touch(text.data(), text.size());
}
