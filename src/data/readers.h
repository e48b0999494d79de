// Readers of data sets from bytes; open.cpp finds the files.
#pragma once

#include "nacre/data.h"

namespace nacre::data {

struct IdxFormat {
  bool transposed = false;           ///< EMNIST stores columns first
  int64_t first_label = 0;           ///< EMNIST letters start at 1
  std::vector<std::string> classes;  ///< default "0", "1", ...
};

/// IDX pictures (magic 2051) with labels (2049).
DatasetPtr idx_dataset(std::string images, std::string labels, const IdxFormat& format,
                       const std::string& name);

/// Records of [coarse label,] label and 3 planes of 32x32; `label_bytes` is 1 (CIFAR-10) or 2
/// (CIFAR-100, whose second byte is the label). `expected` is the number of pictures of the whole.
DatasetPtr cifar_dataset(std::vector<std::string> files, int label_bytes,
                         std::vector<std::string> classes, int64_t expected,
                         const std::string& name);

DatasetPtr csv_dataset(const std::string& text, const CsvOptions& options, const std::string& name);

/// Lines "label TAB text". Unless classes are given, they are the sorted labels.
DatasetPtr text_dataset(const std::string& text, std::vector<std::string> classes,
                        const std::string& name);

/// Calls row(line number, cells) for each record; checks limits of the options.
void read_csv(const std::string& text, char separator, const CsvOptions& options,
              const std::string& name,
              const std::function<void(int64_t, const std::vector<std::string>&)>& row);
/// The separator that the first line uses most.
char csv_separator(const std::string& text);

/// A picture of a folder or tar: where its bytes are.
struct PictureEntry {
  std::string path;  ///< of the file, or of the entry in the tar
  int64_t label = -1;
  uint64_t offset = 0, size = 0;  ///< in the tar
};

/// Pictures in files, or, with a tar, in that.
DatasetPtr picture_dataset(std::vector<PictureEntry> entries, std::vector<std::string> classes,
                           const std::string& tar, const DecodeLimits& limits, std::string remark);

struct TarEntry {
  std::string path;
  uint64_t offset = 0, size = 0;
};

/// Regular files of a tar (ustar, GNU long names, pax paths), in it from `offset` on for `size`
/// bytes. Throws Error (data) for damage.
std::vector<TarEntry> list_tar(const std::string& path, uint64_t offset, uint64_t size);

/// A folder per class inside `tar`, or a tar per class.
DatasetPtr tar_dataset(const std::string& tar, const DecodeLimits& limits);

bool is_picture_name(std::string_view name);

/// Says how far an ImageNet-like set of 1000 synsets is from the published size.
std::string imagenet_remark(const std::vector<std::string>& classes, int64_t size);

}  // namespace nacre::data
