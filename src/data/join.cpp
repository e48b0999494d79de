#include "nacre/join.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/signals.h"
#include "base/text.h"
#include "data/readers.h"
#include "data/spill.h"

namespace nacre {
namespace {

using data::Spill;

constexpr size_t kBlock = 1 << 20, kMostParts = 512, kMostEndings = 16;
constexpr uint64_t kMostText = 16 << 20;

bool ends_with_any(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](const char* e) { return name.ends_with(e); });
}

bool is_json(const std::string& path) { return ends_with_any(path, {".jsonl", ".ndjson"}); }

std::string stem_of(const std::string& path) {
  auto p = std::filesystem::path(path).lexically_normal();
  if (p.filename().empty()) p = p.parent_path();
  return p.stem().string();
}

/// A file that is read block after block.
class Blocks {
 public:
  explicit Blocks(const std::string& path)
      : path_(path), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail(Error::Kind::io, {path, " cannot be read: ", reason_of(errno)});
  }
  ~Blocks() { close(fd_); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  std::string_view text() const { return std::string_view(buffer_).substr(at_); }
  bool ended() const { return ended_; }
  void skip(size_t n) { at_ += n; }
  /// Reads on; false at the end.
  bool more() {
    buffer_.erase(0, at_);
    at_ = 0;
    const size_t had = buffer_.size();
    buffer_.resize(had + kBlock);
    ssize_t n = -1;
    do n = read(fd_, buffer_.data() + had, kBlock);
    while (n < 0 && errno == EINTR);
    if (n < 0) fail(Error::Kind::io, {path_, " cannot be read: ", reason_of(errno)});
    buffer_.resize(had + static_cast<size_t>(n));
    ended_ = n == 0;
    return n > 0;
  }

 private:
  std::string path_, buffer_;
  size_t at_ = 0;
  bool ended_ = false;
  int fd_;
};

/// Columns by name, in the order in which they are met.
struct Columns {
  std::vector<std::string> names;
  std::map<std::string, size_t, std::less<>> places;
  size_t of(const std::string& name, const std::string& source) {
    const auto [at, added] = places.emplace(name, names.size());
    if (added) names.push_back(name);
    if (names.size() > CsvOptions().max_columns)
      fail(Error::Kind::data,
           {source, " has more than ", CsvOptions().max_columns, " different columns"});
    return at->second;
  }
};

using Cells =
    std::vector<std::pair<size_t, std::string>>;  // column and text; empty ones are left out
using RowFunction = std::function<void(const Cells&)>;

void read_table(const std::string& path, Columns& columns, const RowFunction& row) {
  Blocks in(path);
  while (in.text().find('\n') == std::string_view::npos && in.more())
    if (in.text().size() > CsvOptions().max_line) break;
  if (in.text().starts_with("\xef\xbb\xbf")) in.skip(3);
  const char separator = data::csv_separator(in.text());
  data::CsvPlace place;
  std::vector<std::string> cells;
  bool header = true;
  Cells list;
  for (;;) {
    place.pos = 0;
    const int64_t line = place.line;
    if (in.text().empty() && (in.ended() || !in.more())) break;
    if (!data::csv_record(in.text(), place, in.ended(), separator, {}, path, cells)) {
      in.more();
      continue;
    }
    if (find_broken_utf8(in.text().substr(0, place.pos)) != std::string::npos)
      fail(Error::Kind::data, {path, ": line ", line, " is not UTF-8"});
    in.skip(place.pos);
    if (cells.size() == 1 && cells[0].empty()) continue;
    if (header) {
      header = false;
      for (const std::string& name : cells) {
        if (name.find('\r') != std::string::npos)
          fail(Error::Kind::data, {path, ": its lines end in CR alone; end them in LF or CR LF"});
        const size_t before = columns.names.size();
        if (columns.of(name, path) < before)
          fail(Error::Kind::data, {path, " has two columns called '", name, "'"});
      }
      continue;
    }
    if (cells.size() != columns.names.size())
      fail(Error::Kind::data, {path, ": line ", line, " has ", cells.size(),
                               " cells, the first has ", columns.names.size()});
    list.clear();
    for (size_t c = 0; c < cells.size(); ++c)
      if (!cells[c].empty()) list.emplace_back(c, cells[c]);
    row(list);
  }
}

