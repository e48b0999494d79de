// Writes the tables, the header and the reference that are derived from op, kernel and model files.
//
//   gen_ops SOURCE_DIR OUT_DIR
//
// Reads  src/ops/<family>/*.cpp            API(...) and OP(name)
//        src/backends/cpu/kernels/*.cpp    KERNEL(name)
//        src/zoo/<family>/*.cpp            MODEL(name, ...)
//        src/onnx/ops/*.cpp                ONNX(name)
//        src/labs/*.cpp                    LAB(name)
// Writes include/nacre/ops.h, op_table.cpp, ops.md, cpu_kernels.cpp, zoo_table.cpp, onnx_table.cpp,
// lab_table.cpp, each only if its content changed, so that nothing is compiled again for nothing.
// Mistakes are reported as file:line: error: ..., all at once; then nothing is written and the exit
// code is 1.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

int mistakes = 0;

void report(const std::string& file, size_t line, const std::string& text) {
  std::cerr << file << ":" << line << ": error: " << text << "\n";
  ++mistakes;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string trimmed(std::string_view s) {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return std::string(s);
}

/// Every run of white space becomes one space.
std::string one_line(std::string_view s) {
  std::string out;
  for (char c : s) {
    if (!is_blank(c))
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  return trimmed(out);
}

/// The text with comments, strings and character constants blanked out; positions stay the same.
std::string without_comments(const std::string& s) {
  std::string out = s;
  size_t i = 0;
  const auto blank_to = [&](size_t end) {
    for (end = std::min(end, s.size()); i < end; ++i)
      if (out[i] != '\n') out[i] = ' ';
  };
  while (i < s.size()) {
    if (s.compare(i, 2, "//") == 0) {
      blank_to(s.find('\n', i));
    } else if (s.compare(i, 2, "/*") == 0) {
      const size_t end = s.find("*/", i + 2);
      blank_to(end == std::string::npos ? end : end + 2);
    } else if (s.compare(i, 2, "R\"") == 0 && (i == 0 || !is_word(s[i - 1]))) {
      const size_t open = s.find('(', i);
      if (open == std::string::npos) return out;
      const std::string close = ")" + s.substr(i + 2, open - i - 2) + "\"";
      const size_t end = s.find(close, open);
      blank_to(end == std::string::npos ? end : end + close.size());
    } else if (s[i] == '"' || (s[i] == '\'' && (i == 0 || !is_word(s[i - 1])))) {
      size_t end = i + 1;
      while (end < s.size() && s[end] != s[i] && s[end] != '\n') end += s[end] == '\\' ? 2 : 1;
      blank_to(end + 1);
    } else {
      ++i;
    }
  }
  return out;
}

/// One use of API, OP, KERNEL, MODEL, ONNX or LAB at the start of a line.
struct Use {
  std::string macro;
  std::string content;  // between the parentheses, as written
  std::string bare;     // the same without comments and strings
  std::string doc;      // the /// lines directly before, joined by newlines
  size_t line = 0;
};

struct Source {
  std::string file;    // relative to the source folder
  std::string family;  // the folder it is in
  std::vector<Use> uses;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string doc_before(const std::vector<std::string>& lines, size_t line) {
  size_t first = line;
  while (first > 0 && trimmed(lines[first - 1]).starts_with("///")) --first;
  std::string doc;
  for (size_t i = first; i < line; ++i) {
    std::string text = trimmed(lines[i]).substr(3);
    if (text.starts_with(' ')) text.erase(0, 1);
    doc += (i > first ? "\n" : "") + text;
  }
  return doc;
}

/// Content that was aligned behind "API(" moves left by those four columns.
std::string dedented(const std::string& content) {
  std::vector<std::string> lines = lines_of(content);
  bool deep = true;
  for (size_t i = 1; i < lines.size(); ++i)
    deep = deep && (trimmed(lines[i]).empty() || lines[i].starts_with("    "));
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i)
    out += (i ? "\n" : "") + (i && deep && lines[i].size() > 3 ? lines[i].substr(4) : lines[i]);
  return trimmed(out);
}

Source read_source(const fs::path& root, const fs::path& path) {
  Source source{fs::relative(path, root).generic_string(), path.parent_path().filename(), {}};
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) report(source.file, 1, "cannot be read");
  const std::string bare = without_comments(text);
  const std::vector<std::string> lines = lines_of(text);
  size_t start = 0;
  for (size_t line = 0; line < lines.size(); start += lines[line++].size() + 1) {
    if (line > 0 && lines[line - 1].ends_with('\\')) continue;  // inside a macro
    size_t i = start;
    while (i < bare.size() && bare[i] == ' ') ++i;
    size_t end = i;
    while (end < bare.size() && is_word(bare[end])) ++end;
    const std::string macro = bare.substr(i, end - i);
    if (macro != "API" && macro != "OP" && macro != "KERNEL" && macro != "MODEL" &&
        macro != "ONNX" && macro != "LAB")
      continue;
    if (end >= bare.size() || bare[end] != '(') continue;
    int depth = 0;
    size_t close = end;
    for (; close < bare.size(); ++close) {
      depth += bare[close] == '(';
      depth -= bare[close] == ')';
      if (depth == 0) break;
    }
    if (depth != 0) {
      report(source.file, line + 1, macro + "( is never closed");
      continue;
    }
    const size_t from = end + 1, size = close - from;
    source.uses.push_back({macro, dedented(text.substr(from, size)), bare.substr(from, size),
                           doc_before(lines, line), line + 1});
  }
  return source;
}

/// The .cpp files under a folder, in order of their names.
std::vector<Source> read_folder(const fs::path& root, const char* folder) {
  std::vector<fs::path> paths;
  if (fs::exists(root / folder))
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.is_regular_file() && entry.path().extension() == ".cpp")
        paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Source> sources;
  for (const auto& path : paths) sources.push_back(read_source(root, path));
  return sources;
}

