// Event files: records of (length, checksum of the length, bytes, checksum of the bytes), whose
// bytes are protobuf messages tensorflow.Event. The few messages that are needed are written by
// hand.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "nacre/error.h"
#include "nacre/formats.h"

namespace nacre {
namespace {

// ---- protobuf

void put_varint(std::string& out, uint64_t v) {
  for (; v >= 128; v >>= 7) out += static_cast<char>(v | 128);
  out += static_cast<char>(v);
}

template <typename T>
void put_fixed(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof(v));
}

enum Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_tag(std::string& out, int field, Wire wire) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire));
}
void put_integer(std::string& out, int field, int64_t v) {
  put_tag(out, field, varint);
  put_varint(out, static_cast<uint64_t>(v));
}
void put_double(std::string& out, int field, double v) {
  put_tag(out, field, fixed64);
  put_fixed(out, v);
}
void put_bytes(std::string& out, int field, std::string_view v) {
  put_tag(out, field, bytes);
  put_varint(out, v.size());
  out += v;
}
void put_doubles(std::string& out, int field, const std::vector<double>& v) {
  put_bytes(out, field, {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(double)});
}

/// The fields of a message, one after another.
class Message {
 public:
  explicit Message(std::string_view all) : rest_(all) {}
  int field = 0;
  Wire wire = varint;
  uint64_t number = 0;    ///< of the wire types varint, fixed64 and fixed32
  std::string_view text;  ///< of the wire type bytes

  bool next() {
    if (rest_.empty()) return false;
    const uint64_t tag = take_varint();
    field = static_cast<int>(tag >> 3 & 0x1fffffff);
    wire = static_cast<Wire>(tag & 7);
    switch (wire) {
      case varint:
        number = take_varint();
        break;
      case fixed64:
        number = take_fixed<uint64_t>();
        break;
      case fixed32:
        number = take_fixed<uint32_t>();
        break;
      case bytes:
        text = take(take_varint());
        break;
      default:
        fail(Error::Kind::data, {"a message has a field of an unknown kind"});
    }
    return true;
  }
  bool is(int f, Wire w) const { return field == f && wire == w; }
  double as_double() const { return std::bit_cast<double>(number); }
  std::vector<double> as_doubles() const {
    std::vector<double> v(text.size() / sizeof(double));
    if (!v.empty()) std::memcpy(v.data(), text.data(), v.size() * sizeof(double));
    return v;
  }

 private:
  std::string_view take(uint64_t n) {
    if (n > rest_.size()) fail(Error::Kind::data, {"a message ends in the middle of a field"});
    const std::string_view piece = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return piece;
  }
  template <typename T>
  T take_fixed() {
    T v;
    std::memcpy(&v, take(sizeof(T)).data(), sizeof(T));
    return v;
  }
  uint64_t take_varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      v |= uint64_t{byte & 127u} << shift;
      if (byte < 128) return v;
    }
    fail(Error::Kind::data, {"a message holds a number that is too long"});
  }
  std::string_view rest_;
};

// ---- messages

std::string encode_histogram(const Histogram& h) {
  std::string out;
  put_double(out, 1, h.min);
  put_double(out, 2, h.max);
  put_double(out, 3, h.count);
  put_double(out, 4, h.sum);
  put_double(out, 5, h.sum_squares);
  put_doubles(out, 6, h.limits);
  put_doubles(out, 7, h.counts);
  return out;
}

Histogram decode_histogram(std::string_view text) {
  Histogram h;
  double* const numbers[] = {&h.min, &h.max, &h.count, &h.sum, &h.sum_squares};
  for (Message m(text); m.next();) {
    if (m.wire == fixed64 && m.field >= 1 && m.field <= 5) *numbers[m.field - 1] = m.as_double();
    // Repeated numbers are packed, or each a field of its own.
    for (auto [field, list] : {std::pair{6, &h.limits}, {7, &h.counts}}) {
      if (m.is(field, bytes)) *list = m.as_doubles();
      if (m.is(field, fixed64)) list->push_back(m.as_double());
    }
  }
  if (h.limits.size() != h.counts.size())
    fail(Error::Kind::data,
         {"a histogram has ", h.limits.size(), " limits and ", h.counts.size(), " counts"});
  return h;
}

constexpr int64_t kDtString = 7;

