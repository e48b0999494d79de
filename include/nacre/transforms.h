// What is done to a sample between the file and the network: one pipeline for training,
// evaluation, prediction and serving.
//
//   auto t = Transform::parse("resize(32)|random_crop(28,padding=2)|hflip(p=0.5)|"
//                             "normalize(mean=0.13,std=0.31)");
//   t.apply(sample, /*training=*/true, sample_key(seed, epoch, index));
//   model_metadata["transform"] = t.str();
//
// The text form is what a model file stores; names and defaults of steps never change their
// meaning. Random steps are a function of the key, so that the same (seed, epoch, index) gives the
// same bits on any number of threads. Outside training the random steps are left out, except that
// random_crop and random_resized_crop become their centred forms, so that sizes agree.
//
// Boxes, masks and key points follow every geometric step. A box becomes the upright rectangle
// around its moved corners, clipped to the picture; it is dropped when less than a tenth of that
// rectangle lies inside. Mask pixels that come from outside get kIgnore. Key points keep their
// order; those that leave the picture become invisible.
//
// Steps for pictures leave clips, texts and rows alone, and the other way round, so that one
// pipeline serves mixed data. A Transform is immutable; apply is thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/image.h"
#include "nacre/random.h"
#include "nacre/shape.h"

namespace nacre {

/// Pixels; (x, y) is the upper left corner, and pixel i covers i to i + 1.
struct Box {
  float x = 0, y = 0, width = 0, height = 0;
  int64_t label = 0;
  friend bool operator==(const Box&, const Box&) = default;
};

struct Keypoint {
  float x = 0, y = 0;
  bool visible = true;
  friend bool operator==(const Keypoint&, const Keypoint&) = default;
};

/// A class index for each pixel.
struct Mask {
  static constexpr int32_t kIgnore = 255;
  int width = 0, height = 0;
  std::vector<int32_t> classes;
  friend bool operator==(const Mask&, const Mask&) = default;
};

/// One example of a data set. Parts that it does not have are empty.
struct Sample {
  Image image;
  std::vector<float> features;  ///< a row of a table; NaN is a missing value
  std::vector<float> audio;     ///< one channel, -1..1
  int audio_rate = 0;           ///< samples a second
  std::string text;
  int64_t label = -1;         ///< class index; -1 is none
  std::vector<float> target;  ///< values to predict (regression)
  std::vector<Box> boxes;
  Mask mask;
  std::vector<Keypoint> keypoints;
  friend bool operator==(const Sample&, const Sample&) = default;
};

/// Samples put together, on the host. x has the shape [n, channels, height, width] of pictures,
/// [n, features] of rows or [n, samples] of audio (shorter clips are filled with zeros).
struct Batch {
  std::vector<float> x;
  Shape shape;
  std::vector<int64_t> labels;  ///< class indices [n]; empty if there are none
  std::vector<float> targets;   ///< [n, target_width]: soft labels after mixing, or values
  int64_t target_width = 0;
  int64_t classes = 0;           ///< of the data set
  std::vector<int64_t> indices;  ///< of the samples in the data set
  std::vector<int64_t> lengths;  ///< of audio before filling, in samples
  std::vector<std::string> texts;
  std::vector<std::vector<Box>> boxes;
  std::vector<std::vector<Keypoint>> keypoints;
  std::vector<int32_t> masks;  ///< [n, height, width]
  int64_t epoch = 0, number = 0;
  int64_t size() const { return static_cast<int64_t>(indices.size()); }
  friend bool operator==(const Batch&, const Batch&) = default;
};

/// The key of one sample, and of one batch, of an epoch.
Key sample_key(uint64_t seed, int64_t epoch, int64_t index);
Key batch_key(uint64_t seed, int64_t epoch, int64_t number);

class Transform {
 public:
  Transform() = default;
  /// Reads steps separated by '|', each "name(value, name=value, ...)"; values are numbers, words
  /// or [lists of numbers]. Throws Error (usage) that names the step and what would be right.
  static Transform parse(std::string_view spec);
  /// The text form; parse(str()) gives the same pipeline.
  std::string str() const;
  bool empty() const { return steps_.empty(); }
  /// Throws Error (shape) if a step does not fit the sample.
  void apply(Sample& sample, bool training, Key key) const;
  /// Steps that mix the samples of a batch (mixup, cutmix, sample_pairing); nothing outside
  /// training.
  void apply(Batch& batch, bool training, Key key) const;
  /// Both pipelines, one after the other.
  Transform then(const Transform& next) const;

