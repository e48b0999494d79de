// The samples of ops: what their definitions say of inputs and calls, kept for the tests.
#include "nacre/op.h"

namespace nacre {

SampleInput::SampleInput() = default;
SampleInput::SampleInput(const SampleInput&) = default;
SampleInput::SampleInput(SampleInput&&) noexcept = default;
SampleInput& SampleInput::operator=(const SampleInput&) = default;
SampleInput& SampleInput::operator=(SampleInput&&) noexcept = default;
SampleInput::~SampleInput() = default;

SampleInput Samples::uniform(Shape shape, double low, double high) const {
  SampleInput in;
  in.shape = std::move(shape);
  in.low = low;
  in.high = high;
  return in;
}

SampleInput Samples::at(std::vector<double> values, Shape shape) const {
  SampleInput in;
  in.kind = SampleInput::Kind::values;
  in.shape = std::move(shape);
  in.values = std::move(values);
  return in;
}

SampleInput Samples::at(std::vector<double> values) const {
  const auto n = static_cast<int64_t>(values.size());
  return at(std::move(values), {n});
}

SampleInput Samples::integers(Shape shape, int64_t low, int64_t high, DType dtype) const {
  SampleInput in = uniform(std::move(shape), static_cast<double>(low), static_cast<double>(high));
  in.kind = SampleInput::Kind::integers;
  in.dtype = dtype;
  in.differentiable = false;
  return in;
}

SampleInput Samples::ints_at(std::vector<double> values, Shape shape, DType dtype) const {
  SampleInput in = at(std::move(values), std::move(shape));
  in.dtype = dtype;
  in.differentiable = false;
  return in;
}

SampleInput Samples::boolean(Shape shape) const {
  SampleInput in = integers(std::move(shape), 0, 1, DType::boolean);
  in.kind = SampleInput::Kind::boolean;
  return in;
}

SampleInput Samples::key(uint64_t seed) const {
  SampleInput in = integers({}, 0, 0);
  in.kind = SampleInput::Kind::key;
  in.low = static_cast<double>(seed);
  return in;
}

OpSample& Samples::add(std::initializer_list<SampleInput> inputs, Call call,
                       std::string_view torch) {
  return add(std::vector<SampleInput>(inputs), std::move(call), torch);
}

OpSample& Samples::add(std::vector<SampleInput> inputs, Call call, std::string_view torch) {
  list.push_back({std::move(inputs), std::move(call), std::string(torch), {}, true, 1});
  return list.back();
}

void Samples::bad(std::initializer_list<SampleInput> inputs, Call call, std::string_view text) {
  bad(std::vector<SampleInput>(inputs), std::move(call), text);
}

void Samples::bad(std::vector<SampleInput> inputs, Call call, std::string_view text) {
  bad_list.push_back({{std::move(inputs), std::move(call), {}, {}, false, 1}, std::string(text)});
}

}  // namespace nacre
