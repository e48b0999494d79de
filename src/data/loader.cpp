// Batches made ahead of time. A worker takes the next number, makes that batch alone and puts it
// into its place, so that order and bits do not depend on the number of workers.
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int kNice = 5;

/// Appends one sample's values to x, pictures as planes.
void append(const Sample& s, std::vector<float>& x) {
  const Image& image = s.image;
  if (!image.empty()) {
    const auto channels = static_cast<size_t>(image.channels);
    const size_t at = x.size(), plane = image.pixels.size() / channels;
    x.resize(at + image.pixels.size());
    for (size_t c = 0; c < channels; ++c) {
      float* q = x.data() + at + c * plane;
      for (size_t i = 0; i < plane; ++i) q[i] = image.pixels[i * channels + c];
    }
  }
  x.insert(x.end(), s.features.begin(), s.features.end());
}

Shape shape_of(const Sample& s) {
  if (!s.image.empty()) return {s.image.channels, s.image.height, s.image.width};
  if (!s.features.empty()) return {static_cast<int64_t>(s.features.size())};
  return {};
}

[[noreturn]] void differ(const Sample& a, const Sample& b, int64_t first, int64_t other) {
  const bool channels =
      !a.image.empty() && !b.image.empty() && a.image.channels != b.image.channels;
  const bool sides =
      !channels || a.image.width != b.image.width || a.image.height != b.image.height;
  fail(Error::Kind::shape,
       {"[collate] sample ", first, " has the shape ", shape_of(a), ", sample ", other, " has ",
        shape_of(b),
        channels ? cat({"; to_channels(", std::max(a.image.channels, b.image.channels), ")",
                        sides ? " and a resize or crop make" : " makes", " channels",
                        sides ? " and sides" : "", " equal"})
        : a.image.empty() ? ""
                          : "; a resize or crop makes them equal"});
}

[[noreturn]] void differs(const char* what, int64_t first, int64_t other, const Piece& a,
                          const Piece& b) {
  fail(Error::Kind::shape, {"[collate] sample ", first, " has ", what, " ", a.text(), ", sample ",
                            other, " has ", b.text()});
}

}  // namespace

Batch collate(const std::vector<Sample>& samples, const Indices& indices, int64_t classes) {
  Batch b;
  b.indices = indices;
  b.classes = classes;
  if (samples.empty()) return b;
  const Sample& first = samples[0];
  Shape shape = shape_of(first);
  size_t longest = 0;
  bool boxes = false, keypoints = false, labels = false, texts = false;
  for (const Sample& s : samples) {
    longest = std::max(longest, s.audio.size());
    boxes |= !s.boxes.empty();
    keypoints |= !s.keypoints.empty();
    labels |= s.label >= 0;
    texts |= !s.text.empty();
  }
  if (longest > 0 && !shape.empty())
    fail(Error::Kind::unsupported,
         {"[collate] a batch holds pictures, rows or audio, sample ", indices[0], " has two"});
  b.x.reserve(samples.size() * static_cast<size_t>(longest         ? static_cast<int64_t>(longest)
                                                   : shape.empty() ? 0
                                                                   : shape.numel()));
  for (size_t i = 0; i < samples.size(); ++i) {
    const Sample& s = samples[i];
    if (shape_of(s) != shape) differ(first, s, indices[0], indices[i]);
    if (s.target.size() != first.target.size())
      differs("targets", indices[0], indices[i], first.target.size(), s.target.size());
    if (s.mask.classes.size() != first.mask.classes.size())
      differs("mask pixels", indices[0], indices[i], first.mask.classes.size(),
              s.mask.classes.size());
    append(s, b.x);
    if (longest > 0) {
      b.x.insert(b.x.end(), s.audio.begin(), s.audio.end());
      b.x.resize((i + 1) * longest, 0.0f);
      b.lengths.push_back(static_cast<int64_t>(s.audio.size()));
    }
    if (labels) b.labels.push_back(s.label);
    b.targets.insert(b.targets.end(), s.target.begin(), s.target.end());
    b.masks.insert(b.masks.end(), s.mask.classes.begin(), s.mask.classes.end());
    if (boxes) b.boxes.push_back(s.boxes);
    if (keypoints) b.keypoints.push_back(s.keypoints);
    if (texts) b.texts.push_back(s.text);
  }
  b.target_width = static_cast<int64_t>(first.target.size());
  if (longest > 0) shape = {static_cast<int64_t>(longest)};
  if (!shape.empty()) {
    b.shape = shape;
    b.shape.insert(0, static_cast<int64_t>(samples.size()));
  }
  return b;
}

struct DataLoader::State {
  DatasetPtr dataset;
  Transform transform;
  SamplerPtr sampler;
  LoaderOptions options;

  Indices order;
  int64_t epoch = 0, count = 0;  ///< batches of the epoch
  int64_t skipped = 0;

  // Below: of the running epoch, under the mutex.
  std::mutex mutex;
  std::condition_variable ready, room;
  int64_t wanted = 0;   ///< number that next() gives out
  int64_t claimed = 0;  ///< number that the next free worker makes
  bool stop = false;
  struct Made {
    std::optional<Batch> batch;
    std::exception_ptr error;
    int64_t skipped = 0;
  };
  std::map<int64_t, Made> made;
  std::vector<std::thread> threads;

