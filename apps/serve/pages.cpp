// What describes the server: metadata of models, lists, the status page, OpenAPI.
#include "base/text.h"
#include "serve/app.h"

namespace nacre::serve {
namespace {

Json ports_json(const std::vector<Predictor::Port>& ports) {
  Json list = Json::array();
  for (const Predictor::Port& p : ports) {
    Json shape = Json::array();
    for (const int64_t d : p.shape) shape.push_back(d);
    list.push_back(Json::object(
        {{"name", p.name}, {"datatype", datatype_of(p.dtype)}, {"shape", std::move(shape)}}));
  }
  return list;
}

std::string state_of(const ModelState& s, int64_t version) {
  std::string text = version == s.serving ? "serving" : version == s.canary ? "canary" : "kept";
  if (version == s.canary) text += cat({", ", s.percent, " % of the requests"});
  return text;
}

}  // namespace

std::string metadata_json(const ModelState& state, const Loaded& m) {
  Json versions = Json::array();
  for (const LoadedPtr& l : state.versions) versions.push_back(std::to_string(l->version));
  Json j = Json::object({{"name", m.name},
                         {"versions", std::move(versions)},
                         {"platform", "nacre"},
                         {"inputs", ports_json(m.model->inputs())},
                         {"outputs", ports_json(m.model->outputs())}});
  Json parameters = Json::object({{"version", std::to_string(m.version)},
                                  {"model", m.model->info().model},
                                  {"batches", m.model->batches()}});
  if (!m.model->info().classes.empty()) {
    Json classes = Json::array();
    for (const std::string& c : m.model->info().classes) classes.push_back(c);
    parameters["classes"] = std::move(classes);
  }
  if (const TableSchema* t = m.model->schema()) {
    Json columns = Json::array();
    for (size_t c = 0; c < t->columns.size(); ++c) {
      if (static_cast<int>(c) == t->target) continue;
      Json column = Json::object({{"name", t->columns[c].name}});
      if (t->columns[c].kind == TableColumn::Kind::category) {
        column["texts"] = Json::array();
        for (const auto& text : t->columns[c].categories) column["texts"].push_back(text);
      }
      columns.push_back(std::move(column));
    }
    parameters["columns"] = std::move(columns);
  }
  j["parameters"] = std::move(parameters);
  return print_json(j) + "\n";
}

std::string index_json(const std::vector<ModelState>& states) {
  Json list = Json::array();
  for (const ModelState& s : states) {
    if (s.versions.empty())
      list.push_back(
          Json::object({{"name", s.name},
                        {"version", ""},
                        {"state", s.loading ? "LOADING" : "UNAVAILABLE"},
                        {"reason", s.trouble.empty() ? "unloaded" : "cannot be loaded"}}));
    for (const LoadedPtr& l : s.versions)
      list.push_back(Json::object({{"name", s.name},
                                   {"version", std::to_string(l->version)},
                                   {"state", "READY"},
                                   {"reason", state_of(s, l->version)}}));
  }
  return print_json(list) + "\n";
}

HttpResponse status_page(const std::vector<ModelState>& states, bool draining) {
  HttpResponse r;
  r.type = "text/html; charset=utf-8";
  r.headers = {{"content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
                "base-uri 'none'; form-action 'none'"},
               {"cache-control", "no-store"},
               {"referrer-policy", "no-referrer"}};
  std::string rows;
  for (const ModelState& s : states) {
    const std::string name = html_escape(s.name);
    if (s.versions.empty())
      rows += cat({"<tr><td>", name, "<td><td>", s.loading ? "loading" : "not loaded", "<td><td>"});
    for (const LoadedPtr& l : s.versions)
      rows += cat({"<tr><td>", name, "<td>", l->version, "<td>", state_of(s, l->version), "<td>",
                   html_escape(l->model->info().model), "<td>",
                   l->metrics->requests[static_cast<size_t>(Outcome::success)].load(), "\n"});
  }
  r.body =
      cat({"<!doctype html><html lang=en><meta charset=utf-8><title>nacre serve</title>"
           "<style>body{font:16px sans-serif;margin:2em}td,th{padding:.2em 1em .2em 0;"
           "text-align:left}</style><h1>nacre serve</h1><p>",
           draining ? "Draining: no new work is taken."
                    : "POST a picture, a clip or a row to /v1/models/NAME:predict, or tensors to "
                      "/v2/models/NAME/infer. <a href=/openapi.json>OpenAPI</a>, "
                      "<a href=/metrics>metrics</a>.",
           "</p><table><tr><th>model<th>version<th>state<th>network<th>answered\n", rows,
           "</table></html>\n"});
  return r;
}

std::string openapi_json() {
  struct Route {
    const char *method, *path, *summary, *body;
  };
  // body: 0 none, j JSON, b JSON with bytes behind it, a anything
  static constexpr Route routes[] = {
      {"get", "/v2", "Name, version and extensions of the server", ""},
      {"get", "/v2/health/live", "Whether the process answers", ""},
      {"get", "/v2/health/ready", "Whether every model is loaded and the server is not draining",
       ""},
      {"get", "/v2/models/{name}", "Inputs and outputs of a model", ""},
      {"get", "/v2/models/{name}/ready", "Whether a model answers", ""},
      {"post", "/v2/models/{name}/infer", "Tensors in, tensors out (Open Inference Protocol)",
       "tensors"},
      {"get", "/v2/models/{name}/versions/{version}", "Inputs and outputs of a version", ""},
      {"get", "/v2/models/{name}/versions/{version}/ready", "Whether a version answers", ""},
      {"post", "/v2/models/{name}/versions/{version}/infer", "Tensors in, tensors out", "tensors"},
      {"post", "/v2/repository/index", "All models and their versions", "json"},
      {"post", "/v2/repository/models/{name}/load", "Load the newest version, or the one given",
       "json"},
      {"post", "/v2/repository/models/{name}/unload", "Let go of a model", "json"},
      {"get", "/v1/models", "All models and their versions", ""},
      {"post", "/v1/models/{name}:predict",
       "A picture, a clip, a row, rows or CSV in; labels with probabilities or values out", "any"},
      {"post", "/v1/models/{name}/versions/{version}:predict", "The same, of a version", "any"},
      {"post", "/v1/models/{name}:canary", "Send a share of the requests to another version",
       "json"},
      {"post", "/v1/models/{name}:promote", "The canary takes over", "json"},
      {"post", "/v1/models/{name}:rollback", "Drop the canary, or go back to the version before",
       "json"},
      {"get", "/metrics", "Figures in Prometheus' text form", ""},
      {"get", "/healthz", "Whether the process answers", ""},
      {"get", "/openapi.json", "This description", ""},
  };
  const auto content = [](std::initializer_list<const char*> types) {
    Json c = Json::object();
    for (const char* t : types) c[t] = Json::object({{"schema", Json::object()}});
    return c;
  };
  Json paths = Json::object();
  for (const Route& route : routes) {
    const std::string_view path = route.path, body = route.body;
    Json operation = Json::object({{"summary", route.summary}});
    Json parameters = Json::array();
    for (const char* name : {"name", "version"})
      if (path.find(cat({"{", name, "}"})) != path.npos)
        parameters.push_back(Json::object({{"name", name},
                                           {"in", "path"},
                                           {"required", true},
                                           {"schema", Json::object({{"type", "string"}})}}));
    if (path.ends_with(":predict"))
      parameters.push_back(Json::object({{"name", "top"},
                                         {"in", "query"},
                                         {"description", "classes to answer (5)"},
                                         {"schema", Json::object({{"type", "integer"}})}}));
    if (parameters.size() > 0) operation["parameters"] = std::move(parameters);
    if (!body.empty())
      operation["requestBody"] = Json::object(
          {{"content",
            body == "any"
                ? content({"application/json", "text/csv", "text/plain", "image/*", "audio/wav"})
            : body == "tensors" ? content({"application/json", "application/octet-stream"})
                                : content({"application/json"})}});
    Json responses = Json::object({{"200", Json::object({{"description", "done"}})}});
    for (const auto& [code, text] :
         {std::pair{"400", "the request is wrong; the body says {\"error\": ...}"},
          std::pair{"404", "there is no such model"},
          std::pair{"503", "too much to do, or not loaded; see the header retry-after"}})
      if (route.method[0] == 'p' || code[0] == '4')
        responses[code] = Json::object({{"description", text}});
    operation["responses"] = std::move(responses);
    paths[path][route.method] = std::move(operation);
  }
  const Json j =
      Json::object({{"openapi", "3.0.3"},
                    {"info", Json::object({{"title", "nacre serve"}, {"version", NACRE_VERSION}})},
                    {"paths", std::move(paths)}});
  return print_json(j, 1) + "\n";
}

}  // namespace nacre::serve
