"""What people write to serve an ONNX model: ONNX Runtime behind Flask (waitress-like threads) or Tornado.

    taskset -c 0 python bench/peers/serve_onnxruntime.py tornado lenet5.onnx 9000

Takes the JSON of `POST /v2/models/NAME/infer` and answers the same. One thread computes.
"""
import json
import logging
import sys

import numpy as np
import onnxruntime as ort

kind, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


def answer(body):
    given = json.loads(body)["inputs"][0]
    x = np.asarray(given["data"], dtype=np.float32).reshape(given["shape"])
    y = session.run(None, {name: x})[0]
    return json.dumps({"model_name": "lenet5", "model_version": "1", "outputs": [
        {"name": "output", "datatype": "FP32", "shape": list(y.shape), "data": y.ravel().tolist()}]})


if kind == "flask":
    from flask import Flask, Response, request
    from werkzeug.serving import WSGIRequestHandler

    logging.getLogger("werkzeug").disabled = True
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    app = Flask(__name__)

    @app.post("/<path:anything>")
    def infer(anything):
        return Response(answer(request.get_data()), mimetype="application/json")

    app.run("127.0.0.1", port, threaded=True)
else:
    import asyncio

    import tornado.web

    class Handler(tornado.web.RequestHandler):
        def post(self, anything):
            self.set_header("Content-Type", "application/json")
            self.write(answer(self.request.body))

    async def main():
        logging.getLogger("tornado.access").disabled = True
        tornado.web.Application([(r"/(.*)", Handler)]).listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())
