// Two layers of LSTM of 512 over 64 steps, a full layer on the last.
#include "networks/lstm.h"

#include "workload.h"

using namespace workload;

namespace {
/// Of samples that come first: [batch, steps, 512].
struct Classifier : networks::LstmClassifier {
  using LstmClassifier::LstmClassifier;
  Tensor forward(const Tensor& x, Context& ctx) override {
    return LstmClassifier::forward(transpose(x, 0, 1), ctx);
  }
};
}  // namespace

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    auto net =
        std::make_shared<Classifier>(Scope::init(Key(0)), Classifier::Config{512, 512, 10, 2});
    const Tensor x = normal({a.batch, 64, 512}, Key(1)), y = randint({a.batch}, Key(3), 0, 10);
    Workload w{nullptr, {{"input", x}, {"labels", y}}, net, {64, 512}};
    if (a.training())
      w.run = training_step(net, [=](Context& ctx) { return cross_entropy((*net)(x, ctx), y); });
    else
      w.run = inference(net, x);
    return w;
  });
}
