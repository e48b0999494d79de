#include "onnx/cases.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/file.h"
#include "formats/wire.h"

namespace nacre::onnx {
namespace {

namespace fs = std::filesystem;

bool close(double got, double want, double absolute) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return got == want;
  return std::abs(got - want) <= absolute + 1e-3 * std::abs(want);
}

/// What two values differ in; "" if they agree. Values of random operators have only their type,
/// shape, range and mean compared.
std::string difference(const Value& got, const Value& want, bool random, double absolute) {
  if (got.is_none() != want.is_none() || got.is_sequence() != want.is_sequence())
    return "is " + got.str() + ", not " + want.str();
  if (want.is_none()) return "";
  if (want.is_sequence()) {
    if (got.items().size() != want.items().size()) return "is " + got.str() + ", not " + want.str();
    for (size_t k = 0; k < want.items().size(); ++k)
      if (auto d = difference(got.items()[k], want.items()[k], random, absolute); !d.empty())
        return "entry " + std::to_string(k) + " " + d;
    return "";
  }
  if (got.elem() != want.elem() || got.shape() != want.shape())
    return "is " + got.str() + ", not " + want.str();
  if (want.is_strings()) return got.text() == want.text() ? "" : "has other text";
  if (!is_float(want.tensor().dtype()) && !random) {
    const auto a = got.tensor().to_vector<int64_t>(), b = want.tensor().to_vector<int64_t>();
    for (size_t k = 0; k < b.size(); ++k)
      if (a[k] != b[k]) return cat({"has ", a[k], " at ", k, ", not ", b[k]});
    return "";
  }
  const auto a = got.tensor().to_vector<double>(), b = want.tensor().to_vector<double>();
  if (!random) {
    for (size_t k = 0; k < b.size(); ++k)
      if (!close(a[k], b[k], absolute)) return cat({"has ", a[k], " at ", k, ", not ", b[k]});
    return "";
  }
  if (b.empty()) return "";
  // Means of n draws from one distribution lie within a few deviations / sqrt(n) of each other.
  double mean_a = 0, mean_b = 0, square = 0;
  const auto n = static_cast<double>(b.size());
  for (size_t k = 0; k < b.size(); ++k) {
    mean_a += a[k] / n;
    mean_b += b[k] / n;
    square += b[k] * b[k] / n;
  }
  const double deviation = std::sqrt(std::max(square - mean_b * mean_b, 0.0));
  if (std::abs(mean_a - mean_b) > 6 * std::sqrt(2 / n) * std::max(deviation, 0.05))
    return cat({"has mean ", mean_a, ", not about ", mean_b});
  const double low = *std::min_element(b.begin(), b.end()),
               high = *std::max_element(b.begin(), b.end());
  const double slack = high - low + 1e-6;
  for (double v : a)
    if (!(v >= low - slack && v <= high + slack)) return cat({"has ", v, ", far outside"});
  return "";
}

/// input_0.pb, input_1.pb, ... in numerical order.
std::vector<std::string> files(const fs::path& folder, const std::string& prefix) {
  std::map<int, std::string> found;
  for (const auto& e : fs::directory_iterator(folder)) {
    const std::string name = e.path().filename();
    if (name.starts_with(prefix) && name.ends_with(".pb"))
      found[std::stoi(name.substr(prefix.size()))] = e.path();
  }
  std::vector<std::string> list;
  for (const auto& [k, path] : found) list.push_back(path);
  return list;
}

bool is_random(std::string_view op) {
  static const std::set<std::string_view> ops = {"RandomNormal",  "RandomNormalLike",
                                                 "RandomUniform", "RandomUniformLike",
                                                 "Bernoulli",     "Multinomial"};
  return ops.contains(op);
}

}  // namespace

Case read_case(const std::string& folder) {
  Case c{folder, {}, {}, {}};
  const std::string model = folder + "/model.onnx", data = folder + "/test_data_set_0";
  if (!fs::exists(model) || !fs::exists(data)) return c;
  c.model = read_file(model, 1 << 30);
  for (const std::string& f : files(data, "input_")) c.inputs.push_back(read_file(f, 1 << 30));
  for (const std::string& f : files(data, "output_")) c.outputs.push_back(read_file(f, 1 << 30));
  return c;
}

