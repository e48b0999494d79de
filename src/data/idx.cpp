// The IDX format of MNIST: big-endian header (magic, sizes), then bytes.
// http://yann.lecun.com/exdb/mnist
#include <algorithm>

#include "base/hash.h"
#include "data/bytes.h"
#include "data/decode.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

class Idx final : public Dataset {
 public:
  Idx(std::string images, std::string labels, const IdxFormat& format, const std::string& name,
      const std::string& label_name)
      : images_(std::move(images)), labels_(std::move(labels)), name_(name), format_(format) {
    ByteReader in(bytes_of(images_), name);
    magic(in.be32(), 2051, name);
    count_ = in.be32();
    height_ = in.be32();
    width_ = in.be32();
    if (height_ < 1 || width_ < 1 || height_ > 4096 || width_ > 4096)
      fail(Error::Kind::data,
           {name, ": pictures of ", width_, "x", height_, " pixels, 1 to 4096 a side are read"});
    exact(in.left(), static_cast<uint64_t>(count_ * height_ * width_), name);
    ByteReader label_in(bytes_of(labels_), label_name);
    magic(label_in.be32(), 2049, label_name);
    const int64_t label_count = label_in.be32();
    exact(label_in.left(), static_cast<uint64_t>(label_count), label_name);
    if (label_count != count_)
      fail(Error::Kind::data,
           {name, " has ", count_, " pictures, but ", label_name, " has ", label_count, " labels"});
    classes_ = format.classes;
    int64_t most = -1;
    for (int64_t i = 0; i < count_; ++i) most = std::max(most, label(i));
    if (classes_.empty())
      for (int64_t c = 0; c <= most; ++c) classes_.push_back(std::to_string(c));
  }
  int64_t size() const override { return count_; }
  Sample get(int64_t i) const override {
    Sample s;
    s.label = label(i);
    const auto raw = bytes_of(pixels(i));
    const int w = static_cast<int>(width_), h = static_cast<int>(height_);
    s.image = format_.transposed ? upright(from_u8(w, h, 1, raw), 5) : from_u8(w, h, 1, raw);
    return s;
  }
  int64_t label(int64_t i) const override {
    check(i);
    return static_cast<uint8_t>(labels_[static_cast<size_t>(8 + i)]) - format_.first_label;
  }
  std::string name(int64_t i) const override { return name_ + " picture " + std::to_string(i); }
  uint64_t content_hash(int64_t i) const override { return hash64(pixels(i)); }

 private:
  static void magic(uint32_t got, uint32_t want, const std::string& name) {
    if (got != want)
      fail(Error::Kind::data,
           {name, ": is not an IDX file: starts with ", got, ", must be ", want});
  }
  static void exact(uint64_t left, uint64_t want, const std::string& name) {
    if (left != want)
      fail(Error::Kind::data, {name, ": the header asks for ", static_cast<unsigned long>(want),
                               " bytes, the file has ", static_cast<unsigned long>(left)});
  }
  std::string_view pixels(int64_t i) const {
    check(i);
    const auto each = static_cast<size_t>(height_ * width_);
    return std::string_view(images_).substr(16 + static_cast<size_t>(i) * each, each);
  }

  std::string images_, labels_, name_;
  IdxFormat format_;
  int64_t count_ = 0, height_ = 0, width_ = 0;
};

}  // namespace

DatasetPtr idx_dataset(std::string images, std::string labels, const IdxFormat& format,
                       const std::string& name, const std::string& label_name) {
  return std::make_shared<Idx>(std::move(images), std::move(labels), format, name, label_name);
}

}  // namespace nacre::data
