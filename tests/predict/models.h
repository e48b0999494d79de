// Models whose predictions are known.
#pragma once

#include "nacre/ops.h"
#include "nacre/predict.h"

namespace nacre {

/// Three classes, a, b and c, of random weights.
inline Model digits_model() {
  Model m;
  m.info.model = "lenet5";
  m.info.options = "classes=3";
  m.info.transform = "to_channels(1)|resize(32,32)|normalize(mean=0.5,std=0.25)";
  m.info.classes = {"a", "b", "c"};
  m.info.input = {1, 32, 32};
  m.net = make_model(m.info.model, m.info.options, Scope::init(Key(3)));
  return m;
}

/// cells x (number) and city (Oslo, Paris); the score of "yes" is 10 for Oslo, that of "no" is x.
inline Model table_model() {
  Model m;
  m.info.model = "logistic_regression";
  m.info.options = "in=3 classes=2";
  m.info.classes = {"no", "yes"};
  m.info.input = {3};
  TableSchema t;
  t.columns = {{"x", TableColumn::Kind::number, {}},
               {"answer", TableColumn::Kind::category, {"no", "yes"}},
               {"city", TableColumn::Kind::category, {"Oslo", "Paris"}}};
  t.target = 1;
  m.info.extra["table"] = t.to_json();
  m.net = make_model(
      m.info.model, m.info.options, Scope::load([](const std::string&, const Shape& shape, DType) {
        return shape.rank() == 2 ? Tensor::from({1.f, 0.f, 0.f, 0.f, 10.f, 0.f}, {2, 3})
                                 : zeros(shape);
      }));
  return m;
}

}  // namespace nacre
