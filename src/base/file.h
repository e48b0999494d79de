// Files: bounded reading, memory maps, and writes that never lose what was there.
//
//   std::string text = read_file("config.yaml", 1 << 20);
//   auto map = MappedFile::open("model.safetensors");
//   write_file_atomic("run/state.bin", bytes);     // the old file stays whole until the new one is
//
// Byte ranges are std::string_view. All functions throw Error(io) with the path and the reason.
// Functions are thread-safe; objects belong to one thread at a time, except MappedFile (read-only).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

/// The whole file. Throws Error(io) if it cannot be read and Error(data) if it is larger than `cap`
/// bytes.
std::string read_file(const std::string& path, uint64_t cap);

/// The whole of standard input, with the same cap.
std::string read_stdin(uint64_t cap);

/// A read-only memory map of a file. Its bytes must not be changed by others while it lives.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;
  const char* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

/// Writes a file beside its target and puts it in place on commit(): temporary file, write, fsync,
/// rename, fsync of the folder. Without commit(), or when anything fails, the temporary file is
/// removed and the old file is untouched. A symbolic link is followed; the mode of an existing file
/// is kept. Devices and pipes are written directly.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  /// Without `sync` the file is whole for every process, but survives a power cut only after
  /// sync_disk(): for thousands of small files.
  void commit(bool sync = true);

 private:
  void discard();
  std::string path_, target_, temp_;
  int fd_ = -1;
  bool direct_ = false;
};

/// Makes all that was written to the disk of this file or folder survive a power cut.
void sync_disk(const std::string& path);

/// AtomicFile for bytes that are at hand.
void write_file_atomic(const std::string& path, std::string_view bytes);

/// A file that only grows (metrics.jsonl, event files). Each append() is one write of whole
/// records; after an error the file is cut back to the last whole record.
class AppendFile {
 public:
  explicit AppendFile(const std::string& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view bytes);
  /// Makes what was appended survive a power cut.
  void sync();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
};

/// Makes the folder and its parents; one that exists is fine.
void make_folders(const std::string& path);

struct FolderEntry {
  std::string name;
  bool is_folder = false;
  uint64_t bytes = 0;  ///< size of a file
};

/// Folders and files in a folder, sorted by name, hidden ones included; links are followed and
/// those that lead nowhere are left out, as are pipes and devices.
std::vector<FolderEntry> list_folder(const std::string& path);

/// A folder that no other process, or other object, holds at the same time; removes unfinished
/// files that a kill left in it or in its folders. Without locks where there are none.
class FolderLock {
 public:
  /// Throws Error(io) if somebody holds the folder.
  explicit FolderLock(const std::string& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

bool file_exists(const std::string& path);
bool folder_exists(const std::string& path);

/// Path of `relative` inside `folder`, for names that come from files and requests. Throws
/// Error(data) for absolute paths, "..", zero bytes, and links that lead out of the folder.
std::string join_inside(const std::string& folder, std::string_view relative);

/// The reason of an errno in plain words: "no space left on the disk".
std::string reason_of(int error);

/// For tests: the n-th write from now (1 is the next) takes half of its bytes, and the next one
/// fails with `error` (ENOSPC, EIO), as on a disk that fills up; with error 0 nothing fails. The
/// same as NACRE_WRITE_FAULT="n:error" in the environment. n = 0 switches it off.
void inject_write_fault(int n, int error);

}  // namespace nacre
