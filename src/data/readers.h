// Readers of data sets from bytes; open.cpp finds the files.
#pragma once

#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre::data {

/// Of labels that are whole numbers, more different ones than this are no classes.
inline constexpr size_t kFewValues = 20;

/// With small letters for Latin capitals.
std::string lower(std::string s);

/// Samples that are lines of one file.
class LineDataset : public Dataset {
 public:
  explicit LineDataset(const std::string& name) : name_(name) {}
  int64_t size() const override { return static_cast<int64_t>(lines_.size()); }
  int64_t label(int64_t i) const override {
    check(i);
    return labels_.empty() ? -1 : labels_[static_cast<size_t>(i)];
  }
  std::string name(int64_t i) const override {
    check(i);
    return cat({name_, " line ", lines_[static_cast<size_t>(i)]});
  }

 protected:
  std::string name_;  ///< of the file
  std::vector<int64_t> labels_, lines_;
};

struct IdxFormat {
  bool transposed = false;           ///< EMNIST stores columns first
  int64_t first_label = 0;           ///< EMNIST letters start at 1
  std::vector<std::string> classes;  ///< default "0", "1", ...
};

/// IDX pictures (magic 2051) with labels (2049); both files are named in messages.
DatasetPtr idx_dataset(std::string images, std::string labels, const IdxFormat& format,
                       const std::string& name, const std::string& label_name);

/// Records of [coarse label,] label and 3 planes of 32x32; `label_bytes` is 1 (CIFAR-10) or 2
/// (CIFAR-100, whose second byte is the label). `expected` is the number of pictures of the whole.
DatasetPtr cifar_dataset(std::vector<std::string> files, int label_bytes,
                         std::vector<std::string> classes, int64_t expected,
                         const std::string& name);

DatasetPtr csv_dataset(const std::string& text, const CsvOptions& options, const std::string& name);

/// Lines "label TAB text". Unless classes are given, they are the sorted labels.
/// Not labelled: the label and the TAB may be missing, and are passed over.
DatasetPtr text_dataset(const std::string& text, std::vector<std::string> classes,
                        const std::string& name, bool labelled = true);

/// Rows "label index:value ..." of numbers, most of which are 0.
bool is_sparse_rows(const std::string& text);
/// Columns are called as given, or by their number.
DatasetPtr sparse_dataset(const std::string& text, const CsvOptions& options,
                          const std::string& name, const std::vector<std::string>& columns = {});

/// Throws Error (data) with the line where a file is not UTF-8: names of classes and columns become
/// JSON in model files.
void check_utf8(std::string_view text, const std::string& name);

/// Where a reader of separated values is.
struct CsvPlace {
  size_t pos = 0;
  int64_t line = 1;
};

/// Reads the record at `at` and moves behind it; checks limits of the options. Where `text` is not
/// `whole` but followed by more: false, and nothing is moved, if the record goes on there.
bool csv_record(std::string_view text, CsvPlace& at, bool whole, char separator,
                const CsvOptions& options, const std::string& name,
                std::vector<std::string>& cells);

/// Calls row(line number, cells) for each record; checks limits of the options.
void read_csv(const std::string& text, char separator, const CsvOptions& options,
              const std::string& name,
              const std::function<void(int64_t, const std::vector<std::string>&)>& row);
/// The separator that the first line uses most.
char csv_separator(std::string_view text);

/// How the bytes of a picture or clip lie there: in a file of their own, as they are in a tar, as
/// they are in a zip (with a checksum), or deflated in a zip.
enum class Packing : uint8_t { file, plain, checked, deflated };

/// A picture, clip or text of a folder or archive.
struct PictureEntry {
  std::string path;  ///< of the file, or of the member in the archive
  int64_t label = -1;
  Packing packing = Packing::file;
  uint32_t crc = 0;             ///< in a zip
  uint64_t size = 0;            ///< in a zip, when unpacked
  std::string_view bytes = {};  ///< in the archive
};

/// Hands the bytes of an entry, at most `cap`, to `use`. `archive` is the name of the archive that
/// it is in, else empty. Throws Error (data, io).
void use_bytes(const PictureEntry& entry, const std::string& archive, uint64_t cap,
               const std::function<void(std::string_view)>& use);

/// Pictures or clips in files, or in an archive whose bytes `owner` keeps.
DatasetPtr picture_dataset(std::vector<PictureEntry> entries, std::vector<std::string> classes,
                           const DecodeLimits& limits, std::string remark,
                           const std::string& archive = "",
                           std::shared_ptr<const void> owner = nullptr);

/// A text in each file, or in each member of an archive whose bytes `owner` keeps.
DatasetPtr text_files(std::vector<PictureEntry> files, std::vector<std::string> classes,
                      const std::string& archive = "", std::shared_ptr<const void> owner = nullptr);

struct TarEntry {
  std::string path;
  std::string_view bytes;
};

/// Regular files of a tar (ustar, GNU long names, pax paths). Throws Error (data) for damage.
std::vector<TarEntry> list_tar(std::string_view tar, const std::string& name);

/// A folder per class, with `parts` in train/, val/ and test/ or not, inside a .tar, .tar.gz or
/// .zip; or a tar per class in a tar. Nothing is unpacked to the disk.
DataSplits open_archive(const std::string& path, bool parts, const DecodeLimits& limits);

enum Part { train, val, test, none };

/// Which part a folder is, by its whole name.
Part part_of_folder(const std::string& name);
DatasetPtr& slot(DataSplits& splits, Part part);

/// The place of a class. Throws Error (data) if it is none of the training part's.
int64_t class_index(const std::vector<std::string>& classes, const std::string& name,
                    const std::string& where);

bool is_picture_name(std::string_view name);
bool is_text_name(std::string_view name);
bool is_clip_name(std::string_view name);

/// Says how far an ImageNet-like set of 1000 synsets is from the published size.
std::string imagenet_remark(const std::vector<std::string>& classes, int64_t size);

}  // namespace nacre::data
