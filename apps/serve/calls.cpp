// Requests to models: Open Inference Protocol, and the friendly one.
#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "data/readers.h"
#include "nacre/ops.h"
#include "serve/app.h"

namespace nacre::serve {
namespace {

constexpr size_t kMaxInstances = 10000;
constexpr int64_t kTop = 5;

std::string bytes_of(const Tensor& t) {
  return {static_cast<const char*>(t.data()), static_cast<size_t>(t.numel()) * size_of(t.dtype())};
}

/// Shape as clients write it: [-1,3].
std::string shape_list(const Shape& s) {
  std::string text = "[";
  for (int64_t i = 0; i < s.rank(); ++i) text += cat({i ? "," : "", std::to_string(s[i])});
  return text + "]";
}

/// The tensors of a request in the order of the model's inputs.
Tensors match(const Predictor& model, std::vector<InferInput>& given) {
  Tensors inputs;
  std::vector<bool> used(given.size());
  for (const Predictor::Port& port : model.inputs()) {
    size_t at = given.size();
    for (size_t i = 0; i < given.size(); ++i)
      if (given[i].name == port.name) at = i;
    if (at == given.size())
      throw Refusal(400, cat({"the input '", port.name, "' (", datatype_of(port.dtype), " ",
                              shape_list(port.shape), ") is missing"}));
    used[at] = true;
    InferInput& in = given[at];
    const std::string where = cat({"inputs[", at, "]"});
    if (in.dtype != port.dtype)
      throw Refusal(400, cat({where, ".datatype is ", datatype_of(in.dtype), ", '", port.name,
                              "' is ", datatype_of(port.dtype)}));
    bool fits = in.shape.rank() == port.shape.rank() || port.shape.rank() < 2;
    for (int64_t d = 0; fits && d < port.shape.rank(); ++d)
      fits = port.shape[d] < 0 || in.shape[d] == port.shape[d];
    if (!fits)
      throw Refusal(400, cat({where, ".shape is ", shape_list(in.shape), ", '", port.name,
                              "' takes ", shape_list(port.shape)}));
    inputs.push_back(Tensor::from_bytes(in.bytes.data(), in.bytes.size(), in.shape, in.dtype));
    std::string().swap(in.bytes);
  }
  for (size_t i = 0; i < given.size(); ++i)
    if (!used[i])
      throw Refusal(400, cat({"inputs[", i, "].name '", shown(given[i].name),
                              "' is none of the model's inputs"}));
  model.check(inputs);
  return inputs;
}

/// The best classes of each row, as Triton writes them: "score:index:label".
InferOutput classified(const Predictor& model, InferOutput o, const Tensor& t, int64_t classes) {
  const auto values = t.to_vector<float>();
  const int64_t rows = t.rank() > 1 ? t.shape()[0] : 1;
  const size_t width = values.size() / static_cast<size_t>(std::max<int64_t>(rows, 1));
  const auto& names = model.info().classes;
  const size_t kept = std::min(static_cast<size_t>(classes), width);
  std::vector<size_t> order(width);
  for (int64_t r = 0; r < rows; ++r) {
    const float* v = values.data() + static_cast<size_t>(r) * width;
    for (size_t i = 0; i < width; ++i) order[i] = i;
    const auto rank = [&](size_t i) { return std::isnan(v[i]) ? -INFINITY : v[i]; };
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
        [&](size_t a, size_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a < b; });
    for (size_t k = 0; k < kept; ++k)
      o.texts.push_back(cat({static_cast<double>(v[order[k]]), ":", order[k],
                             names.size() == width ? ":" + names[order[k]] : ""}));
  }
  o.datatype = "BYTES";
  o.shape =
      t.rank() > 1 ? Shape{rows, static_cast<int64_t>(kept)} : Shape{static_cast<int64_t>(kept)};
  return o;
}

std::string cell(const Json& v, const std::string& where) {
  switch (v.kind()) {
    case Json::Kind::null:
      return "";
    case Json::Kind::text:
      return v.text();
    case Json::Kind::list:
    case Json::Kind::object:
      throw Refusal(400, cat({where, " is ", v.kind_name(), ", it should be a number or text"}));
    default:
      return print_json(v);
  }
}

/// Numbers of nested lists, in order.
void flatten(const Json& v, std::vector<float>& out, const std::string& where) {
  if (v.is_list()) {
    for (const Json& item : v.list()) flatten(item, out, where);
  } else if (v.kind() == Json::Kind::integer || v.kind() == Json::Kind::number) {
    out.push_back(static_cast<float>(v.number()));
  } else {
    throw Refusal(400, cat({where, " holds ", v.kind_name(), ", it should hold numbers"}));
  }
}

/// What a friendly request asks for: rows for the network, or an input of it as numbers.
struct Instances {
  std::vector<float> x;
  int64_t rows = 0;
  std::string remark;
};

class Reader {
 public:
  Reader(const Loaded& m, int64_t max_pixels) : model_(*m.model) {
    limits_.max_pixels = max_pixels;
    limits_.max_side = 1 << 15;
  }

