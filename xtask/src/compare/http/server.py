"""The other side of `cargo xtask compare serve`: FastAPI, uvicorn and onnxruntime, as they are usually put together.

python server.py FILE.onnx [THREADS]; prints where it listens. One process: the network has its own threads.
"""

import io
import socket
import sys

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image, ImageOps

options = onnxruntime.SessionOptions()
if len(sys.argv) > 2:
    options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
outputs = [output.name for output in session.get_outputs()]
app = FastAPI()


def scored(body):
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(body))).convert("RGB")
    except Exception as fault:
        raise HTTPException(422, "not an image") from fault
    found = session.run(None, {session.get_inputs()[0].name: numpy.asarray(image)[None]})
    found = dict(zip(outputs, found))
    one = {"image": "image", "width": image.width, "height": image.height}
    one["score"] = float(found["verdict_score"][0])
    if "verdict" in found:
        one["verdict"] = ["normal", "look", "anomalous"][int(found["verdict"][0])]
    return {"images": [one]}


@app.post("/score")
async def score(request: Request):
    body = await request.body()
    return await run_in_threadpool(scored, body)


# With its protocol named, else asyncio does not set TCP_NODELAY on what it accepts, and each answer waits 40 ms.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
print("listening on http://%s:%d" % listener.getsockname(), flush=True)
config = uvicorn.Config(app, log_level="warning")
uvicorn.Server(config).run(sockets=[listener])
