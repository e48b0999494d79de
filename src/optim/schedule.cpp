#include <cmath>
#include <limits>
#include <numbers>
#include <sstream>

#include "nacre/optim.h"

namespace nacre::schedule {
namespace {

/// A schedule that is a pure function of the step.
class Pure : public Schedule {
 public:
  explicit Pure(std::function<double(int64_t)> f) : f_(std::move(f)) {}
  double at(int64_t step) const override { return f_(step); }

 private:
  std::function<double(int64_t)> f_;
};

P pure(std::function<double(int64_t)> f) { return std::make_unique<Pure>(std::move(f)); }

double half_cosine(double from, double to, double t) {
  return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * t));
}

class Warmup : public Schedule {
 public:
  Warmup(int64_t steps, P after) : steps_(steps), after_(std::move(after)) {}
  double at(int64_t step) const override {
    if (step < steps_)
      return after_->at(0) * static_cast<double>(step + 1) / static_cast<double>(steps_ + 1);
    return after_->at(step - steps_);
  }
  void metric(double v) override { after_->metric(v); }
  std::vector<double> memory() const override { return after_->memory(); }
  void restore(const std::vector<double>& m) override { after_->restore(m); }

 private:
  int64_t steps_;
  P after_;
};

class Plateau : public Schedule {
 public:
  Plateau(double lr, double factor, int64_t patience, double threshold, double min_lr)
      : lr_(lr), factor_(factor), threshold_(threshold), min_(min_lr), patience_(patience) {}
  double at(int64_t) const override { return lr_; }
  void metric(double v) override {
    if (v < best_ * (1 - std::copysign(threshold_, best_)) || !std::isfinite(best_)) {
      best_ = v;
      bad_ = 0;
    } else if (++bad_ > patience_) {
      lr_ = std::max(lr_ * factor_, min_);
      bad_ = 0;
    }
  }
  std::vector<double> memory() const override { return {lr_, best_, static_cast<double>(bad_)}; }
  void restore(const std::vector<double>& m) override {
    if (m.size() != 3)
      fail(Error::Kind::data, {"a plateau schedule stores 3 numbers, got ", m.size()});
    constexpr double kMost = 1e15;  // epochs
    if (!(m[0] >= 0 && std::isfinite(m[0])) || !(m[2] >= 0 && m[2] < kMost))
      fail(Error::Kind::data,
           {"a plateau schedule stores a rate and a count of epochs, got ", m[0], " and ", m[2]});
    lr_ = m[0];
    best_ = m[1];
    bad_ = static_cast<int64_t>(m[2]);
  }

 private:
  double lr_, factor_, threshold_, min_, best_ = std::numeric_limits<double>::infinity();
  int64_t patience_, bad_ = 0;
};

}  // namespace

P constant(double lr) {
  return pure([=](int64_t) { return lr; });
}
P step(double lr, int64_t every, double gamma) {
  if (every < 1)
    fail(Error::Kind::usage, {"[schedule] step: every must be at least 1, got ", every});
  return pure([=](int64_t s) { return lr * std::pow(gamma, static_cast<double>(s / every)); });
}
P multi_step(double lr, std::vector<int64_t> milestones, double gamma) {
  return pure([=](int64_t s) {
    double v = lr;
    for (int64_t m : milestones)
      if (s >= m) v *= gamma;
    return v;
  });
}
P exponential(double lr, double gamma) {
  return pure([=](int64_t s) { return lr * std::pow(gamma, static_cast<double>(s)); });
}
P cosine(double lr, int64_t period, double min_lr, double factor) {
  if (period < 1 || factor < 1)
    fail(Error::Kind::usage, {"[schedule] cosine: period and factor must be at least 1"});
  return pure([=](int64_t s) {
    double length = static_cast<double>(period), at = static_cast<double>(s);
    while (at >= length) {
      at -= length;
      length *= factor;
    }
    return half_cosine(lr, min_lr, at / length);
  });
}
P one_cycle(double max_lr, int64_t steps, double warmup, double div, double final_div) {
  return pure([=](int64_t s) {
    const double up = std::max(1.0, warmup * static_cast<double>(steps)) - 1,
                 last = static_cast<double>(steps) - 1;
    const double at = std::min(static_cast<double>(s), last), start = max_lr / div;
    if (at <= up) return up == 0 ? max_lr : half_cosine(start, max_lr, at / up);
    return half_cosine(max_lr, start / final_div, last == up ? 1 : (at - up) / (last - up));
  });
}
P polynomial(double lr, int64_t steps, double power, double end_lr) {
  return pure([=](int64_t s) {
    const double left = 1 - std::min(1.0, static_cast<double>(s) /
                                              static_cast<double>(std::max<int64_t>(1, steps)));
    return end_lr + (lr - end_lr) * std::pow(left, power);
  });
}
P warmup(int64_t steps, P after) {
  return std::make_unique<Warmup>(std::max<int64_t>(0, steps), std::move(after));
}
P plateau(double lr, double factor, int64_t patience, double threshold, double min_lr) {
  return std::make_unique<Plateau>(lr, factor, patience, threshold, min_lr);
}