/// The first word of a use other than API.
std::string name_of(const Use& use) {
  const std::string s = trimmed(use.bare);
  size_t n = 0;
  while (n < s.size() && is_word(s[n])) ++n;
  return s.substr(0, n);
}

/// A declaration inside an API block.
struct Declaration {
  std::string name, text;
};

/// Splits at each ';' outside of all brackets; the name is the word before the first '('.
std::vector<Declaration> functions_of(const Use& use) {
  std::vector<Declaration> found;
  const std::string bare = without_comments(use.content);
  int depth = 0;
  size_t start = 0;
  Declaration now;
  for (size_t i = 0; i <= bare.size(); ++i) {
    const char c = i < bare.size() ? bare[i] : ';';
    if (c == '(' && depth == 0 && now.name.empty()) {
      size_t end = i;
      while (end > start && is_blank(bare[end - 1])) --end;
      size_t first = end;
      while (first > start && is_word(bare[first - 1])) --first;
      now.name = bare.substr(first, end - first);
    }
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c == ';' && depth == 0) {
      now.text = one_line(use.content.substr(start, i - start)) + ";";
      if (!now.name.empty()) found.push_back(now);
      now = {};
      start = i + 1;
    }
  }
  return found;
}

std::set<std::string> words_of(const std::string& bare) {
  std::set<std::string> words;
  std::string word;
  for (size_t i = 0; i <= bare.size(); ++i) {
    if (i < bare.size() && is_word(bare[i])) {
      word += bare[i];
    } else if (!word.empty()) {
      words.insert(word);
      word.clear();
    }
  }
  return words;
}

/// The type that an API block defines, or "".
std::string type_of(const Use& use) {
  std::istringstream in(use.bare);
  std::string word;
  in >> word;
  if (word != "struct" && word != "class" && word != "enum" && word != "using") return "";
  const bool is_enum = word == "enum";
  in >> word;
  if (is_enum && (word == "class" || word == "struct")) in >> word;
  size_t n = 0;
  while (n < word.size() && is_word(word[n])) ++n;
  return word.substr(0, n);
}

struct Op {
  std::string name, family, file, doc, signature;
};

/// What the file says of an op: its own /// lines, else those of the function of that name, else
/// (for helper ops such as conv_input_grad) of the function that the file is about.
Op describe(const Source& source, const Use& use) {
  Op op{name_of(use), source.family, source.file, use.doc, ""};
  std::string related_doc, first_doc, named_doc;
  for (const Use& api : source.uses) {
    if (api.macro != "API" || !type_of(api).empty()) continue;
    for (const Declaration& f : functions_of(api)) {
      if (first_doc.empty()) first_doc = api.doc;
      if (related_doc.empty() && (f.name.starts_with(op.name) || op.name.starts_with(f.name)))
        related_doc = api.doc;
      if (f.name != op.name) continue;
      if (named_doc.empty()) named_doc = api.doc;
      op.signature += (op.signature.empty() ? "" : " ") + f.text;
    }
  }
  for (const std::string& doc : {named_doc, related_doc, first_doc})
    if (op.doc.empty()) op.doc = doc;
  if (op.doc.empty())
    report(source.file, use.line,
           "op '" + op.name + "' has no documentation: write /// lines before its API(...)");
  return op;
}

