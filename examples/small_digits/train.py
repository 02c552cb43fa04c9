"""Trains examples/small_digits on the last 900 digits of examples/digits and writes weights.safetensors. Needs numpy."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
DIGITS = HERE.parent / "digits"
STEP, DECAY, ROUNDS, BATCH = 0.004, 3e-3, 300, 50

images = np.frombuffer(gzip.open(DIGITS / "images.idx.gz").read()[16:], np.uint8).reshape(1000, 28, 28) / 255.0
labels = np.frombuffer(gzip.open(DIGITS / "labels.idx.gz").read()[8:], np.uint8)
small = images.reshape(1000, 7, 4, 7, 4).mean((2, 4)).reshape(1000, 49)
x, y = small[100:], labels[100:]

rng = np.random.default_rng(1)
w1, b1 = rng.normal(0, 1 / 7, (32, 49)), np.zeros(32)
w2, b2 = rng.normal(0, 1 / 6, (10, 32)), np.zeros(10)
weights = [w1, b1, w2, b2]
first, second = [0 * w for w in weights], [0 * w for w in weights]
time = 0

for _ in range(ROUNDS):
    order = rng.permutation(len(x))
    for start in range(0, len(x), BATCH):
        rows = order[start : start + BATCH]
        hidden = np.maximum(x[rows] @ w1.T + b1, 0)
        scores = hidden @ w2.T + b2
        error = np.exp(scores - scores.max(1, keepdims=True))
        error /= error.sum(1, keepdims=True)
        error[np.arange(BATCH), y[rows]] -= 1
        error /= BATCH
        back = (error @ w2) * (hidden > 0)
        gradients = [back.T @ x[rows], back.sum(0), error.T @ hidden, error.sum(0)]
        time += 1
        for i, (w, g) in enumerate(zip(weights, gradients)):  # Adam, with decay
            g = g + DECAY * w
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g * g
            w -= STEP * (first[i] / (1 - 0.9**time)) / (np.sqrt(second[i] / (1 - 0.999**time)) + 1e-8)

right = np.argmax(np.maximum(small @ w1.T + b1, 0) @ w2.T + b2, 1) == labels
print(f"{right[100:].sum()} of 900 in training, {right[:100].sum()} of 100 others")

header, data = {}, b""
for name, w in zip(["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"], weights):
    values = w.astype("<f4").tobytes()
    header[name] = {"dtype": "F32", "shape": list(w.shape), "data_offsets": [len(data), len(data) + len(values)]}
    data += values
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
(HERE / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