std::string encode_value(const SummaryValue& v) {
  std::string out;
  put_bytes(out, 1, v.tag);
  switch (v.kind) {
    case SummaryValue::Kind::scalar:
      put_tag(out, 2, fixed32);
      put_fixed(out, v.scalar);
      break;
    case SummaryValue::Kind::histogram:
      put_bytes(out, 5, encode_histogram(v.histogram));
      break;
    case SummaryValue::Kind::image: {
      std::string image;
      put_integer(image, 1, v.height);
      put_integer(image, 2, v.width);
      put_integer(image, 3, 3);  // colour space: RGB
      put_bytes(image, 4, v.bytes);
      put_bytes(out, 4, image);
      break;
    }
    case SummaryValue::Kind::text: {
      // Text is a tensor of one string, marked for the plugin that shows it.
      std::string size, shape, tensor, plugin, metadata;
      put_integer(size, 1, 1);
      put_bytes(shape, 2, size);
      put_integer(tensor, 1, kDtString);
      put_bytes(tensor, 2, shape);
      put_bytes(tensor, 8, v.bytes);
      put_bytes(out, 8, tensor);
      put_bytes(plugin, 1, "text");
      put_bytes(metadata, 1, plugin);
      put_bytes(out, 9, metadata);
      break;
    }
    case SummaryValue::Kind::other:
      fail(Error::Kind::usage, {"a summary value of an unknown kind cannot be written"});
  }
  return out;
}

SummaryValue decode_value(std::string_view text) {
  SummaryValue v;
  v.kind = SummaryValue::Kind::other;
  for (Message m(text); m.next();) {
    if (m.is(1, bytes)) v.tag = m.text;
    if (m.is(2, fixed32)) {
      v.kind = SummaryValue::Kind::scalar;
      v.scalar = std::bit_cast<float>(static_cast<uint32_t>(m.number));
    }
    if (m.is(5, bytes)) {
      v.kind = SummaryValue::Kind::histogram;
      v.histogram = decode_histogram(m.text);
    }
    if (m.is(4, bytes)) {
      v.kind = SummaryValue::Kind::image;
      for (Message image(m.text); image.next();) {
        if (image.is(1, varint)) v.height = static_cast<int>(image.number);
        if (image.is(2, varint)) v.width = static_cast<int>(image.number);
        if (image.is(4, bytes)) v.bytes = image.text;
      }
    }
    if (m.is(8, bytes)) {
      for (Message tensor(m.text); tensor.next();)
        if (tensor.is(8, bytes)) {
          v.kind = SummaryValue::Kind::text;
          v.bytes = tensor.text;
        }
    }
  }
  return v;
}

Event decode_event(std::string_view text) {
  Event event;
  for (Message m(text); m.next();) {
    if (m.is(1, fixed64)) event.wall_time = m.as_double();
    if (m.is(2, varint)) event.step = static_cast<int64_t>(m.number);
    if (m.is(3, bytes)) event.file_version = m.text;
    if (m.is(5, bytes))
      for (Message summary(m.text); summary.next();)
        if (summary.is(1, bytes)) event.values.push_back(decode_value(summary.text));
  }
  return event;
}

// ---- records

