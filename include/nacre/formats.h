// Files of arrays and of training curves that other programs read and write: safetensors, NumPy's
// .npy and .npz, TensorBoard's event files.
//
//   SafeTensors file = SafeTensors::open("model.safetensors");
//   const RawTensor& w = file.at("conv1.weight");     // w.data points into the mapped file
//   save_safetensors("copy.safetensors", {{"conv1.weight", w}}, {{"format", "pt"}});
//
// Every count in a file is checked against the bytes that exist before memory is taken. Files that
// are not what they claim to be throw Error(data), element types that nacre has no place for throw
// Error(unsupported) with the names of all arrays concerned, failed reads and writes Error(io).
// Writing replaces a file as a whole or leaves it as it was. Functions are thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre {

/// A contiguous row-major array in memory, aligned to its element size. Booleans are 0 or 1.
struct RawTensor {
  DType dtype = DType::f32;
  Shape shape;
  const void* data = nullptr;
  std::shared_ptr<const void> owner;  ///< keeps `data` alive; null if the caller does

  size_t bytes() const { return static_cast<size_t>(shape.numel()) * size_of(dtype); }
};

using NamedTensor = std::pair<std::string, RawTensor>;

class Tensor;
/// The values of a tensor, which has to live as long as the result is used. Evaluates.
RawTensor raw_tensor(const Tensor& t);
/// A tensor with a copy of the values, and one that shares their memory (data.owner keeps it
/// alive).
Tensor copied_tensor(const RawTensor& data);
Tensor shared_tensor(const RawTensor& data);

// ---- safetensors (https://github.com/huggingface/safetensors)

class SafeTensors {
 public:
  /// Maps the file; the tensors point into the map.
  static SafeTensors open(const std::string& path);
  /// From bytes that `owner` keeps alive. `what` names them in messages.
  static SafeTensors parse(std::string_view bytes, std::shared_ptr<const void> owner,
                           std::string_view what);

  /// In the order of the file's data.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The tensor with that name, or null.
  const RawTensor* find(std::string_view name) const;
  /// Throws Error(data) if there is none.
  const RawTensor& at(std::string_view name) const;

 private:
  std::string what_;
  std::vector<NamedTensor> tensors_;
  std::vector<uint32_t> by_name_;  ///< places in tensors_
  std::map<std::string, std::string> metadata_;
};

/// Data starts at a multiple of 64 bytes, larger element types first, so that every tensor is
/// aligned. Equal input gives equal bytes. The metadata get a field "nacre.crc32c" of checksums,
/// which readers check and leave out; files without it load too. Throws Error(usage) if a name
/// stands twice.
void save_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata = {});

// ---- NumPy (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)

/// What the arrays of one .npz may unpack to together.
inline constexpr uint64_t kNpzByteCap = uint64_t{16} << 30;

/// An array of a .npy file, in row-major order and the machine's byte order whatever the file has.
/// int16 and uint16 become i32, uint32 becomes i64, and so does uint64 if all its values fit.
/// Arrays of Python objects are never unpickled: Error(unsupported).
RawTensor load_npy(const std::string& path);
RawTensor parse_npy(std::string_view bytes, std::shared_ptr<const void> owner,
                    std::string_view what);

/// The arrays of a .npz file (stored or deflated) in its order.
std::vector<NamedTensor> load_npz(const std::string& path, uint64_t byte_cap = kNpzByteCap);
std::vector<NamedTensor> parse_npz(std::string_view bytes, std::shared_ptr<const void> owner,
                                   std::string_view what, uint64_t byte_cap = kNpzByteCap);

/// bf16, which NumPy lacks, throws Error(unsupported).
void save_npy(const std::string& path, const RawTensor& array);
void save_npz(const std::string& path, std::span<const NamedTensor> arrays, bool compress = false);

// ---- TensorBoard event files

/// Counts of values in buckets; bucket i ends at limits[i], the first starts at `min`.
struct Histogram {
  double min = 0, max = 0, count = 0, sum = 0, sum_squares = 0;
  std::vector<double> limits{}, counts{};
  /// In buckets that grow by a tenth on both sides of zero. NaN and infinities are left out.
  static Histogram of(std::span<const float> values);
};

/// One value of an event. `kind` says which member counts.
struct SummaryValue {
  enum class Kind { scalar, histogram, image, text, other };
  Kind kind = Kind::scalar;
  std::string tag{};
  float scalar = 0;
  Histogram histogram{};
  std::string bytes{};  ///< an encoded image (PNG), or text (Markdown)
  int width = 0, height = 0;
};

struct Event {
  double wall_time = 0;  ///< seconds since 1970
  int64_t step = 0;
  std::string file_version{};  ///< of the first event: "brain.Event:2"
  std::vector<SummaryValue> values{};
};

/// Appends to a new event file of a folder, which is made if it is missing. One thread at a time.
class EventWriter {
 public:
  explicit EventWriter(const std::string& folder);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void scalar(const std::string& tag, double value, int64_t step);
  void histogram(const std::string& tag, std::span<const float> values, int64_t step);
  /// `png` is an encoded picture of width x height pixels.
  void image(const std::string& tag, std::string png, int width, int height, int64_t step);
  void text(const std::string& tag, std::string markdown, int64_t step);
  /// Makes what was written survive a power cut.
  void sync();
  const std::string& path() const;

 private:
  void write(SummaryValue value, int64_t step);
  struct File;
  std::unique_ptr<File> file_;
};

/// The record of one event as it stands in a file, framing and checksums included.
std::string encode_event(const Event& event);

/// All whole records; a last record that is cut short (still being written) ends the list.
std::vector<Event> load_events(const std::string& path);
std::vector<Event> parse_events(std::string_view bytes, std::string_view what);

}  // namespace nacre
