#include <algorithm>
#include <map>
#include <sstream>

#include "onnx/call.h"
#include "onnx/check.h"

namespace nacre::onnx {
namespace {

/// What the operators of the standard domain ask of the element types of their inputs, a letter for
/// each: inputs with the same capital are of one type, 'b' is bool, 'l' int64, 'i' int32 or int64,
/// '.' anything. A letter before '*' holds for all inputs from there on. "Pow@12": from opset 12
/// on.
struct Rule {
  const char* inputs;
  const char* operators;
};
constexpr Rule kRules[] = {
    {"TT",
     "Add Sub Mul Div Mod Pow Equal Greater GreaterOrEqual Less LessOrEqual BitShift BitwiseAnd "
     "BitwiseOr BitwiseXor MatMul PRelu MaxRoiPool StringConcat QuantizeLinear@19"},
    {"TTT",
     "Conv ConvTranspose Gemm InstanceNormalization GroupNormalization LayerNormalization "
     "Range Clip@11"},
    {"TTTTT", "DeformConv BatchNormalization"},
    {"TTTUU", "BatchNormalization@14 MelWeightMatrix"},
    {".TTUU", "BatchNormalization@15"},
    {"T*", "Concat Einsum Max Mean Min Sum SequenceConstruct"},
    {"T.T", "DequantizeLinear"},
    {"TTTT.T", "RNN GRU"},
    {"TTTT.TTT", "LSTM"},
    {"TUTU", "ConvInteger MatMulInteger STFT"},
    {"TUTVUVU", "QLinearConv QLinearMatMul"},
    {"TTU.TUl", "Attention"},
    {"TTTl", "RotaryEmbedding"},
    {"TTl", "RoiAlign"},
    {"TTlTT", "NonMaxSuppression"},
    {"TiT", "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss Scatter ScatterElements"},
    {"TlT", "ScatterND Pad@11"},
    {"TlTi", "Pad@18"},
    {".TTTT", "Slice@10"},
    {"bTT", "Where"},
    {"bb", "And Or Xor"},
    {"b", "Not If"},
    {".b", "Compress"},
    {"..b", "Dropout@12"},
    {"lb", "Loop"},
    {"l", "ConstantOfShape"},
    {"i", "BlackmanWindow HammingWindow HannWindow"},
    {".l",
     "AffineGrid Expand GatherND Reshape ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax "
     "ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare ReverseSequence Split@13 Squeeze "
     "Unsqueeze Tile@6 TopK@10 Trilu"},
    {".ll", "Col2Im MaxUnpool"},
    {"...l", "Resize@11"},
    {".i", "CenterCropPad CumSum Gather GatherElements SequenceAt SequenceErase SplitToSequence"},
    {".il", "DFT"},
    {"..i", "SequenceInsert"},
    {"", "Pow@12 QuantizeLinear@23"}};

using Versions = std::map<int64_t, std::string_view>;

std::map<std::string, Versions, std::less<>> make_versions() {
  std::map<std::string, Versions, std::less<>> table;
  for (const Rule& rule : kRules) {
    std::istringstream words(rule.operators);
    for (std::string word; words >> word;) {
      const size_t at = std::min(word.find('@'), word.size());
      const int64_t since = at < word.size() ? std::stoll(word.substr(at + 1)) : 1;
      table[word.substr(0, at)][since] = rule.inputs;
    }
  }
  return table;
}

bool has_type(const Value& v) { return v.is_tensor() || v.is_strings(); }

void check_input(const Call& c, size_t i, char letter, size_t like) {
  const Elem e = c.in[i].elem();
  const auto want = [&](bool ok, std::string_view what) {
    c.check(ok, {"input ", i, " is ", name_of(e), ", it has to be ", what});
  };
  switch (letter) {
    case 'b':
      return want(e == Elem::boolean, "bool");
    case 'l':
      return want(e == Elem::i64, "int64");
    case 'i':
      return want(e == Elem::i32 || e == Elem::i64, "int32 or int64");
    default:
      c.check(e == c.in[like].elem(),
              {"input ", i, " is ", name_of(e), ", but input ", like, " is ",
               name_of(c.in[like].elem()), ": they have to be of one type"});
  }
}

}  // namespace

void check_types(const Call& c) {
  static const auto table = make_versions();
  if (!c.node.domain.empty()) return;
  const auto versions = table.find(c.node.op);
  if (versions == table.end()) return;
  auto version = versions->second.upper_bound(c.opset);
  if (version == versions->second.begin()) return;
  const std::string_view inputs = (--version)->second;
  const bool repeats = inputs.ends_with('*');
  std::map<char, size_t> first;  // input with that letter
  for (size_t i = 0; i < c.in.size() && (repeats || i < inputs.size()); ++i) {
    const char letter = repeats ? inputs[0] : inputs[i];
    if (letter != '.' && has_type(c.in[i]))
      check_input(c, i, letter, first.emplace(letter, i).first->second);
  }
}

}  // namespace nacre::onnx