void flatten(const Json& value, const std::string& name, const std::string& source,
             Columns& columns, Cells& cells) {
  if (value.is_null()) return;
  if (value.is_object()) {
    for (const auto& [field, v] : value.fields())
      flatten(v, name.empty() ? field : name + "." + field, source, columns, cells);
    return;
  }
  if (value.kind() == Json::Kind::number && std::fabs(value.number()) >= 0x1p63 &&
      value.number() == std::floor(value.number()))
    fail(Error::Kind::data,
         {source, ": a number of '", name, "' is too large to be kept to its last ",
          "digit; write it as a text"});
  std::string text = value.is_text() ? value.text() : print_json(value);
  const size_t column = columns.of(name, source);
  for (const auto& [other, there] : cells)
    if (other == column) fail(Error::Kind::data, {source, ": a row has two fields '", name, "'"});
  if (!text.empty()) cells.emplace_back(column, std::move(text));
}

void read_json_lines(const std::string& path, Columns& columns, const RowFunction& row) {
  Blocks in(path);
  int64_t line = 0;
  Cells cells;
  for (;;) {
    const std::string_view text = in.text();
    size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      if (text.size() > CsvOptions().max_line)
        fail(Error::Kind::data,
             {path, ": line ", line + 1, " has more than ", CsvOptions().max_line, " bytes"});
      if (!in.ended()) {
        in.more();
        continue;
      }
      if (text.empty()) break;
      end = text.size();
    }
    ++line;
    const std::string_view one = text.substr(0, end);
    if (one.find_first_not_of(" \t\r") != std::string_view::npos) {
      const std::string place = cat({path, " line ", line});
      const Json value = parse_json(one, place);
      if (!value.is_object())
        fail(Error::Kind::data, {place, " holds ", value.kind_name(), ", it should be an object"});
      cells.clear();
      flatten(value, "", path, columns, cells);
      row(cells);
    }
    in.skip(std::min(end + 1, text.size()));
  }
}

/// Endings of the files of a folder, most frequent first.
std::vector<std::string> endings_of(const std::string& folder) {
  std::map<std::string, int64_t> count;
  DIR* dir = opendir(folder.c_str());
  if (!dir) fail(Error::Kind::io, {folder, " cannot be read: ", reason_of(errno)});
  while (const dirent* e = readdir(dir)) {
    const std::string name = e->d_name;
    const auto dot = name.rfind('.');
    if (name[0] == '.') continue;
    if (count.size() < kMostEndings || count.count(dot == name.npos ? "" : name.substr(dot)))
      ++count[dot == name.npos ? "" : name.substr(dot)];
  }
  closedir(dir);
  std::vector<std::string> list;
  for (const auto& [ending, n] : count) list.push_back(ending);
  std::stable_sort(list.begin(), list.end(),
                   [&](const auto& a, const auto& b) { return count[a] > count[b]; });
  return list;
}

