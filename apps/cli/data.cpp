#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/text.h"
#include "cli/commands.h"
#include "nacre/data.h"
#include "nacre/error.h"
#include "train/terminal.h"

namespace nacre::cli {
namespace {

std::vector<std::pair<const char*, DatasetPtr>> parts(const DataSplits& d) {
  std::vector<std::pair<const char*, DatasetPtr>> list = {{"train", d.train}};
  if (d.val) list.emplace_back("val", d.val);
  if (d.test) list.emplace_back("test", d.test);
  return list;
}

std::string shape_of(const Sample& s) {
  if (!s.image.empty())
    return cat({s.image.width, "x", s.image.height, " pictures, ", s.image.channels,
                s.image.channels == 1 ? " channel" : " channels"});
  if (!s.audio.empty())
    return cat({"clips of ", format_number(static_cast<double>(s.audio.size()) / s.audio_rate, 3),
                " s at ", s.audio_rate, " Hz"});
  if (!s.features.empty())
    return cat({s.features.size(), " numbers a row", s.text.empty() ? "" : " and text"});
  if (!s.text.empty()) return "texts";
  return "other";
}

/// Of up to 64 samples of all parts of the data; what differs is said. `trouble` is what is wrong
/// with those that cannot be read.
std::string shape_of(const Dataset& data, std::string& trouble) {
  if (data.size() == 0) return "empty";
  Sample first;
  bool found = false, sizes = false, channels = false, lengths = false, rates = false;
  int64_t missing = 0, broken = 0;
  const int64_t n = std::min<int64_t>(64, data.size());
  for (int64_t i = 0; i < n && !(found && first.image.empty() && first.audio.empty()); ++i) {
    Sample s;
    try {
      s = data.get(i * data.size() / n);
    } catch (const Error& e) {
      if (broken++ == 0) trouble = e.what();
      continue;
    }
    if (!found) first = s;
    found = true;
    sizes |= s.image.width != first.image.width || s.image.height != first.image.height;
    channels |= s.image.channels != first.image.channels;
    lengths |= s.audio.size() != first.audio.size();
    rates |= s.audio_rate != first.audio_rate;
  }
  if (broken)
    trouble =
        cat({broken, " of ", n, " samples that were looked at cannot be read, such as ", trouble});
  if (!found) return "nothing that can be read";
  for (int64_t i = 0; i < data.size() && data.schema() && first.image.empty(); ++i) {
    const Sample s = data.get(i);
    missing +=
        std::any_of(s.features.begin(), s.features.end(), [](float v) { return std::isnan(v); });
  }
  std::string text = shape_of(first);
  std::string others;
  for (const auto& [differs, what] :
       {std::pair{sizes, "sizes"}, {channels, "channels"}, {lengths, "lengths"}, {rates, "rates"}})
    if (differs) others += cat({others.empty() ? "" : " and ", what});
  if (!others.empty()) text += ", others of other " + others;
  return missing ? cat({text, ", missing in ", missing, missing == 1 ? " row" : " rows"}) : text;
}

/// A class name that can be a folder.
std::string folder_name(std::string name) {
  for (char& c : name)
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < 32) c = '_';
  if (name.empty() || name == "." || name == "..") name = "_" + name;
  return name;
}

std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

void write_csv(const Dataset& part, const std::string& to) {
  const TableSchema* schema = table_schema(part);
  if (schema && schema->has_text())
    fail(Error::Kind::unsupported, {"texts cannot be written as numbers of a .csv file"});
  AtomicFile file(to);
  for (int64_t i = 0; i < part.size(); ++i) {
    check_stop();
    const Sample s = part.get(i);
    const auto& values = s.image.empty() ? s.features : s.image.pixels;
    if (values.empty() || s.image.channels > 1)
      fail(Error::Kind::unsupported,
           {"only grey pictures and rows of numbers can be written as .csv"});
    std::string line;
    if (i == 0) {
      if (schema && s.image.empty())
        for (const std::string& f : schema->feature_names()) line += cell(f) + ",";
      else
        for (size_t k = 0; k < values.size(); ++k) line += cat({"pixel", k, ","});
      const bool named = schema && schema->target >= 0;
      line += named ? cell(schema->columns[static_cast<size_t>(schema->target)].name) : "label";
      line += '\n';
    }
    for (float v : values) line += Piece(static_cast<double>(v)).text() + ",";
    line += s.label >= 0       ? cell(part.classes()[static_cast<size_t>(s.label)])
            : s.target.empty() ? ""
                               : Piece(static_cast<double>(s.target[0])).text();
    file.write(line + "\n");
  }
  file.commit();
}

/// One file, or one for each part with the part's name in its own. Returns their paths.
std::string write_csv_files(const DataSplits& d, const std::string& to) {
  const auto list = parts(d);
  std::vector<std::string> files;
  for (const auto& [name, part] : list)
    files.push_back(list.size() == 1 ? to : cat({to.substr(0, to.size() - 4), "_", name, ".csv"}));
  for (const std::string& file : files)
    if (file_exists(file)) fail(Error::Kind::usage, {file, " exists"});
  std::string said;
  for (size_t k = 0; k < files.size(); ++k) {
    write_csv(*list[k].second, files[k]);
    said += (k ? ", " : "") + files[k];
  }
  return said;
}

void write_pictures(const DataSplits& d, const std::string& to) {
  if (folder_exists(to) && !list_folder(to).empty())
    fail(Error::Kind::usage, {to, " exists and is not empty"});
  const auto list = parts(d);
  for (const auto& [name, part] : list)  // before a folder is made
    if (part->size() > 0 && part->get(0).image.empty())
      fail(Error::Kind::unsupported, {"the data hold no pictures; convert to a .csv file instead"});
  int64_t total = 0;
  for (const auto& [name, part] : list) total += part->size();
  Progress bar("writing", total, "pictures");
  for (const auto& [name, part] : list) {
    for (const std::string& c : part->classes())
      make_folders(to + "/" + name + "/" + folder_name(c));
    for (int64_t i = 0; i < part->size(); ++i) {
      check_stop();
      const Sample s = part->get(i);
      if (s.image.empty())
        fail(Error::Kind::unsupported,
             {"the data hold no pictures; convert to a .csv file instead"});
      if (s.label < 0) fail(Error::Kind::unsupported, {"the pictures have no classes"});
      char file[32];
      std::snprintf(file, sizeof(file), "%06ld.png", static_cast<long>(i));
      const auto bytes = encode_png(s.image);
      AtomicFile png(to + "/" + name + "/" +
                     folder_name(part->classes()[static_cast<size_t>(s.label)]) + "/" + file);
      png.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      png.commit(false);
      bar.advance();
    }
  }
  sync_disk(to);
  bar.finish();
}

}  // namespace

