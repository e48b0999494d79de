#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "nacre/error.h"

namespace nacre {
namespace {
namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "nacre-file-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override {
    inject_write_fault(0, 0);
    fs::remove_all(dir_);
  }
  std::string at(const char* name) const { return dir_ + "/" + name; }
  void put(const char* name, const std::string& text) const { std::ofstream(at(name)) << text; }
  std::string get(const char* name) const {
    std::ifstream in(at(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// Files in the folder, temporary ones included.
  size_t count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir_), {}));
  }
  std::string dir_;
};

std::string message_of(const std::function<void()>& body, Error::Kind kind) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(kind)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST_F(FileTest, ReadsWholeFilesUpToTheCap) {
  put("a", "12345");
  EXPECT_EQ(read_file(at("a"), 5), "12345");
  const auto text = message_of([&] { read_file(at("a"), 4); }, Error::Kind::data);
  EXPECT_NE(text.find("limit of 4 bytes"), std::string::npos);
  put("empty", "");
  EXPECT_EQ(read_file(at("empty"), 0), "");
  // Files of the kernel say that they have no bytes, and have some.
  EXPECT_NE(read_file("/proc/self/status", 1 << 20).find("Pid:"), std::string::npos);
}

TEST_F(FileTest, ReadErrorsNameThePathAndTheReason) {
  const auto missing = message_of([&] { read_file(at("none"), 10); }, Error::Kind::io);
  EXPECT_EQ(missing, "cannot read " + at("none") + ": no such file or folder");
  EXPECT_EQ(message_of([&] { read_file(dir_, 10); }, Error::Kind::io),
            "cannot read " + dir_ + ": it is a folder");
  message_of([&] { MappedFile::open(dir_); }, Error::Kind::io);
  message_of([&] { MappedFile::open("/dev/zero"); }, Error::Kind::io);
}

TEST_F(FileTest, MapsFiles) {
  put("a", "hello");
  const auto map = MappedFile::open(at("a"));
  EXPECT_EQ(map->bytes(), "hello");
  fs::remove(at("a"));
  EXPECT_EQ(map->bytes(), "hello");
  put("empty", "");
  EXPECT_EQ(MappedFile::open(at("empty"))->size(), 0u);
}

TEST_F(FileTest, AtomicWriteReplacesAndKeepsTheMode) {
  write_file_atomic(at("a"), "one");
  ASSERT_EQ(::chmod(at("a").c_str(), 0640), 0);
  write_file_atomic(at("a"), "two");
  EXPECT_EQ(get("a"), "two");
  struct stat info;
  ASSERT_EQ(::stat(at("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, AtomicWriteFollowsLinks) {
  put("real", "old");
  fs::create_symlink("real", at("link"));
  write_file_atomic(at("link"), "new");
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(get("real"), "new");
}

TEST_F(FileTest, AFailedWriteKeepsTheOldFileAndRemovesTheTemporary) {
  put("a", "old");
  for (const auto& [error, reason] :
       {std::pair{ENOSPC, "no space left on the disk"}, {EIO, "input/output error"}}) {
    inject_write_fault(2, error);
    const auto text = message_of(
        [&] {
          AtomicFile file(at("a"));
          file.write("new ");
          file.write("text");
          file.commit();
        },
        Error::Kind::io);
    EXPECT_NE(text.find(reason), std::string::npos) << text;
    EXPECT_NE(text.find(at("a")), std::string::npos) << text;
    EXPECT_EQ(get("a"), "old");
    EXPECT_EQ(count(), 1u);
  }
}

TEST_F(FileTest, AShortWriteIsCompleted) {
  inject_write_fault(1, 0);
  write_file_atomic(at("a"), "0123456789");
  EXPECT_EQ(get("a"), "0123456789");
}

TEST_F(FileTest, WithoutCommitNothingHappens) {
  put("a", "old");
  { AtomicFile(at("a")).write("new"); }
  EXPECT_EQ(get("a"), "old");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, WriteErrorsNameTheMissingFolder) {
  EXPECT_EQ(message_of([&] { write_file_atomic(at("no/a"), "x"); }, Error::Kind::io),
            "cannot write " + at("no/a") + ": the folder " + at("no") + " does not exist");
  message_of([&] { write_file_atomic(dir_, "x"); }, Error::Kind::io);
  // A full device reports it at the write, and stays a device.
  message_of([&] { write_file_atomic("/dev/full", "x"); }, Error::Kind::io);
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(FileTest, ALockRemovesWhatAKilledProcessLeft) {
  make_folders(at("run/checkpoints"));
  put("run/mine.tmp", "x");
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile(at("run/model")).commit();
    AtomicFile unfinished(at("run/model")), deeper(at("run/checkpoints/last"));
    ::_exit(list_folder(at("run")).size() == 4 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(list_folder(at("run")).size(), 4u);
  EXPECT_EQ(list_folder(at("run/checkpoints")).size(), 1u);
  FolderLock lock(at("run"));
  const auto left = list_folder(at("run"));
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left[1].name, "mine.tmp");
  EXPECT_EQ(list_folder(at("run/checkpoints")).size(), 0u);
}

TEST_F(FileTest, APipeIsNotMapped) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  message_of([&] { MappedFile::open(at("pipe")); }, Error::Kind::io);  // and nobody waits
}

TEST_F(FileTest, AppendCutsBackAfterAnError) {
  {
    AppendFile file(at("log"));
    file.append("one\n");
    file.append("two\n");
    inject_write_fault(1, ENOSPC);  // half of "three" is written, and then the disk is full
    message_of([&] { file.append("three\n"); }, Error::Kind::io);
    file.append("four\n");
    file.sync();
  }
  AppendFile(at("log")).append("five\n");
  EXPECT_EQ(get("log"), "one\ntwo\nfour\nfive\n");
}

TEST_F(FileTest, ListsFoldersSorted) {
  put("b", "123");
  make_folders(at("a/deep/er"));
  make_folders(at("a"));
  fs::create_symlink("nowhere", at("dead"));
  const auto entries = list_folder(dir_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_TRUE(entries[0].is_folder);
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_EQ(entries[1].bytes, 3u);
  message_of([&] { make_folders(at("b/c")); }, Error::Kind::io);
  message_of([&] { list_folder(at("none")); }, Error::Kind::io);
}

TEST_F(FileTest, JoinNeverLeavesTheFolder) {
  make_folders(at("in"));
  EXPECT_EQ(join_inside(at("in"), "x/y.png"), at("in/x/y.png"));
  EXPECT_EQ(join_inside(at("in"), "..name"), at("in/..name"));
  for (const char* bad : {"", "/etc/passwd", "..", "../in2", "a/../../b", "a/.."})
    message_of([&] { join_inside(at("in"), bad); }, Error::Kind::data);
  message_of([&] { join_inside(at("in"), std::string_view("a\0b", 3)); }, Error::Kind::data);
  fs::create_directory_symlink("/etc", at("in/out"));
  message_of([&] { join_inside(at("in"), "out/passwd"); }, Error::Kind::data);
}

}  // namespace
}  // namespace nacre
