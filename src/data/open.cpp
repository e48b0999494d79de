// Recognising what a file or folder holds.
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/file.h"
#include "base/gzip.h"
#include "base/log.h"
#include "base/text.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre {
namespace data {
namespace {

constexpr uint64_t kMaxData = uint64_t{1} << 32;
constexpr size_t kMaxDepth = 8;

}  // namespace

std::string lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

Part part_of_folder(const std::string& name) {
  const std::string n = lower(name);
  if (n == "train" || n == "training") return train;
  if (n == "val" || n == "valid" || n == "validation" || n == "dev") return val;
  return n == "test" || n == "testing" ? test : none;
}

DatasetPtr& slot(DataSplits& s, Part part) {
  return part == val ? s.val : part == test ? s.test : s.train;
}

int64_t class_index(const std::vector<std::string>& classes, const std::string& name,
                    const std::string& where) {
  const auto found = std::find(classes.begin(), classes.end(), name);
  if (found == classes.end())
    fail(Error::Kind::data, {where, ": the class '", name, "' is not in the training part"});
  return found - classes.begin();
}

namespace {

std::string stem(const std::string& path) {
  std::string p = path;
  while (p.size() > 1 && p.back() == '/') p.pop_back();
  return p.substr(p.rfind('/') == p.npos ? 0 : p.rfind('/') + 1);
}

/// Which part a file is, by a word in its name.
Part part_of_file(const std::string& name) {
  std::string n = lower(name), word;
  n += '.';
  for (const char c : n) {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    if (word == "t" && c >= '0' && c <= '9') return test;  // t10k
    if (const Part p = part_of_folder(word); p != none) return p;
    word.clear();
  }
  return none;
}

bool has_ending(const std::string& name, std::initializer_list<std::string_view> endings) {
  std::string n = lower(name);
  if (n.ends_with(".gz")) n.resize(n.size() - 3);
  return std::any_of(endings.begin(), endings.end(), [&](auto e) { return n.ends_with(e); });
}

// ---- IDX

const std::vector<std::string> kFashion = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                           "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};

IdxFormat idx_format(const std::string& path) {
  IdxFormat f;
  const std::string n = lower(path);
  if (n.find("fashion") != n.npos) f.classes = kFashion;
  if (n.find("emnist") != n.npos) {
    f.transposed = true;
    if (n.find("letters") != n.npos) {
      f.first_label = 1;
      for (char c = 'a'; c <= 'z'; ++c) f.classes.emplace_back(1, c);
    }
  }
  return f;
}

std::string replaced(std::string s, std::string_view from, std::string_view to) {
  if (const size_t at = s.find(from); at != s.npos) s.replace(at, from.size(), to);
  return s;
}

bool is_idx_images(const std::string& name) {
  return name.find("idx3") != name.npos && name.find("images") != name.npos;
}

DatasetPtr open_idx(const std::string& folder, const std::string& images) {
  std::string labels = replaced(replaced(images, "images", "labels"), "idx3", "idx1");
  const std::string path = folder + "/" + images;
  // One of the two may be packed and the other not.
  if (labels.ends_with(".gz")) labels.resize(labels.size() - 3);
  if (!file_exists(folder + "/" + labels)) labels += ".gz";
  labels = folder + "/" + labels;
  if (!file_exists(labels))
    fail(Error::Kind::data, {"the labels of ", path, " are missing: neither ", labels, " nor ",
                             labels.substr(0, labels.size() - 3), " exists"});
  return idx_dataset(read_gzip_file(path, kMaxData), read_gzip_file(labels, kMaxData),
                     idx_format(path), path, labels);
}

bool try_idx(const std::string& folder, const std::vector<FolderEntry>& entries, DataSplits& out) {
  for (const auto& e : entries) {
    if (e.is_folder || !is_idx_images(e.name)) continue;
    const Part part = part_of_file(e.name);
    DatasetPtr& place = slot(out, part);
    if (!place)
      place = open_idx(folder, e.name);
    else
      out.ignored.push_back(folder + "/" + e.name);
    out.kind = "idx";
  }
  return out.kind == "idx";
}

// ---- CIFAR

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  const std::string text = read_file(path, 1 << 20);
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    std::string line = text.substr(from, end - from);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(line);
    from = end + 1;
  }
  return lines;
}