  Batch make(int64_t number, int64_t& left_out) {
    const int64_t from = number * options.batch;
    const int64_t to = std::min(from + options.batch, static_cast<int64_t>(order.size()));
    std::vector<Sample> samples;
    Indices indices;
    for (int64_t k = from; k < to; ++k) {
      const int64_t i = order[static_cast<size_t>(k)];
      try {
        Sample s = dataset->get(i);
        // The place in the epoch is part of the key: a sample drawn twice is augmented twice.
        const Key key = sample_key(options.seed, epoch, i).fold_in(static_cast<uint64_t>(k));
        transform.apply(s, options.training, key);
        samples.push_back(std::move(s));
        indices.push_back(i);
      } catch (const Error& e) {
        const bool unreadable = e.kind() == Error::Kind::data || e.kind() == Error::Kind::io;
        if (options.on_error != OnError::skip || !unreadable) throw;
        ++left_out;
      }
    }
    Batch b = collate(samples, indices, static_cast<int64_t>(dataset->classes().size()));
    b.epoch = epoch;
    b.number = number;
    transform.apply(b, options.training, batch_key(options.seed, epoch, number));
    return b;
  }

  Made try_make(int64_t number) {
    Made m;
    try {
      m.batch = make(number, m.skipped);
    } catch (...) {
      m.error = std::current_exception();
    }
    return m;
  }

  void work() {
    ::setpriority(PRIO_PROCESS, 0, kNice);  // of this thread only, on Linux
    const int64_t ahead = std::max(options.prefetch, options.workers);
    for (;;) {
      int64_t number = 0;
      {
        std::unique_lock lock(mutex);
        room.wait(lock, [&] { return stop || claimed >= count || claimed < wanted + ahead; });
        if (stop || claimed >= count) return;
        number = claimed++;
      }
      Made m = try_make(number);
      {
        std::lock_guard lock(mutex);
        made[number] = std::move(m);
      }
      ready.notify_one();
    }
  }

  void halt() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    room.notify_all();
    for (auto& t : threads) t.join();
    threads.clear();
    made.clear();
    stop = false;
  }
};

DataLoader::DataLoader(DatasetPtr dataset, Transform transform, SamplerPtr sampler,
                       LoaderOptions options)
    : state_(std::make_unique<State>()) {
  if (!dataset || !sampler)
    fail(Error::Kind::usage, {"[DataLoader] needs a data set and a sampler"});
  if (options.batch < 1 || options.batch > (1 << 24))
    fail(Error::Kind::usage, {"[DataLoader] batch is ", options.batch, ", must be 1 to 16777216"});
  if (options.workers < 0 || options.workers > 256)
    fail(Error::Kind::usage, {"[DataLoader] workers is ", options.workers, ", must be 0 to 256"});
  if (options.prefetch < 1 || options.prefetch > 65536)
    fail(Error::Kind::usage,
         {"[DataLoader] prefetch is ", options.prefetch, ", must be 1 to 65536"});
  state_->dataset = std::move(dataset);
  state_->transform = std::move(transform);
  state_->sampler = std::move(sampler);
  state_->options = options;
}

DataLoader::~DataLoader() { state_->halt(); }

void DataLoader::start(int64_t epoch, int64_t batch) {
  State& s = *state_;
  s.halt();
  if (epoch < 0 || batch < 0)
    fail(Error::Kind::usage, {"[DataLoader] cannot start at epoch ", epoch, ", batch ", batch});
  s.epoch = epoch;
  s.order = s.sampler->order(Key(s.options.seed), epoch);
  const auto n = static_cast<int64_t>(s.order.size());
  s.count = s.options.drop_last ? n / s.options.batch : (n + s.options.batch - 1) / s.options.batch;
  s.wanted = s.claimed = std::min(batch, s.count);
  const int64_t workers = std::min<int64_t>(s.options.workers, s.count - s.wanted);
  for (int64_t i = 0; i < workers; ++i) s.threads.emplace_back([&s] { s.work(); });
}

std::optional<Batch> DataLoader::next() {
  State& s = *state_;
  for (;;) {
    State::Made m;
    if (s.wanted >= s.count) return std::nullopt;
    if (s.threads.empty()) {
      m = s.try_make(s.wanted++);
    } else {
      std::unique_lock lock(s.mutex);
      s.ready.wait(lock, [&] { return s.made.count(s.wanted) > 0; });
      m = std::move(s.made[s.wanted]);
      s.made.erase(s.wanted++);
      lock.unlock();
      s.room.notify_all();
    }
    s.skipped += m.skipped;
    if (m.error) std::rethrow_exception(m.error);
    if (m.batch->size() > 0) return std::move(m.batch);  // else all of it was skipped
  }
}

int64_t DataLoader::batches() const { return state_->count; }
int64_t DataLoader::skipped() const { return state_->skipped; }

}  // namespace nacre