/// The format stores checksums rotated, so that a checksum of a record with checksums stays good.
uint32_t masked_crc(std::string_view text) {
  const uint32_t crc = crc32c(text);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string encode_event(const Event& event) {
  std::string message, summary;
  put_double(message, 1, event.wall_time);
  if (event.step) put_integer(message, 2, event.step);
  if (!event.file_version.empty()) put_bytes(message, 3, event.file_version);
  for (const SummaryValue& v : event.values) put_bytes(summary, 1, encode_value(v));
  if (!summary.empty()) put_bytes(message, 5, summary);
  std::string record;
  put_fixed<uint64_t>(record, message.size());
  put_fixed(record, masked_crc(record));
  record += message;
  put_fixed(record, masked_crc(message));
  return record;
}

std::vector<Event> parse_events(std::string_view text, std::string_view what) {
  std::vector<Event> events;
  const size_t all = text.size();
  const auto damaged = [&](std::string_view why) {
    fail(Error::Kind::data, {what, ": the record at byte ", all - text.size(), " ", why});
  };
  while (text.size() >= 12) {
    uint64_t length;
    uint32_t crc;
    std::memcpy(&length, text.data(), 8);
    std::memcpy(&crc, text.data() + 8, 4);
    if (crc != masked_crc(text.substr(0, 8))) damaged("has a wrong checksum of its length");
    if (text.size() - 12 < length || text.size() - 12 - length < 4) break;
    const std::string_view message = text.substr(12, length);
    std::memcpy(&crc, text.data() + 12 + length, 4);
    if (crc != masked_crc(message)) damaged("has a wrong checksum");
    try {
      events.push_back(decode_event(message));
    } catch (const Error& e) {
      damaged(cat({"is damaged: ", e.what()}));
    }
    text.remove_prefix(16 + length);
  }
  return events;
}

std::vector<Event> load_events(const std::string& path) {
  return parse_events(MappedFile::open(path)->bytes(), path);
}

Histogram Histogram::of(std::span<const float> values) {
  // Limits 1e-12 * 1.1^k on both sides of zero; -0 and 0 lie in the bucket that ends at 1e-12.
  static const std::vector<double> all_limits = [] {
    std::vector<double> positive, limits;
    for (double v = 1e-12; v < 1e39; v *= 1.1) positive.push_back(v);
    for (auto it = positive.rbegin(); it != positive.rend(); ++it) limits.push_back(-*it);
    limits.insert(limits.end(), positive.begin(), positive.end());
    return limits;
  }();
  Histogram h;
  std::vector<double> counts(all_limits.size(), 0);
  for (float f : values) {
    if (!std::isfinite(f)) continue;
    const double v = f;
    h.min = h.count ? std::min(h.min, v) : v;
    h.max = h.count ? std::max(h.max, v) : v;
    h.count += 1;
    h.sum += v;
    h.sum_squares += v * v;
    const auto bucket = std::upper_bound(all_limits.begin(), all_limits.end() - 1, v);
    counts[static_cast<size_t>(bucket - all_limits.begin())] += 1;
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    const bool inside = h.count && all_limits[i] >= h.min && (i == 0 || all_limits[i - 1] <= h.max);
    if (!inside && !counts[i]) continue;
    if (!h.counts.empty() && !h.counts.back() && !counts[i]) {
      h.limits.back() = all_limits[i];  // a run of empty buckets becomes one
      continue;
    }
    h.limits.push_back(all_limits[i]);
    h.counts.push_back(counts[i]);
  }
  return h;
}

struct EventWriter::File {
  explicit File(const std::string& path) : out(path) {}
  AppendFile out;
};

EventWriter::EventWriter(const std::string& folder) {
  static std::atomic<int> serial{0};
  make_folders(folder);
  char host[256] = "localhost";
  if (::gethostname(host, sizeof(host) - 1) != 0 || std::strchr(host, '/'))
    std::strcpy(host, "localhost");
  char name[400];
  std::snprintf(name, sizeof(name), "/events.out.tfevents.%010lld.%s.%d.%d",
                static_cast<long long>(now()), host, static_cast<int>(::getpid()), serial++);
  file_ = std::make_unique<File>(folder + name);
  file_->out.append(encode_event({.wall_time = now(), .file_version = "brain.Event:2"}));
}

EventWriter::~EventWriter() = default;

void EventWriter::write(SummaryValue value, int64_t step) {
  Event event{.wall_time = now(), .step = step};
  event.values.push_back(std::move(value));
  file_->out.append(encode_event(event));
}

void EventWriter::scalar(const std::string& tag, double value, int64_t step) {
  write({.tag = tag, .scalar = static_cast<float>(value)}, step);
}

void EventWriter::histogram(const std::string& tag, std::span<const float> values, int64_t step) {
  write({.kind = SummaryValue::Kind::histogram, .tag = tag, .histogram = Histogram::of(values)},
        step);
}

void EventWriter::image(const std::string& tag, std::string png, int width, int height,
                        int64_t step) {
  write({.kind = SummaryValue::Kind::image,
         .tag = tag,
         .bytes = std::move(png),
         .width = width,
         .height = height},
        step);
}

void EventWriter::text(const std::string& tag, std::string markdown, int64_t step) {
  write({.kind = SummaryValue::Kind::text, .tag = tag, .bytes = std::move(markdown)}, step);
}

void EventWriter::sync() { file_->out.sync(); }
const std::string& EventWriter::path() const { return file_->out.path(); }

}  // namespace nacre
