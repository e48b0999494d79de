#include "serve/batcher.h"

#include <cstring>
#include <new>

#include "base/log.h"
#include "serve/http.h"

namespace nacre::serve {
namespace {

double seconds(Batcher::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

/// Whether the rows of both can stand in one tensor.
bool match(const Tensors& a, const Tensors& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    const Shape &x = a[i].shape(), &y = b[i].shape();
    if (x.rank() != y.rank()) return false;
    for (int64_t d = 1; d < x.rank(); ++d)
      if (x[d] != y[d]) return false;
  }
  return true;
}

size_t row_bytes(const Tensor& t) {
  return static_cast<size_t>(t.numel() / t.shape()[0]) * size_of(t.dtype());
}

/// Input `i` of all jobs, one below the other.
Tensor joined(const std::vector<Batcher::Job>& jobs, size_t i, int64_t rows) {
  Shape shape = jobs[0].inputs[i].shape();
  shape[0] = rows;
  std::string bytes;
  bytes.reserve(row_bytes(jobs[0].inputs[i]) * static_cast<size_t>(rows));
  for (const Batcher::Job& job : jobs) {
    const Tensor& t = job.inputs[i];
    bytes.append(static_cast<const char*>(t.data()),
                 row_bytes(t) * static_cast<size_t>(t.shape()[0]));
  }
  return Tensor::from_bytes(bytes.data(), bytes.size(), shape, jobs[0].inputs[i].dtype());
}

Tensor part(const Tensor& t, int64_t from, int64_t rows) {
  Shape shape = t.shape();
  const size_t row = row_bytes(t);
  shape[0] = rows;
  return Tensor::from_bytes(static_cast<const char*>(t.data()) + row * static_cast<size_t>(from),
                            row * static_cast<size_t>(rows), shape, t.dtype());
}

}  // namespace

Batcher::Batcher(const Predictor& model, BatchOptions options,
                 std::shared_ptr<ModelMetrics> metrics)
    : model_(model), options_(options), metrics_(std::move(metrics)), thread_([this] { work(); }) {}

Batcher::~Batcher() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Batcher::full() const {
  std::lock_guard lock(mutex_);
  return queue_.size() >= options_.queue;
}

bool Batcher::submit(Job& job) {
  {
    std::lock_guard lock(mutex_);
    if (ending_ || queue_.size() >= options_.queue) return false;
    queue_.push_back(std::move(job));
    ++metrics_->waiting;
  }
  return true;
}

void Batcher::finish(Job& job, BatchResult result) {
  try {
    job.done(std::move(result));
  } catch (const std::exception& e) {
    log_error({"an answer could not be made: ", e.what()});
  }
  job.done = nullptr;
}

void Batcher::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const auto rows_waiting = [&] {
      int64_t rows = 0;
      for (const Job& j : queue_)
        if ((rows += j.rows) >= options_.rows) break;
      return rows;
    };
    if (model_.batches() && options_.wait.count() > 0)
      wake_.wait_until(lock, queue_.front().arrived + options_.wait,
                       [&] { return ending_ || rows_waiting() >= options_.rows; });
    std::vector<Job> jobs, dropped;
    int64_t rows = 0;
    const auto now = Clock::now();
    while (!queue_.empty()) {
      Job& next = queue_.front();
      const bool late = options_.patience.count() > 0 && now - next.arrived > options_.patience;
      const bool drop = late || (next.cancelled && next.cancelled());
      if (!drop && !jobs.empty() &&
          (!model_.batches() || rows + next.rows > options_.rows ||
           !match(jobs[0].inputs, next.inputs)))
        break;
      rows += drop ? 0 : next.rows;
      (drop ? dropped : jobs).push_back(std::move(next));
      queue_.pop_front();
      --metrics_->waiting;
    }
    lock.unlock();
    for (Job& j : dropped) {
      BatchResult r;
      r.outcome = j.cancelled && j.cancelled() ? Outcome::cancelled : Outcome::timeout;
      r.error = "the request waited too long in the queue";
      finish(j, std::move(r));
    }
    dropped.clear();
    if (!jobs.empty()) run(std::move(jobs));
    lock.lock();
  }
}

void Batcher::run(std::vector<Job> jobs) {
  int64_t rows = 0;
  for (const Job& j : jobs) rows += j.rows;
  const auto began = Clock::now();
  Tensors outputs;
  BatchResult failure;
  try {
    Tensors inputs;
    if (jobs.size() == 1)
      inputs = jobs[0].inputs;
    else
      for (size_t i = 0; i < jobs[0].inputs.size(); ++i) inputs.push_back(joined(jobs, i, rows));
    outputs = model_.run(inputs);
    healthy_ = true;
  } catch (const std::bad_alloc&) {
    failure.outcome = Outcome::memory;
  } catch (const Error& e) {
    failure.outcome = e.kind() == Error::Kind::memory ? Outcome::memory : Outcome::error;
    failure.error = e.what();
  } catch (const std::exception& e) {
    failure.outcome = Outcome::error;
    failure.error = e.what();
  }
  if (failure.outcome == Outcome::memory) healthy_ = false;
  if (failure.outcome != Outcome::success && jobs.size() > 1) {
    // One of them may be the cause: the others are not to suffer for it.
    for (Job& j : jobs) {
      std::vector<Job> one;
      one.push_back(std::move(j));
      run(std::move(one));
    }
    return;
  }
  const double compute = seconds(Clock::now() - began);
  metrics_->compute.add(compute);
  metrics_->batch.add(static_cast<double>(rows));
  metrics_->rows += static_cast<uint64_t>(rows);
  int64_t from = 0;
  const AnswersTogether together;  // one by one they would interrupt each other
  for (Job& j : jobs) {
    BatchResult r = failure;
    r.queue_seconds = seconds(began - j.arrived);
    r.compute_seconds = compute;
    metrics_->queue.add(r.queue_seconds);
    if (r.outcome == Outcome::success) {
      try {
        if (jobs.size() == 1)
          r.outputs = std::move(outputs);
        else
          for (const Tensor& t : outputs) r.outputs.push_back(part(t, from, j.rows));
      } catch (const std::exception&) {
        r.outcome = Outcome::memory;
      }
    }
    from += j.rows;
    finish(j, std::move(r));
  }
}

}  // namespace nacre::serve
