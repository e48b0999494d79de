#include "ops/mill_goldens.h"

#include <bit>
#include <cmath>
#include <set>

#include "base/gzip.h"
#include "nacre/autograd.h"

namespace nacre::testing {
namespace {

constexpr const char* kFile = NACRE_SOURCE_DIR "/tests/ops/goldens/goldens.json.gz";

const Json& goldens() {
  static const Json all = [] {
    JsonLimits limits;
    limits.bytes = uint64_t{256} << 20;
    return parse_json(read_gzip_file(kFile, limits.bytes), kFile, limits);
  }();
  return all;
}

std::string key_of(const Subject& subject, size_t sample) {
  return cat({subject.def().name, "/", sample});
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (double v : values) list.push_back(v);
  return list;
}

Json list_of(const Shape& shape) {
  Json list = Json::array();
  for (int64_t d : shape) list.push_back(d);
  return list;
}

/// Of everything that the golden depends on: the expression, the inputs, the weights.
std::string checksum(const Subject& subject, size_t number, const std::vector<Values>& in,
                     const Tensors& out) {
  const OpSample& s = subject.samples()[number];
  std::string text = s.torch + (s.check_grad ? " grad " : " ");
  const auto add = [&](const std::vector<double>& values) {
    for (double v : values) {
      const auto bits = std::bit_cast<uint64_t>(std::isnan(v) ? NAN : v);
      text.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
    }
  };
  for (const Values& v : in) {
    text += cat({v.dtype, " ", v.shape, " "});
    add(v.v);
  }
  for (size_t k = 0; k < out.size(); ++k)
    if (is_float(out[k].dtype())) add(subject.weights(number, k, out[k].numel()));
  return std::to_string(crc32_of(text));
}

Json request(const Subject& subject, size_t number) {
  const OpSample& s = subject.samples()[number];
  const std::vector<Values> in = subject.inputs(number, DType::f64);
  const Tensors out = subject.call(s, tensors_of(in));
  Json r = Json::object();
  r["torch"] = s.torch;
  r["check_grad"] = s.check_grad;
  r["checksum"] = checksum(subject, number, in, out);
  r["inputs"] = Json::array();
  for (size_t i = 0; i < in.size(); ++i) {
    Json v = Json::object();
    v["dtype"] = name_of(in[i].dtype);
    v["shape"] = list_of(in[i].shape);
    v["values"] = numbers(in[i].v);
    v["differentiable"] = s.inputs[i].differentiable;
    r["inputs"].push_back(std::move(v));
  }
  r["weights"] = Json::array();
  for (size_t k = 0; k < out.size(); ++k)
    r["weights"].push_back(
        is_float(out[k].dtype()) ? numbers(subject.weights(number, k, out[k].numel())) : Json());
  return r;
}

Values read(const Json& j) {
  Values v;
  for (const Json& d : j.at("shape").list()) v.shape.push_back(d.integer());
  for (const Json& d : j.at("values").list()) v.v.push_back(d.number());
  return v;
}

void compare(const std::vector<Values>& got, const Json& golden, double relative, double slack,
             const std::string& at, Report& report) {
  const auto& want = golden.list();
  if (want.size() != got.size()) {
    report.fail({at, ": ", got.size(), " results, torch gives ", want.size()});
    return;
  }
  for (size_t k = 0; k < got.size(); ++k) {
    const Values w = read(want[k]);
    double r = is_float(got[k].dtype) ? relative * slack : 0;
    if (is_float(got[k].dtype) && got[k].dtype != DType::f64)
      r = std::max(r, 8 * round_off(got[k].dtype) * slack);
    const std::string text = difference(got[k], w, {r, scale_of(w)});
    if (!text.empty()) report.fail({at, " ", k, " against torch: ", text});
  }
}

}  // namespace

void check_golden(const Subject& subject, Report& report) {
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    const OpSample& s = subject.samples()[i];
    if (s.torch.empty()) continue;
    const std::string at = describe(s, i);
    const Json* golden = goldens().find(key_of(subject, i));
    if (!golden) {
      report.fail({at, " has no golden: run tests/ops/goldens/make.py"});
      continue;
    }
    const std::vector<Values> in = subject.inputs(i, DType::f64);
    for (Mode mode : {Mode::reference, Mode::optimised}) {
      Run run(mode);
      const std::string where = at + (mode == Mode::reference ? " reference" : " cpu");
      const Tensors x = tensors_of(in);
      const Tensors out = subject.call(s, x);
      if (checksum(subject, i, in, out) != golden->at("checksum").text()) {
        report.fail({"golden of ", subject.def().name, " sample ", i,
                     " is stale: run tests/ops/goldens/make.py"});
        break;
      }
      const std::vector<size_t> which = differentiable(s);
      Tensors gradients;
      const Json& wanted = golden->at("gradients");
      if (s.check_grad && wanted.size()) {
        Tensors leaves;
        for (size_t j : which) leaves.push_back(x[j]);
        const Tensor loss = projection(subject, i, out);
        if (loss.defined()) gradients = grad(loss, leaves);
      }
      compare(values_of(out), golden->at("outputs"), 1e-9, s.slack, where + " output", report);
      compare(values_of(gradients), wanted, 1e-7, s.slack, where + " gradient", report);
    }
    ++counts().goldens;
  }
}

Json golden_requests() {
  Json all = Json::object();
  for (const OpDef* op : all_ops()) {
    const Subject subject(*op);
    for (size_t i = 0; i < subject.samples().size(); ++i) {
      if (subject.samples()[i].torch.empty()) continue;
      try {
        all.fields().emplace_back(key_of(subject, i), request(subject, i));
      } catch (const Error& e) {
        std::fprintf(stderr, "%s: %s\n", key_of(subject, i).c_str(), e.what());
      }
    }
  }
  return all;
}

std::vector<std::string> golden_faults() {
  std::set<std::string> wanted, there;
  for (const OpDef* op : all_ops()) {
    const Subject subject(*op);
    for (size_t i = 0; i < subject.samples().size(); ++i)
      if (!subject.samples()[i].torch.empty()) wanted.insert(key_of(subject, i));
  }
  std::vector<std::string> faults;
  for (const auto& [key, golden] : goldens().fields()) {
    there.insert(key);
    if (!wanted.count(key)) faults.push_back(key + " is left over");
  }
  for (const std::string& key : wanted)
    if (!there.count(key)) faults.push_back(key + " is missing");
  return faults;
}

}  // namespace nacre::testing