std::vector<std::string> class_names(const std::string& path, size_t count) {
  std::vector<std::string> names;
  if (file_exists(path)) names = lines_of(path);
  if (names.size() == count) return names;
  names.clear();
  for (size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

bool try_cifar(const std::string& folder, const std::vector<FolderEntry>& entries,
               DataSplits& out) {
  std::vector<std::string> batches;
  for (const auto& e : entries)
    if (e.name.starts_with("data_batch_") && e.name.ends_with(".bin"))
      batches.push_back(read_file(folder + "/" + e.name, kMaxData));
  const auto one = [&](const std::string& name, int label_bytes, const auto& classes, int64_t n) {
    const std::string path = folder + "/" + name;
    if (!file_exists(path)) return DatasetPtr();
    return cifar_dataset({read_file(path, kMaxData)}, label_bytes, classes, n, path);
  };
  if (!batches.empty()) {
    const auto classes = class_names(folder + "/batches.meta.txt", 10);
    out.kind = "cifar10";
    out.train = cifar_dataset(std::move(batches), 1, classes, 50000, folder);
    out.test = one("test_batch.bin", 1, classes, 10000);
    return true;
  }
  if (!file_exists(folder + "/train.bin")) return false;
  const auto classes = class_names(folder + "/fine_label_names.txt", 100);
  out.kind = "cifar100";
  out.train = one("train.bin", 2, classes, 50000);
  out.test = one("test.bin", 2, classes, 10000);
  return true;
}

// ---- folders of pictures, clips or texts

/// The folder that is being read and all that it lies in, so that a link to one of them is not
/// followed round and round.
class Way {
 public:
  explicit Way(std::string folder) {
    for (Id id = id_of(folder); above_.empty() || id != above_.back(); id = id_of(folder += "/.."))
      above_.push_back(id);
  }
  /// False, with a warning, if the folder is on the way already.
  bool enter(const std::string& folder) {
    const Id id = id_of(folder);
    if (std::find(above_.begin(), above_.end(), id) != above_.end()) {
      warn_once({folder, " is a link to a folder that it lies in, and is left aside"});
      return false;
    }
    above_.push_back(id);
    return true;
  }
  void leave() { above_.pop_back(); }

 private:
  using Id = std::pair<dev_t, ino_t>;
  static Id id_of(const std::string& folder) {
    struct stat info {};
    ::stat(folder.c_str(), &info);
    return {info.st_dev, info.st_ino};
  }
  std::vector<Id> above_;
};

void collect(const std::string& folder, int64_t label, size_t depth,
             bool (*wanted)(std::string_view), std::vector<PictureEntry>& out,
             std::vector<std::string>& ignored, Way& way) {
  for (const auto& e : list_folder(folder)) {
    if (e.name.starts_with(".")) continue;
    const std::string path = folder + "/" + e.name;
    if (e.is_folder && depth < kMaxDepth && way.enter(path)) {
      collect(path, label, depth + 1, wanted, out, ignored, way);
      way.leave();
    } else if (!e.is_folder && wanted(e.name)) {
      out.push_back({path, label});
    } else {
      ignored.push_back(path);
    }
  }
}

/// Names of the folders in one, but for links that lead back.
std::vector<std::string> subfolders(const std::string& folder,
                                    const std::vector<FolderEntry>& entries) {
  Way way(folder);
  std::vector<std::string> names;
  for (const auto& e : entries) {
    if (!e.is_folder || e.name.starts_with(".") || !way.enter(folder + "/" + e.name)) continue;
    way.leave();
    names.push_back(e.name);
  }
  return names;
}

/// A list "picture class" (name or number of the class a line) beside a folder without classes.
DatasetPtr listed_pictures(const std::string& folder, const std::string& list,
                           const std::vector<std::string>& classes, const DecodeLimits& limits) {
  std::vector<PictureEntry> entries;
  for (const std::string& line : lines_of(list)) {
    const size_t at = line.find_last_of(" \t");
    if (at == line.npos || at == 0)
      fail(Error::Kind::data,
           {list, ": the line '", line.substr(0, 80), "' is not 'picture class'"});
    const std::string label = line.substr(at + 1);
    const bool number = !label.empty() && label.size() < 7 &&
                        label.find_first_not_of("0123456789") == label.npos &&
                        static_cast<size_t>(std::stoi(label)) < classes.size();
    const bool named = std::find(classes.begin(), classes.end(), label) != classes.end();
    entries.push_back({join_inside(folder, line.substr(0, line.find_last_not_of(" \t", at) + 1)),
                       number && !named ? std::stoi(label) : class_index(classes, label, list)});
  }
  auto remark = imagenet_remark(classes, static_cast<int64_t>(entries.size()));
  return picture_dataset(std::move(entries), classes, limits, remark);
}

DatasetPtr class_folders(const std::string& folder, std::vector<std::string> classes,
                         const DecodeLimits& limits, std::vector<std::string>& ignored) {
  const auto entries = list_folder(folder);
  const auto names = subfolders(folder, entries);
  if (names.empty() && !classes.empty() && file_exists(folder + ".txt"))
    return listed_pictures(folder, folder + ".txt", classes, limits);
  if (classes.empty()) classes = names;
  std::vector<PictureEntry> found;
  std::vector<std::string> others;
  bool texts = false;
  for (const auto wanted : {is_picture_name, is_clip_name, is_text_name}) {
    others.clear();
    for (const auto& name : names) {
      const std::string path = folder + "/" + name;
      Way way(path);
      collect(path, class_index(classes, name, folder), 0, wanted, found, others, way);
    }
    texts = wanted == is_text_name;
    if (!found.empty()) break;
  }
  ignored.insert(ignored.end(), others.begin(), others.end());
  for (const auto& e : entries)
    if (!e.is_folder && !e.name.starts_with(".")) ignored.push_back(folder + "/" + e.name);
  if (texts) return text_files(std::move(found), std::move(classes));
  auto remark = imagenet_remark(classes, static_cast<int64_t>(found.size()));
  return picture_dataset(std::move(found), std::move(classes), limits, remark);
}

bool try_folders(const std::string& folder, const std::vector<FolderEntry>& entries,
                 const OpenOptions& options, DataSplits& out) {
  const auto names = subfolders(folder, entries);
  std::map<Part, std::string> parts;
  for (const auto& n : names)
    if (part_of_folder(n) != none) parts.emplace(part_of_folder(n), n);
  if (parts.count(train)) {
    const auto open = [&](Part p, const std::vector<std::string>& classes) {
      return class_folders(folder + "/" + parts[p], classes, options.limits, out.ignored);
    };
    out.train = open(train, {});
    for (const Part p : {val, test})
      if (parts.count(p)) slot(out, p) = open(p, out.train->classes());
    for (const auto& n : names)
      if (std::none_of(parts.begin(), parts.end(), [&](auto& p) { return p.second == n; }))
        out.ignored.push_back(folder + "/" + n);
  } else if (!names.empty()) {
    out.train = class_folders(folder, {}, options.limits, out.ignored);
  }
  if (!out.train || out.train->size() == 0) {
    out = {};
    return false;
  }
  out.kind = "folder";
  return true;
}

// ---- tables and texts

/// Every line of the beginning has exactly one TAB.
bool is_labelled_text(const std::string& text) {
  const std::string_view start = std::string_view(text).substr(0, 1 << 16);
  size_t lines = 0;
  for (size_t from = 0; from < start.size();) {
    const size_t end = start.find('\n', from);
    if (end == start.npos && start.size() < text.size()) break;
    const auto line = start.substr(from, std::min(end, start.size()) - from);
    if (!line.empty() && (std::count(line.begin(), line.end(), '\t') != 1 || line[0] == '\t'))
      return false;
    lines += !line.empty();
    from = end == start.npos ? start.size() : end + 1;
  }
  return lines > 0;
}

/// One name a line in vocabulary.txt beside a file of sparse rows.
std::vector<std::string> column_names(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string list = (slash == path.npos ? "" : path.substr(0, slash + 1)) + "vocabulary.txt";
  std::vector<std::string> names;
  if (!file_exists(list)) return names;
  const std::string text = read_file(list, 16 << 20);
  check_utf8(text, list);
  for (size_t from = 0; from < text.size() && names.size() < 20000;) {
    const size_t end = std::min(text.find('\n', from), text.size());
    names.push_back(text.substr(from, end - from));
    if (!names.back().empty() && names.back().back() == '\r') names.back().pop_back();
    from = end + 1;
  }
  return names;
}

bool is_table_name(const std::string& name) { return has_ending(name, {".csv", ".tsv", ".txt"}); }

/// Opens a table or labelled text into a part; the training part comes first.
void open_table(const std::string& path, Part part, const OpenOptions& options, DataSplits& out) {
  const std::string text = read_gzip_file(path, options.csv.max_bytes);
  if (text.empty()) fail(Error::Kind::data, {path, ": the file has 0 bytes"});
  CsvOptions csv = options.csv;
  if (out.train) csv.schema = table_schema(*out.train);
  if (is_sparse_rows(text)) {
    out.kind = "sparse";
    slot(out, part) = sparse_dataset(text, csv, path, column_names(path));
    return;
  }
  const bool labelled = has_ending(path, {".tsv", ".txt"}) && is_labelled_text(text);
  if (!labelled && has_ending(path, {".txt"}))
    fail(Error::Kind::data, {path,
                             ": is text without labels; lines 'label TAB text' and rows "
                             "'label index:value ...' are read"});
  out.kind = labelled ? "text" : "table";
  if (labelled) {
    std::vector<std::string> classes;
    if (csv.schema && csv.schema->has_text() && csv.schema->target >= 0)
      classes = csv.schema->columns[static_cast<size_t>(csv.schema->target)].categories;
    slot(out, part) = text_dataset(text, classes, path);
    return;
  }
  slot(out, part) = csv_dataset(text, csv, path);
}

bool try_tables(const std::string& folder, const std::vector<FolderEntry>& entries,
                const OpenOptions& options, DataSplits& out) {
  std::map<Part, std::string> found;
  for (const auto& e : entries) {
    // Notes in text files are no data, unless their name says which part they are.
    if (e.is_folder || !is_table_name(e.name)) continue;
    const Part part = part_of_file(e.name);
    if (part == none && has_ending(e.name, {".txt"})) continue;
    const Part place = part == none ? train : part;
    if (!found.emplace(place, e.name).second)
      fail(Error::Kind::data, {folder, ": ", found[place], " and ", e.name, " could both be the ",
                               place == train ? "training" : "same",
                               " part; give one file, or name them train and test"});
  }
  if (!found.count(train)) return false;
  for (const auto& [part, name] : found) open_table(folder + "/" + name, part, options, out);
  return true;
}

bool is_archive_name(const std::string& name) { return has_ending(name, {".tar", ".tgz", ".zip"}); }

/// An archive with parts inside, or one for each part.
bool try_archives(const std::string& folder, const std::vector<FolderEntry>& entries,
                  const OpenOptions& options, DataSplits& out) {
  std::vector<std::string> archives;
  for (const auto& e : entries)
    if (!e.is_folder && is_archive_name(e.name)) archives.push_back(e.name);
  if (archives.empty()) return false;
  for (const std::string& name : archives) {
    const std::string path = folder + "/" + name;
    DataSplits one = open_archive(path, archives.size() == 1, options.limits);
    DatasetPtr& place = slot(out, part_of_file(name));
    if (archives.size() == 1) {
      out = std::move(one);
    } else if (place) {
      out.ignored.push_back(path);
    } else {
      out.kind = one.kind;
      place = one.train;
      out.ignored.insert(out.ignored.end(), one.ignored.begin(), one.ignored.end());
    }
  }
  for (const DatasetPtr& part : {out.val, out.test})
    if (part && out.train && part->classes() != out.train->classes())
      fail(Error::Kind::data, {folder, ": the parts have different classes (",
                               out.train->classes().size(), " and ", part->classes().size(), ")"});
  return true;
}

DataSplits open_file(const std::string& path, const OpenOptions& options) {
  DataSplits out;
  const std::string name = stem(path);
  const size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (is_idx_images(name)) {
    out.kind = "idx";
    out.train = open_idx(folder, name);
  } else if (is_archive_name(name)) {
    out = open_archive(path, true, options.limits);
  } else if (is_table_name(name)) {
    open_table(path, train, options, out);
  } else {
    fail(Error::Kind::data,
         {path,
          ": is not a data set; tables (.csv, .tsv), labelled text (.tsv, "
          ".txt), IDX pictures, archives (.tar, .tar.gz, .zip) and folders are read"});
  }
  return out;
}

DataSplits open_any(const std::string& path, const OpenOptions& options) {
  if (file_exists(path)) return open_file(path, options);
  const auto entries = list_folder(path);
  DataSplits out;
  if (try_idx(path, entries, out) || try_cifar(path, entries, out) ||
      try_folders(path, entries, options, out) || try_tables(path, entries, options, out) ||
      try_archives(path, entries, options, out)) {
    if (!out.train) fail(Error::Kind::data, {path, ": has a test part, but no training part"});
    return out;
  }
  const auto count = [&](bool (*wanted)(std::string_view)) {
    return std::count_if(entries.begin(), entries.end(),
                         [&](const auto& e) { return !e.is_folder && wanted(e.name); });
  };
  const auto pictures = count(is_picture_name), clips = count(is_clip_name);
  fail(Error::Kind::data,
       {path, ": holds nothing that is read (",
        entries.empty() ? "it is empty"
        : pictures      ? cat({pictures, " pictures, but no folder per class"})
        : clips         ? cat({clips, " clips, but no folder per class"})
                        : cat({entries.size(), " entries"}),
        "); read are a folder per class, train/ and test/ of those, IDX, CIFAR, CSV, TSV and "
        "archives (.tar, .tar.gz, .zip)"});
}

}  // namespace
}  // namespace data

DataSplits open_dataset(const std::string& path, const OpenOptions& options) {
  DataSplits out = data::open_any(path, options);
  for (const std::string& name : out.train->classes())
    if (find_broken_utf8(name) != name.npos)
      fail(Error::Kind::data,
           {path, ": the class name '", printable(name), "' is not UTF-8; rename it"});
  return out;
}

}  // namespace nacre