  Instances picture(std::string_view bytes) {
    add_picture(bytes, "the file");
    return std::move(out_);
  }

  Instances csv(const std::string& text) {
    if (!model_.schema()) throw Refusal(400, "the model was not trained on a table");
    CsvOptions options;
    options.schema = model_.schema();
    options.needs_target = false;
    const DatasetPtr rows = data::csv_dataset(text, options, "the table");
    if (rows->size() > static_cast<int64_t>(kMaxInstances))
      throw Refusal(413, cat({"the table has more than ", kMaxInstances, " rows"}));
    out_.remark = rows->remark();
    for (int64_t i = 0; i < rows->size(); ++i) add(rows->get(i));
    return std::move(out_);
  }

  /// The only column of the rows, as models of texts have it.
  Instances text(std::string body) {
    if (!model_.schema()) throw Refusal(400, "the model does not take texts");
    while (body.ends_with('\n') || body.ends_with('\r')) body.pop_back();
    add(model_.row({std::move(body)}, &out_.remark));
    return std::move(out_);
  }

  Instances json(const Json& j) {
    const Json* list = nullptr;
    Json one;
    std::string name = "instances";
    if (j.is_object()) {
      if (const Json* v = j.find("instances")) list = v;
      if (const Json* v = j.find("rows"); v && !list) list = v, name = "rows";
      if (const Json* v = j.find("row"); v && !list)
        one = Json::array({*v}), list = &one, name = "row";
    }
    if (!list || !list->is_list())
      throw Refusal(400,
                    "the body should be {\"instances\": [...]}, or {\"row\": {...}} with columns");
    if (list->size() > kMaxInstances)
      throw Refusal(413, cat({name, " has ", list->size(), " entries, at most ", kMaxInstances}));
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string where = cat({name, "[", i, "]"});
      try {
        instance(list->list()[i], where);
      } catch (const Error& e) {
        throw Error(e.kind(), cat({where, ": ", e.what()}));
      }
    }
    return std::move(out_);
  }

 private:
  void add(Sample s) {
    const auto row = model_.prepare(std::move(s));
    out_.x.insert(out_.x.end(), row.begin(), row.end());
    ++out_.rows;
  }

  void add_picture(std::string_view bytes, const std::string& where) {
    if (model_.info().input.rank() != 3)
      throw Refusal(400, cat({"the model does not take pictures or clips",
                              model_.schema() ? "; rows come with the content type "
                                                "application/json or text/csv"
                                              : ""}));
    add(model_.picture(bytes, where, limits_));
  }

  void instance(const Json& v, const std::string& where) {
    if (v.is_object()) {
      if (const Json* b64 = v.find("b64"); b64 && b64->is_text() && v.size() == 1)
        return add_picture(from_base64(b64->text(), where), "the file");
      std::vector<std::pair<std::string, std::string>> cells;
      for (const auto& [name, value] : v.fields()) cells.emplace_back(name, cell(value, where));
      return add(model_.row_by_name(cells, &out_.remark));
    }
    if (!v.is_list())
      throw Refusal(400, cat({where, " is ", v.kind_name(),
                              ", it should be an object of columns, a list, or {\"b64\": ...}"}));
    if (model_.schema()) {
      std::vector<std::string> cells;
      for (const Json& c : v.list()) cells.push_back(cell(c, where));
      return add(model_.row(cells, &out_.remark));
    }
    // Numbers for the network itself, behind the transform.
    const size_t before = out_.x.size();
    flatten(v, out_.x, where);
    const Shape& want = model_.info().input;
    if (out_.x.size() - before != static_cast<size_t>(want.numel()))
      throw Refusal(400, cat({where, " has ", out_.x.size() - before, " numbers, the model takes ",
                              shape_list(want)}));
    ++out_.rows;
  }

