// Reading attribute structs by name.
#pragma once

#include <functional>
#include <variant>

#include "nacre/op.h"

namespace nacre {

using AttrValue =
    std::variant<bool, int64_t, double, std::string, Ints, DType, std::shared_ptr<const Graph>>;

/// All fields in order.
std::vector<std::pair<std::string, AttrValue>> attr_fields(const OpDef& op, const void* attrs);
/// The field of that name; Error(internal) if the op has none.
AttrValue attr_field(const OpDef& op, const void* attrs, std::string_view name);
/// Attributes with fields set by name; unknown names and wrong types throw Error(data).
Attrs attrs_from_fields(const OpDef& op,
                        const std::vector<std::pair<std::string, AttrValue>>& fields);
/// "stride=[1, 1] groups=1"; subgraphs as "<graph>".
std::string attrs_text(const OpDef& op, const void* attrs);

}  // namespace nacre
