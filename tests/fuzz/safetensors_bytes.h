// A safetensors file around metadata that are given, for readers of what stands in there.
#pragma once

#include <cstring>
#include <map>
#include <string>

#include "base/json.h"

/// `tensors` is the JSON of their entries, `data` their bytes.
inline std::string safetensors_bytes(const std::map<std::string, std::string>& metadata,
                                     nacre::Json tensors, const std::string& data) {
  nacre::Json meta = nacre::Json::object();
  for (const auto& [name, text] : metadata) meta[name] = text;
  tensors["__metadata__"] = meta;
  const std::string header = nacre::print_json(tensors);
  const uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return file + header + data;
}
