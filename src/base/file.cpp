#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/signals.h"
#include "nacre/error.h"

namespace nacre {
namespace fs = std::filesystem;
namespace {

/// Writes left until the injected fault (0: none), its error, and whether the next write has it.
std::atomic<int> fault_countdown{0}, fault_error{0};
std::atomic<bool> fault_pending{false};

ssize_t raw_write(int fd, const char* data, size_t n) {
  static const bool from_env = [] {
    if (const char* text = std::getenv("NACRE_WRITE_FAULT")) {
      char* end = nullptr;
      const long count = std::strtol(text, &end, 10);
      if (*end == ':') inject_write_fault(static_cast<int>(count), std::atoi(end + 1));
    }
    return true;
  }();
  (void)from_env;
  if (fault_countdown > 0 && --fault_countdown == 0) {
    if (n < 2 && fault_error) return errno = fault_error, -1;
    if (fault_error) fault_pending = true;
    n = (n + 1) / 2;
  } else if (fault_pending.exchange(false)) {
    return errno = fault_error, -1;
  }
  return ::write(fd, data, n);
}

/// Writes everything; 0 or the errno of the failure.
int write_all(int fd, std::string_view bytes) {
  constexpr size_t kPiece = size_t{1} << 30;  // Linux writes at most 2 GiB at once
  while (!bytes.empty()) {
    const ssize_t n = raw_write(fd, bytes.data(), std::min(bytes.size(), kPiece));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

[[noreturn]] void fail_io(const char* verb, const std::string& path, int error) {
  if (error == ENOENT && std::string_view(verb) == "write" && !folder_exists(parent_of(path)))
    fail(Error::Kind::io,
         {"cannot write ", path, ": the folder ", parent_of(path), " does not exist"});
  fail(Error::Kind::io, {"cannot ", verb, " ", path, ": ", reason_of(error)});
}

/// A file descriptor that closes itself.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// Until there is something to read, which may take long for a pipe. A request to stop ends it.
void wait_for_input(int fd) {
  struct pollfd wanted = {fd, POLLIN, 0};
  constexpr int milliseconds = 200;
  while (::poll(&wanted, 1, milliseconds) <= 0) check_stop();
}

std::string read_all(int fd, const std::string& path, uint64_t cap, uint64_t expected) {
  const auto too_large = [&] {
    fail(Error::Kind::data, {path, " is larger than the limit of ", cap, " bytes"});
  };
  if (expected > cap) too_large();
  std::string out;
  out.resize(static_cast<size_t>(expected));
  size_t used = 0;
  for (;;) {
    // One byte more than expected shows the end of the file, or that it is larger.
    if (used == out.size()) out.resize(out.size() + std::max<size_t>(1, out.size() / 2));
    if (expected == 0) wait_for_input(fd);
    const ssize_t n = ::read(fd, out.data() + used, out.size() - used);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) fail_io("read", path, errno);
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > cap) too_large();
  }
  out.resize(used);
  return out;
}

}  // namespace

void inject_write_fault(int n, int error) {
  fault_error = error;
  fault_pending = false;
  fault_countdown = n;
}

std::string reason_of(int error) {
  switch (error) {
    case ENOENT:
      return "no such file or folder";
    case EACCES:
    case EPERM:
      return "permission denied";
    case ENOSPC:
      return "no space left on the disk";
    case EDQUOT:
      return "the disk quota is used up";
    case EROFS:
      return "the disk is read-only";
    case EISDIR:
      return "it is a folder";
    case ENOTDIR:
      return "a part of the path is not a folder";
    case EFBIG:
      return "the file would be larger than the system allows";
    case EIO:
      return "the disk reports an input/output error";
    case EMFILE:
    case ENFILE:
      return "too many files are open";
    case ENAMETOOLONG:
      return "the name is too long";
    case ELOOP:
      return "the symbolic links lead in a circle";
    default:
      return std::strerror(error);
  }
}

std::string read_file(const std::string& path, uint64_t cap) {
  // Without waiting for somebody to write to a pipe; wait_for_input() does, and can be stopped.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat info;
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0) fail_io("read", path, errno);
  if (S_ISDIR(info.st_mode)) fail_io("read", path, EISDIR);
  return read_all(file.fd, path, cap,
                  S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0);
}

std::string read_stdin(uint64_t cap) { return read_all(STDIN_FILENO, "standard input", cap, 0); }

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  // A pipe that nobody writes to would be waited for, only to be refused then.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat info;
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0) fail_io("read", path, errno);
  if (S_ISDIR(info.st_mode)) fail_io("read", path, EISDIR);
  if (!S_ISREG(info.st_mode))
    fail(Error::Kind::io, {"cannot map ", path, ": it is not a regular file"});
  std::shared_ptr<MappedFile> map(new MappedFile);
  map->path_ = path;
  if (info.st_size == 0) return map;  // a map of no bytes is an error of the system
  const auto size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) fail_io("map", path, errno);
  map->data_ = static_cast<const char*>(data);
  map->size_ = size;
  return map;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<char*>(data_), size_);
}

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  static std::atomic<unsigned> serial{0};
  mode_t mode = 0;
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) fail_io("write", path, EISDIR);
    // Renaming over a device would replace the device.
    direct_ = !S_ISREG(info.st_mode);
    mode = info.st_mode & 07777;
    if (!direct_ && ::access(path.c_str(), W_OK) != 0) fail_io("write", path, errno);
    if (char* real = direct_ ? nullptr : ::realpath(path.c_str(), nullptr)) {
      target_ = real;
      std::free(real);
    }
  }
  if (direct_) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
      temp_ = parent_of(target_) + "/.nacre-" + std::to_string(::getpid()) + "-" +
              std::to_string(serial++) + ".tmp";
      fd_ = ::open(temp_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd_ < 0 && errno != EEXIST) break;
    }
  }
  if (fd_ < 0) {
    const int error = errno;
    temp_.clear();
    fail_io("write", path, error);
  }
  if (mode && !direct_) (void)::fchmod(fd_, mode);
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (!temp_.empty()) ::unlink(temp_.c_str());
  temp_.clear();
}

