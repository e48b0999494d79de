// PaddlePaddle (https://www.paddlepaddle.org.cn): programs for inference, with their arrays.
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "importers/kinds.h"
#include "importers/paddle_importer.h"
#include "nacre/import.h"

namespace nacre {

std::string PaddleImporter::run() {
  for (const PaddleOp& op : program_.ops) {
    op_ = &op;
    if (op.type == "feed")
      feed();
    else if (op.type == "fetch")
      fetched_.push_back(one("X"));
    else
      translate();
  }
  problems_.finish("operators");
  if (fetched_.empty()) fail(Error::Kind::data, {what_, " fetches no outputs"});
  std::set<std::string> named;
  for (const std::string& v : fetched_) {
    if (!named.insert(v).second) continue;
    const auto at = program_.variables.find(v);
    const bool known = at != program_.variables.end();
    std::string name = v;
    if (values_[v] == v) name += "_output";  // an input as it is
    net_.node("Identity", {name_of(v)}, {name});
    net_.output(name, known ? rank(v) : -1, known ? onnx_number(at->second.type) : 1);
  }
  return net_.finish();
}

void PaddleImporter::wrong(std::initializer_list<Piece> why) const {
  const auto& out = op_->outputs.empty() || op_->outputs.begin()->second.empty()
                        ? op_->type
                        : op_->outputs.begin()->second[0];
  fail(Error::Kind::data, {what_, ": operator ", clip(printable(op_->type), 60), " that makes '",
                           clip(printable(out), 100), "' ", cat(why)});
}

std::string PaddleImporter::label() const {
  for (const auto& [parameter, variables] : op_->outputs)
    if (!variables.empty()) return variables[0];
  return op_->type;
}

void PaddleImporter::unsupported(std::string_view use) {
  problems_.add(cat({op_->type, " with ", use}), label());
  missing();
}

void PaddleImporter::missing() {
  for (const auto& [parameter, variables] : op_->outputs)
    for (const std::string& v : variables) values_[v] = net_.fresh("missing");
}

// ---- variables

const std::string& PaddleImporter::one(const std::string& parameter, size_t k) const {
  const auto& all = op_->in(parameter);
  if (k >= all.size()) wrong({"has no input ", parameter});
  return all[k];
}

std::string PaddleImporter::name_of(const std::string& variable) {
  if (const auto at = values_.find(variable); at != values_.end()) return at->second;
  const auto at = arrays_.find(variable);
  if (at == arrays_.end())
    wrong({"reads '", clip(printable(variable), 100), "', which nothing before it makes"});
  const PaddleArray& a = at->second;
  return values_[variable] = net_.constant(a.data, a.dims, onnx_number(a.type), variable);
}

const PaddleImporter::Ints& PaddleImporter::dims(const std::string& variable) const {
  static const Ints none;
  if (const auto at = arrays_.find(variable); at != arrays_.end()) return at->second.dims;
  const auto at = program_.variables.find(variable);
  return at == program_.variables.end() ? none : at->second.dims;
}

const std::string& PaddleImporter::out(const std::string& parameter, size_t k) const {
  const auto& all = op_->out(parameter);
  if (k >= all.size()) wrong({"has no output ", parameter});
  return all[k];
}

void PaddleImporter::give(const std::string& value, const std::string& parameter, size_t k) {
  values_[out(parameter, k)] = value;
}

void PaddleImporter::result(std::string_view op, const std::vector<std::string>& inputs,
                            const Attributes& attributes, const std::string& parameter) {
  const std::string name = net_.fresh(out(parameter));
  net_.node(op, inputs, {name}, attributes, out(parameter));
  give(name, parameter);
}

void PaddleImporter::feed() {
  const std::string& v = out();
  const auto at = program_.variables.find(v);
  if (at == program_.variables.end()) wrong({"feeds an unknown variable"});
  if (values_.contains(v)) wrong({"feeds a variable twice"});
  Ints shape = at->second.dims;
  for (int64_t& d : shape)
    if (d <= 0) d = -1;
  net_.input(v, shape, onnx_number(at->second.type));
  values_[v] = v;
}

namespace {

/// A program with a folder of files, one for each variable.
std::string import_folder(std::string_view bytes, const std::string& folder,
                          std::string_view what) {
  const PaddleProgram program = read_paddle_program(bytes, what);
  PaddleArrays arrays;
  std::vector<std::shared_ptr<const MappedFile>> files;
  for (const auto& [name, v] : program.variables) {
    if (!v.stored) continue;
    if (name.empty() || name.find('/') != std::string::npos || name[0] == '.')
      fail(Error::Kind::data, {what, " names a variable '", clip(printable(name), 100),
                               "', which is no name of a file"});
    files.push_back(MappedFile::open(folder + "/" + name));
    std::string_view rest = files.back()->bytes();
    arrays.emplace(name, read_paddle_array(rest, files.back()->path()));
  }
  return PaddleImporter(program, arrays, what).run();
}

/// Of a __model__: in one file, or each variable in a file of the same folder.
std::string weights_of_folder(const std::string& path) {
  const std::string file = beside(path, "__model__", "__params__");
  if (file_exists(file)) return file;
  const std::string folder = beside(path, "__model__", "");
  return folder.empty() ? "." : folder;
}

std::string read_program(const std::string& path, const std::string& weights) {
  const auto map = MappedFile::open(path);
  if (std::filesystem::is_directory(weights))
    return with_name(path, weights, [&] { return import_folder(map->bytes(), weights, path); });
  return import_paddle(map->bytes(), MappedFile::open(weights)->bytes(), path, weights);
}

}  // namespace

std::string import_paddle(std::string_view program, std::string_view params, std::string_view what,
                          std::string_view stored) {
  if (stored.empty()) stored = what;
  return with_name(what, stored, [&] {
    const PaddleProgram read = read_paddle_program(program, what);
    PaddleArrays arrays;
    // One after the other in the order of their names.
    for (const auto& [name, v] : read.variables)
      if (v.stored) arrays.emplace(name, read_paddle_array(params, stored));
    if (!params.empty())
      fail(Error::Kind::data,
           {stored, ": the arrays go on for ", params.size(), " bytes after those of the program"});
    return PaddleImporter(read, arrays, what).run();
  });
}

const NetworkKind kPaddleFiles = {
    ".pdmodel", "PaddlePaddle",
    [](const std::string& path) { return beside(path, ".pdmodel", ".pdiparams"); }, read_program};
const NetworkKind kPaddleFolders = {"__model__", "PaddlePaddle", weights_of_folder, read_program};

}  // namespace nacre
