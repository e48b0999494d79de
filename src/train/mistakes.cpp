#include "train/mistakes.h"

#include <algorithm>

namespace nacre {
namespace {

constexpr size_t kMistakes = 24;

}  // namespace

std::string png_of(const Image& picture) {
  const auto bytes = encode_png(picture);
  return {bytes.begin(), bytes.end()};
}

std::vector<RunReport::Mistake> worst_mistakes(const Evaluation& e, const Dataset& data,
                                               const Reason& reason) {
  const auto classes = e.classes.size();
  std::vector<size_t> wrong;
  for (size_t i = 0; i < e.labels.size(); ++i)
    if (e.labels[i] != e.predicted[i]) wrong.push_back(i);
  const auto sureness = [&](size_t i) {
    return e.scores[i * classes + static_cast<size_t>(e.predicted[i])];
  };
  std::stable_sort(wrong.begin(), wrong.end(),
                   [&](size_t a, size_t b) { return sureness(a) > sureness(b); });
  if (wrong.size() > kMistakes) wrong.resize(kMistakes);
  std::vector<RunReport::Mistake> list;
  for (size_t i : wrong) {
    RunReport::Mistake m;
    const Sample s = data.get(static_cast<int64_t>(i));
    if (!s.image.empty()) m.png = png_of(s.image);
    if (reason) m.reason_png = reason(s, e.predicted[i]);
    m.label = e.classes[static_cast<size_t>(e.labels[i])];
    m.predicted = e.classes[static_cast<size_t>(e.predicted[i])];
    m.probability = sureness(i);
    m.note = data.name(static_cast<int64_t>(i));
    list.push_back(std::move(m));
  }
  return list;
}

}  // namespace nacre
