"""An independent client of the Open Inference Protocol against a running server:

    pip install 'tritonclient[http]'
    nacre serve digits=model.safetensors --port 8811
    python tests/serve/triton_client.py localhost:8811 digits

Any model with one FP32 input. Ends with "all as it should be", or with the assertion that failed.
"""
import sys

import numpy as np
import tritonclient.http as triton

at, name = sys.argv[1], sys.argv[2]
client = triton.InferenceServerClient(at, concurrency=4)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(name)
assert client.get_server_metadata()["name"] == "nacre"
about = client.get_model_metadata(name)
assert about["name"] == name and client.is_model_ready(name, about["versions"][0])
port, out = about["inputs"][0], about["outputs"][0]["name"]
x = np.random.default_rng(1).random([3] + port["shape"][1:], dtype=np.float32)
answers = []
for packed in (None, "gzip", "deflate"):
    for binary_in in (True, False):
        for binary_out in (True, False):
            given = triton.InferInput(port["name"], x.shape, "FP32")
            given.set_data_from_numpy(x, binary_data=binary_in)
            wanted = triton.InferRequestedOutput(out, binary_data=binary_out)
            r = client.infer(name, [given], outputs=[wanted], request_id="7",
                             request_compression_algorithm=packed)
            assert r.get_response()["id"] == "7"
            answers.append(r.as_numpy(out))
assert all(np.array_equal(a, answers[0]) for a in answers)
assert answers[0].shape[0] == 3
handles = [client.async_infer(name, [given]) for _ in range(16)]
assert all(np.allclose(h.get_result().as_numpy(out), answers[0], atol=1e-5) for h in handles)
best = client.infer(name, [given], outputs=[triton.InferRequestedOutput(out, class_count=1)])
labels = [text.decode().split(":") for text in best.as_numpy(out).ravel()]
assert [int(t[1]) for t in labels] == answers[0].argmax(1).tolist()
for wrong in (lambda: client.infer("nothing", [given]),
              lambda: client.infer(name, [triton.InferInput("other", x.shape, "FP32")
                                          .set_data_from_numpy(x)])):
    try:
        wrong()
        raise SystemExit("a wrong request was answered")
    except triton.InferenceServerException as e:
        print("refused:", e.message())
assert [m["name"] for m in client.get_model_repository_index()] == [name]
client.unload_model(name)
assert not client.is_model_ready(name)
client.load_model(name)
assert client.is_model_ready(name)
print("all as it should be")
