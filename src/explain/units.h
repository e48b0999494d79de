// Passes of a data set through a layer.
#pragma once

#include <functional>

#include "nacre/explain.h"

namespace nacre::explain {

/// Calls `see` for each batch: the layer's maps [n, channels, h, w] and the samples, transformed.
void for_maps(Module& net, const DatasetPtr& data, const Transform& transform,
              const std::string& layer,
              const std::function<void(const Tensor& maps, const Batch& batch)>& see);

}  // namespace nacre::explain
