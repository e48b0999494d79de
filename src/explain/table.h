// What the methods for tables share.
#pragma once

#include "nacre/explain.h"

namespace nacre::explain {

/// Throws Error(shape) unless x is [rows, features] with at least one row, and Error(usage) if a
/// column lies outside.
void check_table(const char* method, const Tensor& x, const std::vector<Column>& columns);

}  // namespace nacre::explain