void AtomicFile::write(std::string_view bytes) {
  if (fd_ < 0) fail(Error::Kind::internal, {"write to ", path_, " after its end"});
  if (const int error = write_all(fd_, bytes)) {
    discard();
    fail_io("write", path_, error);
  }
}

void AtomicFile::commit(bool sync) {
  if (fd_ < 0) fail(Error::Kind::internal, {"commit of ", path_, " after its end"});
  int error = sync && !direct_ && ::fsync(fd_) != 0 ? errno : 0;
  if (::close(fd_) != 0 && !error) error = errno;
  fd_ = -1;
  if (!error && !direct_ && ::rename(temp_.c_str(), target_.c_str()) != 0) error = errno;
  if (error) {
    discard();
    fail_io("write", path_, error);
  }
  temp_.clear();
  if (direct_ || !sync) return;
  // The new name must survive a power cut too. Some file systems cannot sync folders.
  Descriptor folder{::open(parent_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.fd >= 0 && ::fsync(folder.fd) != 0 && errno != EINVAL) fail_io("write", path_, errno);
}

void sync_disk(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0 || ::syncfs(file.fd) != 0) fail_io("write", path, errno);
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AppendFile::AppendFile(const std::string& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_io("write", path, errno);
  size_ = std::max<int64_t>(0, ::lseek(fd_, 0, SEEK_END));
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::append(std::string_view bytes) {
  if (const int error = write_all(fd_, bytes)) {
    (void)!::ftruncate(fd_, size_);
    fail_io("write", path_, error);
  }
  size_ += static_cast<int64_t>(bytes.size());
}

void AppendFile::sync() {
  if (::fsync(fd_) != 0 && errno != EINVAL) fail_io("write", path_, errno);
}

void make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !folder_exists(path))
    fail(Error::Kind::io,
         {"cannot make the folder ", path, ": ", reason_of(error ? error.value() : ENOTDIR)});
}

namespace {

/// Removes what an AtomicFile of a process that was killed left here, and in the folders here.
void remove_unfinished(const std::string& path, bool deeper) {
  for (const FolderEntry& entry : list_folder(path)) {
    const std::string whole = path + "/" + entry.name;
    if (entry.is_folder && deeper && !fs::is_symlink(whole)) remove_unfinished(whole, false);
    long process = 0;
    if (entry.is_folder || !entry.name.ends_with(".tmp") ||
        std::sscanf(entry.name.c_str(), ".nacre-%9ld-", &process) != 1 || process <= 0)
      continue;
    const bool alive =
        process != ::getpid() && (::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM);
    if (!alive) ::unlink(whole.c_str());
  }
}

}  // namespace

FolderLock::FolderLock(const std::string& path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd_ < 0) fail_io("open", path, errno);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd_);
    fail(Error::Kind::io, {"another process works in ", path, " at this moment"});
  }
  try {
    remove_unfinished(path, true);
  } catch (const Error&) {  // a folder inside that cannot be read is none of ours
  }
}

FolderLock::~FolderLock() { ::close(fd_); }

std::vector<FolderEntry> list_folder(const std::string& path) {
  DIR* folder = ::opendir(path.c_str());
  if (!folder) fail_io("list", path, errno);
  std::vector<FolderEntry> entries;
  const auto close = [](DIR* d) { ::closedir(d); };
  const std::unique_ptr<DIR, decltype(close)> owner(folder, close);
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    struct stat info;
    if (name == "." || name == ".." || ::fstatat(::dirfd(folder), entry->d_name, &info, 0) != 0)
      continue;
    const bool is_folder = S_ISDIR(info.st_mode);
    if (!is_folder && !S_ISREG(info.st_mode)) continue;  // reading a pipe may wait for ever
    entries.push_back({name, is_folder, is_folder ? 0 : static_cast<uint64_t>(info.st_size)});
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

bool file_exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

bool folder_exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string join_inside(const std::string& folder, std::string_view relative) {
  const auto refuse = [&](const char* why) {
    fail(Error::Kind::data, {"the path '", relative.substr(0, 200), "' ", why});
  };
  if (relative.empty()) refuse("is empty");
  if (relative.find('\0') != relative.npos) refuse("holds a zero byte");
  if (relative[0] == '/') refuse("is absolute, and must lie inside its folder");
  const fs::path path(relative);
  if (std::find(path.begin(), path.end(), "..") != path.end()) refuse("leads out of its folder");
  std::error_code error;
  const fs::path root = fs::weakly_canonical(folder.empty() ? "." : folder, error);
  const fs::path full = error ? fs::path() : fs::weakly_canonical(root / path, error);
  if (error) fail_io("open", folder + "/" + std::string(relative), error.value());
  const auto differs = std::mismatch(root.begin(), root.end(), full.begin(), full.end());
  if (differs.first != root.end()) refuse("is a link that leads out of its folder");
  return (fs::path(folder) / path).string();
}

}  // namespace nacre