  const Predictor& model_;
  DecodeLimits limits_;
  Instances out_;
};

}  // namespace

std::string from_base64(std::string_view text, std::string_view where) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int count = 0;
  size_t at = 0;
  for (; at < text.size() && text[at] != '='; ++at) {
    const char c = text[at];
    int v = -1;
    if (c >= 'A' && c <= 'Z') v = c - 'A';
    if (c >= 'a' && c <= 'z') v = c - 'a' + 26;
    if (c >= '0' && c <= '9') v = c - '0' + 52;
    if (c == '+' || c == '-') v = 62;
    if (c == '/' || c == '_') v = 63;
    if (v < 0) fail(Error::Kind::data, {where, ".b64 is no base64 from byte ", at, " on"});
    bits = bits << 6 | static_cast<uint32_t>(v);
    if (++count == 4) {
      for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(bits >> shift & 255);
      bits = 0, count = 0;
    }
  }
  if (count == 1 || text.size() - at > 2 || text.find_first_not_of('=', at) != text.npos)
    fail(Error::Kind::data, {where, ".b64 is cut short"});
  if (count == 2) out += static_cast<char>(bits >> 4 & 255);
  if (count == 3) out += {static_cast<char>(bits >> 10 & 255), static_cast<char>(bits >> 2 & 255)};
  return out;
}

void App::submit(const CallPtr& call, Tensors inputs, int64_t rows,
                 std::function<void(Tensors)> answer) {
  Batcher::Job job;
  job.inputs = std::move(inputs);
  job.rows = rows;
  job.cancelled = [call] { return call->exchange->cancelled(); };
  job.done = [this, call, answer = std::move(answer)](BatchResult r) {
    switch (r.outcome) {
      case Outcome::success:
        try {
          answer(std::move(r.outputs));
        } catch (...) {
          refuse(call, std::current_exception());
        }
        return;
      case Outcome::cancelled:
        return reply(call, r.outcome, error_json(499, "the client has gone"));
      case Outcome::timeout:
        return reply(call, r.outcome, error_json(503, r.error, true));
      case Outcome::memory:
        return reply(call, r.outcome,
                     error_json(503, "there is no memory to run the model now", true));
      default:
        log_error({"request ", call->exchange->id, ": ", r.error});
        return reply(call, Outcome::error,
                     error_json(500,
                                "the model failed on this request; the log of the server says "
                                "why under the request's id"));
    }
  };
  if (!call->model->batcher->submit(job))
    throw Refusal(503, cat({"too many requests wait for ", call->model->name}), true);
  if (!call->on_loop)
    call->model->batcher->wake();
  else if (std::find(to_wake_.begin(), to_wake_.end(), call->model) == to_wake_.end())
    to_wake_.push_back(call->model);
}

void App::infer(const CallPtr& call) {
  Exchange& x = *call->exchange;
  const Predictor& model = *call->model->model;
  const std::string body = unpacked(x);
  std::optional<std::string_view> header;
  for (const auto& [name, value] : x.request.headers)
    if (name == "inference-header-content-length") header = value;
  auto request = std::make_shared<InferRequest>(parse_infer(body, header));
  for (size_t i = 0; i < request->outputs.size(); ++i) {
    const auto& ports = model.outputs();
    const std::string& name = request->outputs[i].name;
    if (std::none_of(ports.begin(), ports.end(), [&](const auto& p) { return p.name == name; }))
      throw Refusal(
          400, cat({"outputs[", i, "].name '", shown(name), "' is none of the model's outputs"}));
  }
  Tensors inputs = match(model, request->inputs);
  const int64_t rows = model.batches() ? inputs[0].shape()[0] : 1;
  submit(call, std::move(inputs), rows, [this, call, request](Tensors got) {
    const Predictor& m = *call->model->model;
    if (request->outputs.empty())
      for (const Predictor::Port& p : m.outputs()) request->outputs.push_back({p.name, {}, 0});
    std::vector<InferOutput> outputs;
    for (const InferRequest::Output& wish : request->outputs)
      for (size_t i = 0; i < got.size(); ++i) {
        if (m.outputs()[i].name != wish.name) continue;
        InferOutput o;
        o.name = wish.name;
        o.dtype = got[i].dtype();
        o.datatype = datatype_of(o.dtype);
        o.shape = got[i].shape();
        o.binary = wish.binary.value_or(request->binary);
        if (wish.classes > 0)
          o = classified(m, std::move(o), got[i], wish.classes);
        else
          o.bytes = bytes_of(got[i]);
        outputs.push_back(std::move(o));
      }
    InferResponse r = write_infer(call->model->name, std::to_string(call->model->version),
                                  request->id, outputs, options_.not_finite);
    call->metrics->not_finite += static_cast<uint64_t>(r.not_finite);
    HttpResponse h;
    h.body = std::move(r.body);
    if (r.json_bytes > 0) {
      h.type = "application/octet-stream";
      h.headers.emplace_back("inference-header-content-length", std::to_string(r.json_bytes));
    }
    reply(call, Outcome::success, std::move(h));
  });
}