int run_data_info(const DataArgs& a) {
  const DataSplits d = open_dataset(a.path);
  Json j = Json::object();
  j["kind"] = d.kind;
  TextTable table({"part", "samples"});
  for (const auto& [name, part] : parts(d)) {
    table.add({name, std::to_string(part->size())});
    j[name] = part->size();
  }
  const auto& classes = d.train->classes();
  std::string trouble;
  const std::string shape = shape_of(*d.train, trouble);
  j["samples"] = shape;
  if (!trouble.empty()) j["trouble"] = trouble;
  std::map<int64_t, int64_t> counts;
  for (int64_t label : labels_of(*d.train)) ++counts[label];
  Json by_class = Json::object();
  for (size_t k = 0; k < classes.size(); ++k)
    by_class[classes[k]] = counts[static_cast<int64_t>(k)];
  j["classes"] = by_class;
  if (a.json) {
    std::printf("%s\n", print_json(j, 2).c_str());
    return 0;
  }
  std::printf("%s: %s, %s\n\n%s", a.path.c_str(), d.kind.c_str(), shape.c_str(),
              table.str().c_str());
  if (!classes.empty()) {
    TextTable sizes({"class", "training samples"});
    for (size_t k = 0; k < classes.size(); ++k)
      sizes.add({classes[k], std::to_string(counts[static_cast<int64_t>(k)])});
    std::printf("\n%s", sizes.str().c_str());
  }
  if (const std::string remark = d.train->remark(); !remark.empty())
    std::printf("\n%s\n", remark.c_str());
  if (!trouble.empty())
    std::printf("\n%s\n`nacre data check %s` lists all\n", trouble.c_str(), a.path.c_str());
  if (!d.ignored.empty())
    std::printf("\nleft aside: %zu files, such as %s\n", d.ignored.size(), d.ignored[0].c_str());
  return 0;
}

int run_data_check(const DataArgs& a) {
  const DataSplits d = open_dataset(a.path);
  const std::vector<Finding> findings = check_dataset(d);
  bool errors = false;
  Json list = Json::array();
  for (const Finding& f : findings) {
    const char* level = f.level == Finding::Level::error     ? "error"
                        : f.level == Finding::Level::warning ? "warning"
                                                             : "note";
    errors = errors || f.level == Finding::Level::error;
    if (a.json) {
      Json j = Json::object();
      j["level"] = level;
      j["code"] = f.code;
      j["text"] = f.text;
      j["count"] = f.count;
      Json examples = Json::array();
      for (const auto& e : f.examples) examples.push_back(e);
      j["examples"] = examples;
      list.push_back(j);
      continue;
    }
    std::printf("%s: %s\n", level, f.text.c_str());
    for (const auto& e : f.examples) std::printf("    %s\n", e.c_str());
  }
  if (a.json)
    std::printf("%s\n", print_json(list, 2).c_str());
  else if (findings.empty())
    std::printf("%s: nothing is wrong\n", a.path.c_str());
  return errors ? 1 : 0;
}

int run_data_convert(const DataArgs& a) {
  const DataSplits d = open_dataset(a.path);
  if (d.train->size() > 0 && !d.train->get(0).audio.empty())
    fail(Error::Kind::unsupported, {"clips of sound have no other form to be written in"});
  std::string written = a.to;
  if (a.to.ends_with(".csv") && a.to.size() > 4)
    written = write_csv_files(d, a.to);
  else
    write_pictures(d, a.to);
  std::printf("wrote %s\n", written.c_str());
  return 0;
}

}  // namespace nacre::cli
