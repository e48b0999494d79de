// Texts with classes: lines "label TAB text", or a file for each text.
#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/hash.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr size_t kMaxLine = size_t{1} << 20;

/// One column of text, and the class.
TableSchema schema_of(const std::vector<std::string>& classes) {
  TableSchema s;
  s.columns = {{"label", TableColumn::Kind::category, classes},
               {"text", TableColumn::Kind::text, {}}};
  s.target = 0;
  return s;
}

class TextLines final : public LineDataset {
 public:
  TextLines(const std::string& text, std::vector<std::string> classes, const std::string& name,
            bool labelled)
      : LineDataset(name) {
    check_utf8(text, name);
    std::vector<std::string> labels;
    size_t line = 0;
    for (size_t from = text.starts_with("\xef\xbb\xbf") ? 3 : 0; from < text.size();) {
      const size_t end = std::min(text.find('\n', from), text.size());
      std::string_view row = std::string_view(text).substr(from, end - from);
      from = end + 1;
      ++line;
      if (!row.empty() && row.back() == '\r') row.remove_suffix(1);
      if (row.empty() || (line == 1 && row == "label\ttext")) continue;
      if (row.size() > kMaxLine)
        fail(Error::Kind::data, {name, ": line ", line, " has ", row.size(), " bytes, at most ",
                                 kMaxLine, " are read"});
      const size_t tab = row.find('\t');
      if (labelled && (tab == row.npos || tab == 0))
        fail(Error::Kind::data, {name, ": line ", line, " is not 'label TAB text'"});
      if (labelled) labels.emplace_back(row.substr(0, tab));
      texts_.emplace_back(tab == row.npos ? row : row.substr(tab + 1));
      lines_.push_back(static_cast<int64_t>(line));
    }
    classes_ = std::move(classes);
    if (classes_.empty()) {
      classes_ = labels;
      std::sort(classes_.begin(), classes_.end());
      classes_.erase(std::unique(classes_.begin(), classes_.end()), classes_.end());
    }
    std::map<std::string, int64_t> index;
    for (const auto& c : classes_) index.emplace(c, static_cast<int64_t>(index.size()));
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto found = index.find(labels[i]);
      if (found == index.end())
        fail(Error::Kind::data, {name, ": line ", lines_[i], " has the label '", labels[i],
                                 "', which the training part does not have"});
      labels_.push_back(found->second);
    }
    schema_ = schema_of(classes_);
  }
  Sample get(int64_t i) const override {
    Sample s;
    s.label = label(i);
    s.text = texts_[static_cast<size_t>(i)];
    return s;
  }
  int64_t length(int64_t i) const override {
    check(i);
    return static_cast<int64_t>(texts_[static_cast<size_t>(i)].size());
  }
  uint64_t content_hash(int64_t i) const override {
    check(i);
    return hash64(texts_[static_cast<size_t>(i)]);
  }
  const TableSchema* schema() const override { return &schema_; }

 private:
  std::vector<std::string> texts_;
  TableSchema schema_;
};

class TextFiles final : public Dataset {
 public:
  TextFiles(std::vector<PictureEntry> files, std::vector<std::string> classes,
            const std::string& archive, std::shared_ptr<const void> owner)
      : files_(std::move(files)),
        schema_(schema_of(classes)),
        archive_(archive),
        owner_(std::move(owner)) {
    classes_ = std::move(classes);
  }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  Sample get(int64_t i) const override {
    Sample s;
    s.label = label(i);
    s.text = text(i);
    return s;
  }
  int64_t label(int64_t i) const override {
    check(i);
    return files_[static_cast<size_t>(i)].label;
  }
  std::string name(int64_t i) const override {
    check(i);
    const std::string& path = files_[static_cast<size_t>(i)].path;
    return archive_.empty() ? path : archive_ + ":" + path;
  }
  int64_t length(int64_t i) const override { return static_cast<int64_t>(text(i).size()); }
  uint64_t content_hash(int64_t i) const override { return hash64(text(i)); }
  const TableSchema* schema() const override { return &schema_; }

 private:
  std::string text(int64_t i) const {
    check(i);
    std::string text;
    use_bytes(files_[static_cast<size_t>(i)], archive_, kMaxLine,
              [&](std::string_view bytes) { text = bytes; });
    check_utf8(text, name(i));
    return text;
  }
  std::vector<PictureEntry> files_;
  TableSchema schema_;
  std::string archive_;
  std::shared_ptr<const void> owner_;
};

}  // namespace

DatasetPtr text_dataset(const std::string& text, std::vector<std::string> classes,
                        const std::string& name, bool labelled) {
  return std::make_shared<TextLines>(text, std::move(classes), name, labelled);
}

DatasetPtr text_files(std::vector<PictureEntry> files, std::vector<std::string> classes,
                      const std::string& archive, std::shared_ptr<const void> owner) {
  return std::make_shared<TextFiles>(std::move(files), std::move(classes), archive,
                                     std::move(owner));
}

}  // namespace nacre::data
