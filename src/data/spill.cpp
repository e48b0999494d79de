#include "data/spill.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr size_t kChunk = 32 << 10;

[[noreturn]] void broken(const std::string& folder, const char* what, int error) {
  fail(Error::Kind::io, {"a temporary file in ", folder, " cannot be ", what, ": ",
                         error ? reason_of(error) : std::string("it ends early")});
}

}  // namespace

Spill::Spill(const std::string& folder, size_t parts) : folder_(folder), parts_(parts) {
  std::string name = folder + "/.nacre-XXXXXX";
  fd_ = mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) broken(folder_, "made", errno);
  unlink(name.c_str());
}

Spill::~Spill() {
  if (fd_ >= 0) close(fd_);
}

Spill::Spill(Spill&& o) noexcept
    : folder_(std::move(o.folder_)), parts_(std::move(o.parts_)), end_(o.end_), fd_(o.fd_) {
  o.fd_ = -1;
}

void Spill::write_out(Part& part) {
  const std::string& bytes = part.open;
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(end_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) broken(folder_, "written", n < 0 ? errno : ENOSPC);
    done += static_cast<size_t>(n);
  }
  part.chunks.push_back({end_, static_cast<uint32_t>(bytes.size())});
  end_ += bytes.size();
  part.open.clear();
}

void Spill::add(size_t part, std::string_view record) {
  Part& p = parts_[part];
  const auto size = static_cast<uint32_t>(record.size());
  p.open.append(reinterpret_cast<const char*>(&size), sizeof size);
  p.open.append(record);
  p.bytes += record.size();
  if (p.open.size() >= kChunk) write_out(p);
}

void Spill::flush() {
  for (Part& p : parts_) {
    if (!p.open.empty()) write_out(p);
    std::string().swap(p.open);
  }
}

bool Spill::Reader::next(std::string_view& record) {
  const Part& part = spill_->parts_[part_];
  if (at_ == buffer_.size()) {
    if (chunk_ == part.chunks.size()) return false;
    const Chunk& c = part.chunks[chunk_++];
    buffer_.resize(c.bytes);
    at_ = 0;
    for (size_t done = 0; done < buffer_.size();) {
      const ssize_t n = pread(spill_->fd_, buffer_.data() + done, buffer_.size() - done,
                              static_cast<off_t>(c.at + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) broken(spill_->folder_, "read", n < 0 ? errno : 0);
      done += static_cast<size_t>(n);
    }
  }
  uint32_t size = 0;  // chunks end with a record
  std::memcpy(&size, buffer_.data() + at_, sizeof size);
  record = std::string_view(buffer_).substr(at_ + sizeof size, size);
  at_ += sizeof size + size;
  return true;
}

void put_number(std::string& record, uint64_t v) {
  record.append(reinterpret_cast<const char*>(&v), sizeof v);
}

void put_text(std::string& record, std::string_view text) {
  put_number(record, text.size());
  record.append(text);
}

uint64_t take_number(std::string_view& record) {
  uint64_t v = 0;
  std::memcpy(&v, record.data(), sizeof v);
  record.remove_prefix(sizeof v);
  return v;
}

std::string_view take_text(std::string_view& record) {
  const uint64_t n = take_number(record);
  const std::string_view text = record.substr(0, n);
  record.remove_prefix(text.size());
  return text;
}

}  // namespace nacre::data