std::vector<Case> read_packed_cases(const std::string& path) {
  const std::string bytes = read_file(path, 1 << 30);
  std::vector<Case> all;
  for (WireReader r(bytes, path); r.next();) {
    Case c;
    for (WireReader part(r.bytes(), path); part.next();) {
      const std::string content(part.bytes());
      switch (part.field()) {
        case 1:
          c.name = content;
          break;
        case 2:
          c.model = content;
          break;
        case 3:
          c.inputs.push_back(content);
          break;
        default:
          c.outputs.push_back(content);
      }
    }
    all.push_back(std::move(c));
  }
  return all;
}

std::string run_case(const Case& c, double absolute) {
  try {
    const auto net = parse(c.model, "the model");
    if (c.outputs.size() != net->outputs().size()) return "has another number of outputs";
    // Inputs that an initialiser stands for are not among the files of the data set.
    if (c.inputs.size() > net->inputs().size()) return "has another number of inputs";
    std::map<std::string, Value> given;
    for (size_t k = 0; k < c.inputs.size(); ++k) {
      const Port& p = net->inputs()[k];
      given[p.name] = parse_value(c.inputs[k], "an input", p.type);
    }
    bool random = false;
    net->on_node = [&](const Network::Step& n) {
      // A dropout that leaves something out drew random numbers.
      random =
          random || is_random(n.op) ||
          (n.op == "Dropout" && n.outputs.size() > 1 && n.outputs[1].is_tensor() &&
           sum(cast(n.outputs[1].tensor(), DType::i64)).item() < n.outputs[1].tensor().numel());
    };
    Context ctx = Context::eval();
    const Values got = net->run(given, ctx);
    for (size_t k = 0; k < c.outputs.size(); ++k) {
      const Port& p = net->outputs()[k];
      const Value want = parse_value(c.outputs[k], "an output", p.type);
      if (auto d = difference(got[k], want, random, absolute); !d.empty())
        return "output '" + p.name + "' " + d;
    }
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

namespace {

/// One case counted, and its problem if it is not what the exceptions say.
void count_case(const std::string& name, const Case& c, double absolute,
                const std::map<std::string, std::string>& exceptions, Tally& tally,
                std::vector<std::string>& problems) {
  if (c.model.empty() || c.outputs.empty()) {  // nothing to compare with
    ++tally.skipped;
    problems.push_back(name + ": is skipped, it has no model or no outputs");
    return;
  }
  const std::string wrong = run_case(c, absolute);
  const bool excepted = exceptions.contains(name);
  ++(wrong.empty() ? tally.passed : tally.failed);
  if (excepted == wrong.empty())
    problems.push_back(name + ": " + (excepted ? "passes, but stands in the list" : wrong));
}

void check_names(const std::set<std::string>& names,
                 const std::map<std::string, std::string>& exceptions,
                 std::vector<std::string>& problems) {
  for (const auto& [name, reason] : exceptions)
    if (!names.contains(name)) problems.push_back(name + ": stands in the list, but is not there");
}

}  // namespace

Tally run_cases(const std::string& folder, const std::map<std::string, std::string>& exceptions,
                std::vector<std::string>& problems) {
  Tally tally;
  std::set<std::string> names;
  for (const auto& e : fs::directory_iterator(folder))
    if (fs::is_directory(e.path())) names.insert(e.path().filename());
  for (const std::string& name : names)
    count_case(name, read_case(folder + "/" + name), 1e-7, exceptions, tally, problems);
  check_names(names, exceptions, problems);
  return tally;
}

Tally run_cases(const std::vector<Case>& cases,
                const std::map<std::string, std::string>& exceptions,
                std::vector<std::string>& problems) {
  Tally tally;
  std::set<std::string> names;
  for (const Case& c : cases) {
    names.insert(c.name);
    count_case(c.name, c, 1e-6, exceptions, tally, problems);
  }
  check_names(names, exceptions, problems);
  return tally;
}

std::map<std::string, std::map<std::string, std::string>> read_exceptions(const std::string& path) {
  std::map<std::string, std::map<std::string, std::string>> all;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const size_t slash = line.find('/'), colon = line.find(": ");
    if (line.starts_with('#') || slash == std::string::npos || colon == std::string::npos) continue;
    all[line.substr(0, slash)][line.substr(slash + 1, colon - slash - 1)] = line.substr(colon + 2);
  }
  return all;
}

}  // namespace nacre::onnx
