"""What people write to serve an ONNX model: ONNX Runtime behind Tornado, for bench/serve_compare.

    taskset -c 0 python bench/peers/serve_onnxruntime.py lenet5.onnx 9000

Takes the JSON of `POST /v2/models/NAME/infer` and answers the same. One thread computes.
"""
import asyncio
import json
import logging
import sys

import numpy as np
import onnxruntime as ort
import tornado.web

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


class Infer(tornado.web.RequestHandler):
    def post(self, path):
        given = json.loads(self.request.body)["inputs"][0]
        x = np.asarray(given["data"], dtype=np.float32).reshape(given["shape"])
        y = session.run(None, {name: x})[0]
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"model_name": "m", "model_version": "1", "outputs": [
            {"name": "output", "datatype": "FP32", "shape": list(y.shape),
             "data": y.ravel().tolist()}]}))


async def main():
    logging.getLogger("tornado.access").disabled = True
    tornado.web.Application([(r"/(.*)", Infer)]).listen(int(sys.argv[2]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
