// The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records of labels and 3072
// bytes, red, green and blue planes of 32x32.
#include "base/hash.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr size_t kPictureSide = 32, kPlane = kPictureSide * kPictureSide;

class Cifar final : public Dataset {
 public:
  Cifar(std::vector<std::string> files, int label_bytes, std::vector<std::string> classes,
        int64_t expected, const std::string& name)
      : files_(std::move(files)),
        label_bytes_(static_cast<size_t>(label_bytes)),
        record_(label_bytes_ + 3 * kPlane),
        expected_(expected),
        name_(name) {
    classes_ = std::move(classes);
    for (size_t f = 0; f < files_.size(); ++f) {
      const std::string& file = files_[f];
      if (file.empty() || file.size() % record_ != 0)
        fail(Error::Kind::data, {name, ": file ", f + 1, " has ", file.size(),
                                 " bytes, must be a multiple of ", record_});
      for (size_t r = 0; r < file.size() / record_; ++r) {
        const auto label = static_cast<uint8_t>(file[r * record_ + label_bytes_ - 1]);
        if (label >= classes_.size())
          fail(Error::Kind::data, {name, ": label ", int{label}, " of picture ", places_.size(),
                                   " is not below ", classes_.size()});
        places_.push_back({static_cast<uint32_t>(f), static_cast<uint32_t>(r)});
      }
    }
  }
  int64_t size() const override { return static_cast<int64_t>(places_.size()); }
  Sample get(int64_t i) const override {
    const auto record = record_of(i);
    Sample s;
    s.label = label(i);
    s.image = Image(kPictureSide, kPictureSide, 3);
    for (size_t c = 0; c < 3; ++c)
      for (size_t k = 0; k < kPlane; ++k)
        s.image.pixels[3 * k + c] =
            static_cast<uint8_t>(record[label_bytes_ + c * kPlane + k]) / 255.0f;
    return s;
  }
  int64_t label(int64_t i) const override {
    return static_cast<uint8_t>(record_of(i)[label_bytes_ - 1]);
  }
  std::string name(int64_t i) const override { return name_ + " picture " + std::to_string(i); }
  uint64_t content_hash(int64_t i) const override {
    return hash64(record_of(i).substr(label_bytes_));
  }
  std::string remark() const override {
    if (size() == expected_) return {};
    return cat({name_, " has ", size(), " pictures, the published set has ", expected_});
  }

 private:
  std::string_view record_of(int64_t i) const {
    check(i);
    const auto [file, record] = places_[static_cast<size_t>(i)];
    return std::string_view(files_[file]).substr(record * record_, record_);
  }
  std::vector<std::string> files_;
  size_t label_bytes_, record_;
  int64_t expected_;
  std::string name_;
  std::vector<std::pair<uint32_t, uint32_t>> places_;
};

}  // namespace

DatasetPtr cifar_dataset(std::vector<std::string> files, int label_bytes,
                         std::vector<std::string> classes, int64_t expected,
                         const std::string& name) {
  return std::make_shared<Cifar>(std::move(files), label_bytes, std::move(classes), expected, name);
}

}  // namespace nacre::data
