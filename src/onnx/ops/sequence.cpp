// Sequences and optionals.
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

/// A position in a sequence; `last`: the largest that is allowed.
size_t position(const Call& c, size_t input, size_t size, bool insert) {
  const int64_t n = static_cast<int64_t>(size), at = c.integer(input);
  const int64_t from_start = at < 0 ? at + n : at;
  c.check(from_start >= 0 && from_start < n + (insert ? 1 : 0),
          {"position ", at, " in a sequence of ", size});
  return static_cast<size_t>(from_start);
}

Values split_to_sequence(Call& c) {
  const Value& x = c.value(0);
  const int64_t axis = c.axis(c.i("axis"), x.shape().rank()), size = x.shape()[axis];
  Ints sizes;
  bool keep = true;
  if (!c.has(1)) {
    keep = c.i("keepdims", 1) != 0;
    sizes = Ints(static_cast<size_t>(size), 1);
  } else if (c.rank(1) == 0) {
    const int64_t each = c.integer(1);
    c.check(each > 0, {"parts of ", each});
    for (int64_t at = 0; at < size; at += each) sizes.push_back(std::min(each, size - at));
  } else {
    sizes = c.ints(1);
  }
  Values items;
  int64_t at = 0;
  for (int64_t n : sizes) {
    c.check(n >= 0 && at + n <= size, {"parts of ", as_list(sizes), " of size ", size});
    items.push_back(moved(x, [&](const Tensor& t) {
      const Tensor part = slice(t, axis, at, at + n);
      return keep ? part : squeeze(part, {axis});
    }));
    at += n;
  }
  return {Value::sequence(items)};
}

Values sequence_map(Call& c) {
  const size_t n = c.value(0).items().size();
  const AttributeProto* body = c.find("body");
  c.check(body && !body->graphs.empty(), {"has no body"});
  std::vector<Values> lists(body->graphs[0]->outputs.size());
  for (size_t k = 0; k < n; ++k) {
    Values in;
    for (const Value& v : c.in.all()) {
      if (v.is_sequence())
        c.check(v.items().size() == n, {"sequences of ", n, " and ", v.items().size()});
      in.push_back(v.is_sequence() ? v.items()[k] : v);
    }
    const Values out = c.run("body", std::move(in));
    for (size_t o = 0; o < lists.size(); ++o) lists[o].push_back(out[o]);
  }
  Values out;
  for (Values& l : lists) out.push_back(Value::sequence(std::move(l)));
  return out;
}

}  // namespace

ONNX(SequenceEmpty) = {"SequenceEmpty", [](Call&) -> Values { return {Value::sequence({})}; }};
ONNX(SequenceConstruct) = {"SequenceConstruct",
                           [](Call& c) -> Values { return {Value::sequence(c.in.all())}; }};
ONNX(SequenceInsert) = {"SequenceInsert", [](Call& c) -> Values {
                          Values items = c.value(0).items();
                          const size_t at =
                              c.has(2) ? position(c, 2, items.size(), true) : items.size();
                          items.insert(items.begin() + static_cast<std::ptrdiff_t>(at), c.value(1));
                          return {Value::sequence(std::move(items))};
                        }};
ONNX(SequenceErase) = {"SequenceErase", [](Call& c) -> Values {
                         Values items = c.value(0).items();
                         c.check(!items.empty(), {"erases from an empty sequence"});
                         const size_t at =
                             c.has(1) ? position(c, 1, items.size(), false) : items.size() - 1;
                         items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
                         return {Value::sequence(std::move(items))};
                       }};
ONNX(SequenceAt) = {"SequenceAt", [](Call& c) -> Values {
                      const Values& items = c.value(0).items();
                      return {items[position(c, 1, items.size(), false)]};
                    }};
ONNX(SequenceLength) = {"SequenceLength", [](Call& c) -> Values {
                          return {scalar_of(std::ssize(c.value(0).items()))};
                        }};
ONNX(SplitToSequence) = {"SplitToSequence", split_to_sequence};
ONNX(SequenceMap) = {"SequenceMap", sequence_map};

// An optional is what it holds, or nothing.
ONNX(Optional) = {"Optional", [](Call& c) -> Values { return {c.in.empty() ? Value() : c.in[0]}; }};
ONNX(OptionalGetElement) = {"OptionalGetElement", [](Call& c) -> Values { return {c.value(0)}; }};
ONNX(OptionalHasElement) = {"OptionalHasElement", [](Call& c) -> Values {
                              return {Tensor::from(std::vector<bool>{c.has(0)}, {})};
                            }};

}  // namespace nacre::onnx