  struct Step;

 private:
  std::vector<std::shared_ptr<const Step>> steps_;
};

/// A step for help texts: how it is written, and what it does.
struct StepHelp {
  std::string usage, text;
};
std::vector<StepHelp> transform_steps();

// ---- geometry as functions, for a whole sample

/// Where pixels outside the picture come from: a value, the nearest edge pixel, mirrored without
/// repeating the edge, or the other side.
enum class Border { constant, edge, reflect, wrap };

/// Counter-clockwise by any angle in degrees about the centre; the size stays. Multiples of 90 are
/// exact where the size allows it; others are bilinear, masks nearest.
void rotate(Sample& sample, double degrees, Border border = Border::constant, float fill = 0);
/// Counter-clockwise by quarter turns, exact; width and height are exchanged for odd numbers.
void rotate90(Sample& sample, int turns);
/// Left and right exchanged, or up and down.
void flip(Sample& sample, bool vertical = false);
/// Moves by (dx, dy) pixels, right and down; whole numbers are exact.
void translate(Sample& sample, double dx, double dy, Border border = Border::constant,
               float fill = 0);
/// The window of that size with its upper left corner at (x, y), which may lie outside.
void crop(Sample& sample, int x, int y, int width, int height, Border border = Border::constant,
          float fill = 0);
/// Another size; labels are scaled too, masks by nearest.
void resize(Sample& sample, int width, int height, Resample method = Resample::bilinear);

// ---- scaling of tables

/// Makes the columns of a table comparable. Missing values (NaN) are left out of the fit and stay.
///   min_max    (x - min) / (max - min)
///   z_score    (x - mean) / standard deviation of the population
///   robust     (x - median) / (75th - 25th percentile, linear between values)
///   unit_norm  each row divided by its Euclidean length
/// A column of one value is divided by 1, a row of zeros too. Rows are given row after row.
class Scaler {
 public:
  enum class Kind { min_max, z_score, robust, unit_norm };
  explicit Scaler(Kind kind) : kind_(kind) {}
  /// Takes in more rows; fitting in pieces gives the same as at once. robust keeps all values.
  /// Throws Error (shape) if the number of columns changes or does not divide rows.size().
  void fit(std::span<const double> rows, int64_t columns);
  /// Scales in place; returns the lengths of the rows for unit_norm, else nothing. Throws Error
  /// (usage) before any fit.
  std::vector<double> transform(std::span<double> rows) const;
  /// Undoes transform; unit_norm needs the lengths that it returned.
  void inverse(std::span<double> rows, std::span<const double> lengths = {}) const;
  /// The step of a Transform that does the same to Sample::features.
  std::string step() const;

  /// What a value loses and is then divided by, a column. Throws Error (usage) before fit().
  struct Fitted {
    std::vector<double> offset, scale;
  };
  Fitted fitted() const;

 private:
  int64_t rows_of(size_t values) const;

  Kind kind_;
  int64_t columns_ = 0;
  std::vector<double> count_, low_, high_, mean_, square_;
  std::vector<std::vector<double>> values_;
};

/// Throws Error (usage) if there is none of that name ("min_max", "z_score", ...).
Scaler::Kind scaler_from_name(std::string_view name);

}  // namespace nacre
