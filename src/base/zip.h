// Zip archives, as .npz files and PyTorch checkpoints are: stored or deflated entries, zip64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace nacre {

struct ZipEntry {
  std::string name;
  bool deflated = false;
  uint32_t crc = 0;
  uint64_t size = 0;        ///< bytes when unpacked
  std::string_view packed;  ///< the entry's bytes in the archive
  bool link = false;        ///< a symbolic link: the content is where it leads
};

/// The entries of an archive, in the order of its directory. Throws Error(data), naming `what`, if
/// the archive is damaged, entries overlap, or a size is more than deflate can reach; encrypted or
/// otherwise compressed entries throw Error(unsupported).
std::vector<ZipEntry> read_zip(std::string_view bytes, std::string_view what);

/// The content of a deflated entry, its size and checksum verified.
std::string unpack(const ZipEntry& entry, std::string_view what);
/// Verifies the checksum of a stored entry, whose content is `packed`.
void check_stored(const ZipEntry& entry, std::string_view what);

/// Writes an archive; the same entries give the same bytes.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}
  /// The content may come in pieces, which are stored one after another.
  void add(const std::string& name, std::string_view head, std::string_view body, bool compress);
  void finish();

 private:
  void write(std::string_view bytes);
  AtomicFile& file_;
  std::string directory_;
  uint64_t place_ = 0, count_ = 0;
};

}  // namespace nacre