std::string text_at(const std::string& path) {
  std::string text = read_file(path, kMostText);
  if (find_broken_utf8(text) != std::string::npos) fail(Error::Kind::data, {path, " is not UTF-8"});
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

/// A source while it is joined.
struct Source {
  std::string path, key;
  bool folder = false;
  std::vector<std::string> endings;  // of a folder
  Columns columns;
  std::optional<Spill> rows;
  std::vector<size_t> out;    // column of the result of each own column; npos: the key
  std::vector<bool> is_path;  // columns that are replaced by texts
  size_t text_column = 0;     // of a folder
};

/// The rows of a part in memory, by key.
class KeyedRows {
 public:
  KeyedRows(const Source& s, size_t part, uint64_t most) {
    const uint64_t bytes = s.rows->bytes(part);
    if (bytes > most) too_many(s, part);
    bytes_.reserve(bytes);
    Spill::Reader reader(*s.rows, part);
    for (std::string_view r; reader.next(r);) {
      rows_.push_back({bytes_.size(), r.size()});
      bytes_ += r;
    }
    std::stable_sort(rows_.begin(), rows_.end(),
                     [this](const Row& a, const Row& b) { return key_of(a) < key_of(b); });
  }
  /// Records with this key, without it, in the order in which they came.
  template <class F>
  int64_t each(std::string_view key, const F& use) const {
    auto at = std::partition_point(rows_.begin(), rows_.end(),
                                   [&](const Row& r) { return key_of(r) < key; });
    int64_t n = 0;
    for (; at != rows_.end() && key_of(*at) == key; ++at, ++n) {
      std::string_view record = std::string_view(bytes_).substr(at->at, at->bytes);
      data::take_text(record);
      use(record);
    }
    return n;
  }

 private:
  struct Row {
    size_t at, bytes;
  };
  std::string_view key_of(const Row& r) const {
    std::string_view record = std::string_view(bytes_).substr(r.at, r.bytes);
    return data::take_text(record);
  }
  /// Parts are large only where one key is in most rows: it is named.
  [[noreturn]] static void too_many(const Source& s, size_t part) {
    std::string candidate;
    int64_t votes = 0;
    Spill::Reader reader(*s.rows, part);
    for (std::string_view r; reader.next(r);) {
      const std::string_view key = data::take_text(r);
      if (votes == 0) candidate = key;
      votes += key == candidate ? 1 : -1;
    }
    fail(Error::Kind::data,
         {"too many rows of ", s.path, " have the same ", s.key, ", such as '", candidate, "' (",
          format_bytes(s.rows->bytes(part)), "); put the source with one row for each ", s.key,
          " behind, and this one first"});
  }
  std::string bytes_;
  std::vector<Row> rows_;
};

void add_cell(std::string& line, std::string_view text) {
  if (text.find_first_of(",\"\n\r;\t") == std::string_view::npos) {
    line += text;
    return;
  }
  line += '"';
  for (const char c : text) line += c == '"' ? std::string("\"\"") : std::string(1, c);
  line += '"';
}

class Join {
 public:
  explicit Join(const JoinOptions& o) : o_(o), folder_(folder_of(o.out)) {}
  JoinResult run();

 private:
  static std::string folder_of(const std::string& path) {
    const std::string f = std::filesystem::path(path).parent_path().string();
    return f.empty() ? "." : f;
  }
  void open_sources();
  void put_aside(size_t k);
  void name_columns();
  void join_part(size_t part);
  void fill(Source& s, std::string_view record, std::vector<std::string>& cells) const;
  void emit(uint64_t number, std::string_view key, size_t k, std::vector<std::string>& cells,
            size_t part);
  std::optional<std::string> text_of(const Source& s, std::string_view key) const;
  void write();

  const JoinOptions& o_;
  std::string folder_;
  std::deque<Source> sources_;
  std::vector<KeyedRows> held_;  // of the part at work: of sources_[1], ... that are no folders
  std::vector<size_t> held_of_;  // place in held_ of each source
  std::optional<Spill> lines_;
  size_t parts_ = 1;
  std::string record_, line_;
  JoinResult result_;
};

void Join::open_sources() {
  uint64_t bytes = 0;
  size_t tables = 0;
  for (const std::string& path : o_.sources) {
    Source& s = sources_.emplace_back();
    s.path = path;
    s.folder = folder_exists(path);
    if (!s.folder && !file_exists(path)) fail(Error::Kind::io, {"there is no file ", path});
    if (!s.folder && !is_json(path) && !ends_with_any(path, {".csv", ".tsv", ".txt"}))
      fail(Error::Kind::usage, {path,
                                " is no source of a join: those are .csv and .tsv, .jsonl and "
                                ".ndjson, and folders of texts"});
    if (s.folder && sources_.size() == 1)
      fail(Error::Kind::usage,
           {"the first source of a join should be a table or JSON lines, ", path, " is a folder"});
    result_.sources.push_back({path, 0, 0, 0});
    if (s.folder) {
      s.endings = endings_of(path);
      continue;
    }
    s.key = o_.on[o_.on.size() == 1 ? 0 : std::min(tables, o_.on.size() - 1)];
    ++tables;
    if (sources_.size() > 1) bytes += std::filesystem::file_size(path);
  }
  if (o_.on.size() != 1 && o_.on.size() != tables)
    fail(Error::Kind::usage,
         {"one key is needed, or one for each of ", tables, " tables; there are ", o_.on.size()});
  // A row in memory takes up to twice its bytes in the file.
  parts_ = std::clamp<uint64_t>(2 * bytes / std::max<uint64_t>(1, o_.memory) + 1, 1, kMostParts);
}

/// Reads a source and puts its rows aside by the hash of their key.
void Join::put_aside(size_t k) {
  Source& s = sources_[k];
  JoinSource& count = result_.sources[k];
  s.rows.emplace(folder_, parts_);
  std::string record;
  uint64_t number = 0;
  const auto row = [&](const Cells& cells) {
    if (++count.rows % 4096 == 0) check_stop();
    const auto at = s.columns.places.find(s.key);
    std::string_view key;
    for (const auto& [c, text] : cells)
      if (at != s.columns.places.end() && c == at->second) key = text;
    if (key.empty() && k > 0) {
      ++count.keyless;
      return;
    }
    record.clear();
    if (k == 0) data::put_number(record, number++);
    data::put_text(record, key);
    for (const auto& [c, text] : cells) {
      if (k > 0 && c == at->second) continue;
      data::put_number(record, c);
      data::put_text(record, text);
    }
    s.rows->add(hash64(key) % parts_, record);
  };
  if (is_json(s.path))
    read_json_lines(s.path, s.columns, row);
  else
    read_table(s.path, s.columns, row);
  s.rows->flush();
  if (s.columns.places.count(s.key)) return;
  std::string known;
  for (const std::string& name : s.columns.names)
    if (known.size() < 300) known += (known.empty() ? "" : ", ") + name;
  fail(Error::Kind::data, {s.path, " has no column '", s.key, "' to join on; it has ",
                           known.empty() ? "none" : known});
}

void Join::name_columns() {
  std::set<std::string> taken;
  std::set<std::string> paths(o_.texts.begin(), o_.texts.end());
  const auto name = [&](const Source& s, const std::string& wanted) {
    std::string n = wanted;
    if (taken.count(n)) n = stem_of(s.path) + "." + wanted;
    if (!taken.insert(n).second)
      fail(Error::Kind::data,
           {"two columns of the result would be called '", n, "'; rename one of ", s.path});
    result_.columns.push_back(n);
    return result_.columns.size() - 1;
  };
  for (size_t k = 0; k < sources_.size(); ++k) {
    Source& s = sources_[k];
    if (s.folder) {
      s.text_column = name(s, stem_of(s.path));
      continue;
    }
    for (const std::string& column : s.columns.names) {
      const bool own_key = k > 0 && column == s.key;
      s.out.push_back(own_key ? std::string::npos : name(s, column));
      s.is_path.push_back(paths.erase(own_key ? "" : result_.columns.back()) > 0);
    }
  }
  if (!paths.empty())
    fail(Error::Kind::usage, {"there is no column '", *paths.begin(), "' of paths to texts"});
}

void Join::fill(Source& s, std::string_view record, std::vector<std::string>& cells) const {
  while (!record.empty()) {
    const size_t c = data::take_number(record);
    const std::string_view text = data::take_text(record);
    cells[s.out[c]] =
        s.is_path[c] ? text_at(join_inside(folder_of(s.path), text)) : std::string(text);
  }
}

std::optional<std::string> Join::text_of(const Source& s, std::string_view key) const {
  if (key.empty() || key.find_first_of(std::string_view("/\0", 2)) != key.npos || key[0] == '.')
    return std::nullopt;
  std::string found;
  for (const std::string& ending : s.endings) {
    const std::string name = cat({key, ending}), path = s.path + "/" + name;
    struct stat st {};
    if (stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    if (!found.empty())
      fail(Error::Kind::data, {s.path, " has two texts for the key '", key, "', ", found, " and ",
                               name, "; there should be one"});
    found = name;
  }
  if (found.empty()) return std::nullopt;
  return text_at(join_inside(s.path, found));
}

/// Goes through the sources from k on; a row is written for each combination of matches.
void Join::emit(uint64_t number, std::string_view key, size_t k, std::vector<std::string>& cells,
                size_t part) {
  if (k == sources_.size()) {
    if (++result_.rows % 4096 == 0) check_stop();
    line_.clear();
    data::put_number(line_, number);
    for (size_t c = 0; c < cells.size(); ++c) {
      if (c) line_ += ',';
      add_cell(line_, cells[c]);
    }
    line_ += '\n';
    lines_->add(part, line_);
    return;
  }
  Source& s = sources_[k];
  int64_t found = 0;
  if (s.folder) {
    if (auto text = text_of(s, key)) {
      found = 1;
      ++result_.sources[k].rows;
      cells[s.text_column] = std::move(*text);
      emit(number, key, k + 1, cells, part);
      cells[s.text_column].clear();
    }
  } else if (!key.empty()) {
    found = held_[held_of_[k]].each(key, [&](std::string_view record) {
      fill(s, record, cells);
      emit(number, key, k + 1, cells, part);
      for (const size_t c : s.out)
        if (c != std::string::npos) cells[c].clear();
    });
  }
  if (found) return;
  ++result_.sources[k].without;
  if (!o_.inner) emit(number, key, k + 1, cells, part);
}

void Join::join_part(size_t part) {
  held_.clear();
  held_of_.assign(sources_.size(), 0);
  for (size_t k = 1; k < sources_.size(); ++k) {
    if (sources_[k].folder) continue;
    held_of_[k] = held_.size();
    held_.emplace_back(sources_[k], part, 2 * o_.memory);
  }
  std::vector<std::string> cells(result_.columns.size());
  Spill::Reader rows(*sources_[0].rows, part);
  for (std::string_view record; rows.next(record);) {
    const uint64_t number = data::take_number(record);
    const std::string key(data::take_text(record));
    for (std::string& c : cells) c.clear();
    fill(sources_[0], record, cells);
    emit(number, key, 1, cells, part);
  }
}

/// The parts' rows in the order of the first source.
void Join::write() {
  AtomicFile out(o_.out);
  std::string text;
  for (size_t c = 0; c < result_.columns.size(); ++c) {
    if (c) text += ',';
    add_cell(text, result_.columns[c]);
  }
  text += '\n';
  std::vector<Spill::Reader> readers;
  std::vector<std::string_view> lines(parts_);
  std::priority_queue<std::pair<uint64_t, size_t>, std::vector<std::pair<uint64_t, size_t>>,
                      std::greater<>>
      next;
  const auto pull = [&](size_t part) {
    if (!readers[part].next(lines[part])) return;
    next.emplace(data::take_number(lines[part]), part);
  };
  for (size_t p = 0; p < parts_; ++p) readers.emplace_back(*lines_, p);
  for (size_t p = 0; p < parts_; ++p) pull(p);
  while (!next.empty()) {
    const auto [number, part] = next.top();
    next.pop();
    text += lines[part];
    pull(part);
    if (text.size() < kBlock) continue;
    check_stop();
    out.write(text);
    text.clear();
  }
  out.write(text);
  out.commit();
}

JoinResult Join::run() {
  open_sources();
  for (size_t k = 0; k < sources_.size(); ++k)
    if (!sources_[k].folder) put_aside(k);
  name_columns();
  lines_.emplace(folder_, parts_);
  for (size_t p = 0; p < parts_; ++p) join_part(p);
  held_.clear();
  lines_->flush();
  write();
  return result_;
}

}  // namespace

void JoinOptions::check() const {
  if (sources.size() < 2)
    fail(Error::Kind::usage, {"a join needs two sources or more, got ", sources.size()});
  if (on.empty() || std::any_of(on.begin(), on.end(), [](const auto& n) { return n.empty(); }))
    fail(Error::Kind::usage, {"a join needs the name of the key: --on id"});
  if (!out.ends_with(".csv"))
    fail(Error::Kind::usage, {"a join writes a table: --out should end in .csv, got '", out, "'"});
  if (file_exists(out)) fail(Error::Kind::usage, {out, " exists"});
  if (memory < uint64_t{1} << 20)
    fail(Error::Kind::usage, {"a join needs at least 1 MB of memory for rows, got ", memory});
}

JoinResult join_tables(const JoinOptions& options) {
  options.check();
  return Join(options).run();
}

}  // namespace nacre
