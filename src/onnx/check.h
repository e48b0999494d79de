// What must hold of a model before it runs.
#pragma once

#include <set>

#include "onnx/proto.h"
#include "onnx/tensor_data.h"

namespace nacre::onnx {

/// Checks names, attributes and operators of all graphs and functions, and fills in what a node
/// needs to run. Throws Error(data) for the first contradiction; Error(unsupported) with all
/// operators that are not known.
void check_model(ModelProto& model, std::string_view what);

class Call;
/// Throws Error(data) if the standard does not let the inputs of an operator have the element types
/// that they have.
void check_types(const Call& call);

/// Names of values that are inputs of operators where no weights stand (Operator::fixed).
std::set<std::string, std::less<>> fixed_inputs(const ModelProto& model);

/// Decodes the tensors that are attributes and those that subgraphs hold.
void decode_constants(ModelProto& model, const DataSource& source);

/// Whether any node's attributes name values (Operator::reads_names).
bool reads_names(const ModelProto& model);

}  // namespace nacre::onnx