/// Reports a name that was used before, with both places.
class Names {
 public:
  explicit Names(std::string what) : what_(std::move(what)) {}
  void add(const std::string& name, const Source& source, size_t line) {
    const std::string place = source.file + ":" + std::to_string(line);
    if (name.empty()) report(source.file, line, what_ + " without a name");
    const auto [it, is_new] = places_.emplace(name, place);
    if (!is_new)
      report(source.file, line, what_ + " '" + name + "' is also defined at " + it->second);
    if (is_new) names_.push_back(name);
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::string what_;
  std::map<std::string, std::string> places_;
  std::vector<std::string> names_;
};

Names collect(const std::vector<Source>& sources, const std::string& macro, std::string what) {
  Names names(std::move(what));
  for (const Source& source : sources)
    for (const Use& use : source.uses)
      if (use.macro == macro) names.add(name_of(use), source, use.line);
  return names;
}

std::string literal(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

const char kNote[] =
    "// Made by the build (tools/gen_ops.cpp) from the op, kernel and model files.\n";

/// The public header: families in order, and each type before the first block that needs it.
class Header {
 public:
  explicit Header(const std::vector<Source>& sources) {
    for (const Source& source : sources)
      for (const Use& use : source.uses)
        if (use.macro == "API")
          if (const std::string type = type_of(use); !type.empty()) types_.emplace(type, &use);
    std::map<std::string, std::vector<const Source*>> families;
    for (const Source& source : sources) families[source.family].push_back(&source);
    for (const auto& [family, files] : families) {
      std::string before = std::move(body_);
      body_.clear();
      for (const bool types : {true, false})
        for (const Source* source : files)
          for (const Use& use : source->uses)
            if (use.macro == "API" && types == !type_of(use).empty()) emit(use);
      if (!body_.empty()) body_ = "\n// ---- " + family + " ----\n" + body_;
      body_ = before + body_;
    }
  }

  std::string text() const {
    return "// The operators: functions that build graph nodes. Nothing is computed until a value "
           "is asked for.\n" +
           std::string(kNote) + "#pragma once\n\n" +
           (body_.empty() ? ""
                          : "#include <cmath>\n#include <functional>\n\n#include "
                            "\"nacre/random.h\"\n#include "
                            "\"nacre/tensor.h\"\n\n") +
           "namespace nacre {\n" + body_ + "\n}  // namespace nacre\n";
  }

 private:
  void emit(const Use& use) {
    if (!done_.insert(&use).second) return;
    for (const std::string& word : words_of(use.bare))
      if (const auto it = types_.find(word); it != types_.end()) emit(*it->second);
    body_ += "\n";
    for (const std::string& line : lines_of(use.doc))
      body_ += "///" + (line.empty() ? "" : " " + line) + "\n";
    body_ += use.content;
    const bool needs_end =
        !use.content.ends_with(';') && (!use.content.ends_with('}') || !type_of(use).empty());
    body_ += needs_end ? ";\n" : "\n";
  }

  std::map<std::string, const Use*> types_;
  std::set<const Use*> done_;
  std::string body_;
};

std::string op_table(const std::vector<Op>& ops) {
  std::string out = std::string(kNote) + "#include \"graph/op_table.h\"\n\nnamespace nacre {\n\n";
  for (const Op& op : ops) out += "extern const OpDef op_" + op.name + ";\n";
  out += "\nstd::span<const OpDocumented> builtin_ops() {\n";
  if (ops.empty()) return out + "  return {};\n}\n\n}  // namespace nacre\n";
  out += "  static const OpDocumented table[] = {\n";
  for (const Op& op : ops)
    out += "      {&op_" + op.name + ", " + literal(op.family) + ", " + literal(op.file) +
           ",\n       " + literal(op.doc) + ",\n       " + literal(op.signature) + "},\n";
  return out + "  };\n  return table;\n}\n\n}  // namespace nacre\n";
}

std::string kernel_table(const std::vector<std::string>& kernels) {
  std::string out = std::string(kNote) +
                    "#include \"backends/cpu/kernel_macros.h\"\n\nnamespace nacre::cpu {\n\n";
  for (const auto& k : kernels)
    out += "std::unique_ptr<Kernel> prepare_" + k + "(const KernelQuery& q);\n";
  out += "\nstd::span<const KernelEntry> kernels() {\n";
  if (kernels.empty()) return out + "  return {};\n}\n\n}  // namespace nacre::cpu\n";
  out += "  static const KernelEntry table[] = {\n";
  for (const auto& k : kernels) out += "      {\"" + k + "\", prepare_" + k + "},\n";
  return out + "  };\n  return table;\n}\n\n}  // namespace nacre::cpu\n";
}

/// A function that gives pointers to all entries of one kind: models, labs.
std::string entry_table(const std::vector<std::string>& names, const std::string& type,
                        const std::string& prefix, const std::string& function) {
  std::string out =
      std::string(kNote) + "#include <span>\n\nnamespace nacre {\n\nstruct " + type + ";\n";
  for (const auto& n : names) out += "extern const " + type + " " + prefix + n + ";\n";
  const std::string head = "std::span<const " + type + "* const> " + function + "()";
  out += head + ";\n\n" + head + " {\n";
  if (names.empty()) return out + "  return {};\n}\n\n}  // namespace nacre\n";
  out += "  static const " + type + "* const table[] = {\n";
  for (const auto& n : names) out += "      &" + prefix + n + ",\n";
  return out + "  };\n  return table;\n}\n\n}  // namespace nacre\n";
}

std::string onnx_table(const std::vector<std::string>& entries) {
  std::string out = std::string(kNote) + "#include \"onnx/call.h\"\n\nnamespace nacre::onnx {\n\n";
  for (const auto& e : entries) out += "extern const Operator onnx_" + e + ";\n";
  out += "\nstd::span<const Operator* const> operators() {\n";
  if (entries.empty()) return out + "  return {};\n}\n\n}  // namespace nacre::onnx\n";
  out += "  static const Operator* const table[] = {\n";
  for (const auto& e : entries) out += "      &onnx_" + e + ",\n";
  return out + "  };\n  return table;\n}\n\n}  // namespace nacre::onnx\n";
}

std::string reference(const std::vector<Source>& sources) {
  std::string out =
      "# Operators\n\nMade by the build from the files in `src/ops`. Include `nacre/ops.h`.\n";
  std::map<std::string, std::string> families;
  for (const Source& source : sources) {
    std::string part, ops;
    for (const Use& use : source.uses) {
      if (use.macro == "OP") ops += (ops.empty() ? "`" : ", `") + name_of(use) + "`";
      if (use.macro != "API") continue;
      const bool ends = use.content.ends_with(';');
      part += "\n```cpp\n" + use.content + (ends ? "" : ";") + "\n```\n\n" + use.doc + "\n";
    }
    if (part.empty() && ops.empty()) continue;
    families[source.family] += "\n### " + fs::path(source.file).stem().string() + "\n" + part +
                               "\nNodes: " + (ops.empty() ? "none of its own" : ops) +
                               ". Source: `" + source.file + "`.\n";
  }
  for (const auto& [family, text] : families) out += "\n## " + family + "\n" + text;
  return out;
}

void write_if_changed(const fs::path& path, const std::string& content) {
  std::ifstream in(path, std::ios::binary);
  if (in && std::string{std::istreambuf_iterator<char>(in), {}} == content) return;
  in.close();
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << content;
  if (!out.flush()) report(path.string(), 1, "cannot be written");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: gen_ops SOURCE_DIR OUT_DIR\n";
    return 2;
  }
  const fs::path root = argv[1], out = argv[2];
  const auto op_sources = read_folder(root, "src/ops");
  const auto kernel_sources = read_folder(root, "src/backends/cpu/kernels");
  const auto model_sources = read_folder(root, "src/zoo");
  const auto onnx_sources = read_folder(root, "src/onnx/ops");
  const auto lab_sources = read_folder(root, "src/labs");

  std::vector<Op> ops;
  for (const Source& source : op_sources)
    for (const Use& use : source.uses) {
      if (use.macro == "API" && use.doc.empty())
        report(source.file, use.line, "API(...) has no documentation: write /// lines before it");
      if (use.macro == "OP") ops.push_back(describe(source, use));
    }
  collect(op_sources, "OP", "op");
  const Names kernels = collect(kernel_sources, "KERNEL", "kernel");
  const Names models = collect(model_sources, "MODEL", "model");
  const Names labs = collect(lab_sources, "LAB", "lab");
  const Names onnx = collect(onnx_sources, "ONNX", "ONNX operator");
  if (mistakes) return 1;

  write_if_changed(out / "include/nacre/ops.h", Header(op_sources).text());
  write_if_changed(out / "op_table.cpp", op_table(ops));
  write_if_changed(out / "ops.md", reference(op_sources));
  write_if_changed(out / "cpu_kernels.cpp", kernel_table(kernels.names()));
  write_if_changed(out / "zoo_table.cpp",
                   entry_table(models.names(), "ModelEntry", "model_", "zoo_models"));
  write_if_changed(out / "lab_table.cpp",
                   entry_table(labs.names(), "LabEntry", "lab_", "lab_table"));
  write_if_changed(out / "onnx_table.cpp", onnx_table(onnx.names()));
  return mistakes ? 1 : 0;
} catch (const std::exception& e) {
  std::cerr << "gen_ops: " << e.what() << "\n";
  return 1;
}
