// Event files: records of (length, checksum of the length, bytes, checksum of the bytes), whose
// bytes are protobuf messages tensorflow.Event.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/hash.h"
#include "formats/wire.h"
#include "nacre/error.h"
#include "nacre/formats.h"

namespace nacre {
namespace {

// ---- messages

constexpr std::string_view kMessage = "its message";  // in what is said of damaged ones

WireWriter encode_histogram(const Histogram& h) {
  WireWriter out;
  out.real64(1, h.min);
  out.real64(2, h.max);
  out.real64(3, h.count);
  out.real64(4, h.sum);
  out.real64(5, h.sum_squares);
  out.reals64(6, h.limits);
  out.reals64(7, h.counts);
  return out;
}

Histogram decode_histogram(std::string_view text) {
  Histogram h;
  double* const numbers[] = {&h.min, &h.max, &h.count, &h.sum, &h.sum_squares};
  for (WireReader r(text, kMessage); r.next();) {
    if (r.field() <= 5)
      *numbers[r.field() - 1] = r.real64();
    else if (r.field() == 6)
      r.reals64(h.limits);
    else if (r.field() == 7)
      r.reals64(h.counts);
  }
  if (h.limits.size() != h.counts.size())
    fail(Error::Kind::data,
         {"a histogram has ", h.limits.size(), " limits and ", h.counts.size(), " counts"});
  return h;
}

constexpr int64_t kDtString = 7;

WireWriter encode_value(const SummaryValue& v) {
  WireWriter out;
  out.bytes(1, v.tag);
  switch (v.kind) {
    case SummaryValue::Kind::scalar:
      out.real(2, v.scalar);
      break;
    case SummaryValue::Kind::histogram:
      out.message(5, encode_histogram(v.histogram));
      break;
    case SummaryValue::Kind::image: {
      WireWriter image;
      image.integer(1, v.height);
      image.integer(2, v.width);
      image.integer(3, 3);  // colour space: RGB
      image.bytes(4, v.bytes);
      out.message(4, image);
      break;
    }
    case SummaryValue::Kind::text: {
      // Text is a tensor of one string, marked for the plugin that shows it.
      WireWriter size, shape, tensor, plugin, metadata;
      size.integer(1, 1);
      shape.message(2, size);
      tensor.integer(1, kDtString);
      tensor.message(2, shape);
      tensor.bytes(8, v.bytes);
      out.message(8, tensor);
      plugin.bytes(1, "text");
      metadata.message(1, plugin);
      out.message(9, metadata);
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
  for (WireReader r(text, kMessage); r.next();) {
    switch (r.field()) {
      case 1:
        v.tag = r.bytes();
        break;
      case 2:
        v.kind = SummaryValue::Kind::scalar;
        v.scalar = r.real();
        break;
      case 5:
        v.kind = SummaryValue::Kind::histogram;
        v.histogram = decode_histogram(r.bytes());
        break;
      case 4:
        v.kind = SummaryValue::Kind::image;
        for (WireReader image(r.bytes(), kMessage); image.next();) {
          if (image.field() == 1) v.height = static_cast<int>(image.integer());
          if (image.field() == 2) v.width = static_cast<int>(image.integer());
          if (image.field() == 4) v.bytes = image.bytes();
        }
        break;
      case 8:
        for (WireReader tensor(r.bytes(), kMessage); tensor.next();)
          if (tensor.field() == 8) {
            v.kind = SummaryValue::Kind::text;
            v.bytes = tensor.bytes();
          }
        break;
      default:
        break;
    }
  }
  return v;
}

Event decode_event(std::string_view text) {
  Event event;
  for (WireReader r(text, kMessage); r.next();) {
    if (r.field() == 1) event.wall_time = r.real64();
    if (r.field() == 2) event.step = r.integer();
    if (r.field() == 3) event.file_version = r.bytes();
    if (r.field() == 5)
      for (WireReader summary(r.bytes(), kMessage); summary.next();)
        if (summary.field() == 1) event.values.push_back(decode_value(summary.bytes()));
  }
  return event;
}

// ---- records

/// The format stores checksums rotated, so that a checksum of a record with checksums stays good.
uint32_t masked_crc(std::string_view text) {
  const uint32_t crc = crc32c(text);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <typename T>
void put(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof(v));
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string encode_event(const Event& event) {
  WireWriter message, summary;
  message.real64(1, event.wall_time);
  if (event.step) message.integer(2, event.step);
  if (!event.file_version.empty()) message.bytes(3, event.file_version);
  for (const SummaryValue& v : event.values) summary.message(1, encode_value(v));
  if (!event.values.empty()) message.message(5, summary);
  const std::string& text = message.str();
  std::string record;
  put<uint64_t>(record, text.size());
  put(record, masked_crc(record));
  record += text;
  put(record, masked_crc(text));
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