void App::predict(const CallPtr& call) {
  Exchange& x = *call->exchange;
  const Predictor& model = *call->model->model;
  const auto top = static_cast<size_t>(query_number(x.request.query, "top").value_or(kTop));
  const std::string body = unpacked(x);
  const std::string_view type = x.request.header("content-type");
  // What curl -d says if it is told nothing.
  const bool untold = type.empty() || type.starts_with("application/x-www-form-urlencoded");
  const bool json =
      type.starts_with("application/json") || (untold && model.schema() && body.starts_with('{'));
  Reader reader(*call->model, options_.max_pixels);
  Instances in = json                             ? reader.json(parse_json(body, "the request"))
                 : type.starts_with("text/csv")   ? reader.csv(body)
                 : type.starts_with("text/plain") ? reader.text(body)
                                                  : reader.picture(body);
  if (in.rows == 0) throw Refusal(400, "there is nothing to predict");
  if (in.rows > 1 && !model.batches())
    throw Refusal(400, "this model takes one instance in a request");
  Shape shape = {in.rows};
  for (const int64_t d : model.info().input) shape.push_back(d);
  if (model.info().input.empty()) shape.push_back(static_cast<int64_t>(in.x.size()) / in.rows);
  Tensors inputs = {Tensor::from(in.x, shape)};
  model.check(inputs);
  submit(call, std::move(inputs), in.rows,
         [this, call, top, rows = in.rows, remark = in.remark](Tensors got) {
           const Predictor& m = *call->model->model;
           const auto y = got[0].to_vector<float>();
           const size_t width = y.size() / static_cast<size_t>(rows);
           int64_t not_finite = 0;
           const auto number = [&](std::string& out, double v, bool f64) {
             append_number(out, v, f64, options_.not_finite, not_finite);
           };
           std::string out = "{\"model\":";
           append_text(out, call->model->name);
           out += cat({",\"version\":\"", call->model->version, "\",\"predictions\":["});
           for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
             const Prediction p = m.interpret(std::span(y).subspan(r * width, width), top);
             out += r ? ",{" : "{";
             if (p.classes.empty()) {
               out += "\"values\":[";
               for (size_t i = 0; i < p.values.size(); ++i) {
                 if (i) out += ',';
                 number(out, p.values[i], false);
               }
               out += "]}";
               continue;
             }
             out += "\"label\":";
             append_text(out, p.label());
             out += ",\"probability\":";
             number(out, p.classes[0].probability, false);
             out += ",\"classes\":[";
             for (const auto& c : p.classes) {
               out += &c == &p.classes[0] ? "{\"label\":" : ",{\"label\":";
               append_text(out, c.label);
               out += ",\"probability\":";
               number(out, c.probability, false);
               out += '}';
             }
             out += "]}";
           }
           out += ']';
           if (!remark.empty()) {
             out += ",\"remark\":";
             append_text(out, remark);
           }
           out += "}\n";
           call->metrics->not_finite += static_cast<uint64_t>(not_finite);
           HttpResponse h;
           h.body = std::move(out);
           reply(call, Outcome::success, std::move(h));
         });
}

}  // namespace nacre::serve