namespace {

constexpr double kMostEpochs = 1e9;

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::stringstream ss(text);
  for (std::string part; std::getline(ss, part, by);) parts.push_back(part);
  return parts;
}

double number(const std::string& text, const std::string& whole) {
  try {
    size_t used = 0;
    const double v = std::stod(text, &used);
    if (used == text.size() && std::isfinite(v)) return v;
  } catch (const std::exception&) {
  }
  fail(Error::Kind::usage, {"schedule '", whole, "': '", text, "' is not a number"});
}

}  // namespace

P parse(const std::string& text, double lr, int64_t steps_per_epoch, int64_t epochs) {
  const int64_t per = std::max<int64_t>(1, steps_per_epoch),
                total = per * std::max<int64_t>(1, epochs);
  if (const auto plus = text.find('+');
      text.rfind("warmup:", 0) == 0 && plus != std::string::npos) {
    const double warm = number(text.substr(7, plus - 7), text);
    if (warm < 0 || warm > kMostEpochs)
      fail(Error::Kind::usage,
           {"schedule '", text, "': the epochs of a warm-up should be at least 0, got ", warm});
    const auto steps = static_cast<int64_t>(warm * static_cast<double>(per));
    const int64_t left = std::max<int64_t>(1, epochs - static_cast<int64_t>(std::ceil(warm)));
    return warmup(steps, parse(text.substr(plus + 1), lr, per, left));
  }
  const auto parts = split(text, ':');
  const std::string kind = parts.empty() ? "" : parts[0];
  for (size_t i = 1; i < parts.size() && kind != "multi_step"; ++i)
    if (number(parts[i], text) < 0)
      fail(Error::Kind::usage, {"schedule '", text, "': ", parts[i], " should not be negative"});
  const auto arg = [&](size_t i, double otherwise) {
    return parts.size() > i ? number(parts[i], text) : otherwise;
  };
  const auto in_steps = [&](double e) {
    if (!(e > 0) || e > kMostEpochs)
      fail(Error::Kind::usage, {"schedule '", text, "': epochs should be above 0, got ", e});
    return std::max<int64_t>(1, static_cast<int64_t>(e * static_cast<double>(per)));
  };
  if (kind == "constant") return constant(lr);
  if (kind == "cosine")
    return cosine(lr, parts.size() > 1 ? in_steps(arg(1, 1)) : total, 0, arg(2, 1));
  if (kind == "one_cycle") return one_cycle(lr, total);
  if (kind == "polynomial") return polynomial(lr, total, arg(1, 1));
  if (kind == "exponential")
    return exponential(lr, std::pow(arg(1, 0.95), 1.0 / static_cast<double>(per)));
  if (kind == "step") return step(lr, in_steps(arg(1, 30)), arg(2, 0.1));
  if (kind == "plateau")
    return plateau(lr, arg(2, 0.1), static_cast<int64_t>(std::min(arg(1, 10), kMostEpochs)));
  if (kind == "multi_step" && parts.size() > 1) {
    std::vector<int64_t> milestones;
    for (const auto& m : split(parts[1], ',')) milestones.push_back(in_steps(number(m, text)));
    return multi_step(lr, milestones, arg(2, 0.1));
  }
  fail(Error::Kind::usage,
       {"unknown schedule '", text,
        "'; known are constant, cosine[:epochs[:factor]], one_cycle, "
        "step:epochs[:gamma], multi_step:e1,e2[:gamma], exponential:gamma, polynomial[:power], "
        "plateau[:patience[:factor]], each also after warmup:epochs+"});
}

}  // namespace nacre::schedule
