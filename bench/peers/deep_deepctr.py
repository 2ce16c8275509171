"""DeepCTR's DeepFM on Keras. Batches are slices of arrays in memory, steps run inside Keras's compiled train function without `fit` around it; the model has no
L2. All numbers are one input of 13, since one input each is slower."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from deepctr.feature_column import DenseFeat, SparseFeat  # noqa: E402
from deepctr.models import DeepFM  # noqa: E402
from importlib.metadata import version  # noqa: E402

import timing  # noqa: E402
from shapes import CATEGORIES, NUMBERS  # noqa: E402

PREDICT_BATCH = 4096


def as_inputs(category, number):
    inputs = {f"C{f + 1}": category[:, f : f + 1] for f in range(CATEGORIES)}
    inputs["I"] = number
    return inputs


class Peer:
    modes = ("graph",)
    predict_batch = PREDICT_BATCH
    versions = {"deepctr": version("deepctr"), "tensorflow": tf.__version__}

    def __init__(self, request, shape, category, number, label):
        tf.keras.utils.set_random_seed(1)
        columns = [SparseFeat(f"C{f + 1}", shape.buckets + 1, shape.width, dtype="int32") for f in range(CATEGORIES)]
        columns += [DenseFeat("I", NUMBERS)]
        self.model = DeepFM(columns, columns, dnn_hidden_units=shape.hidden, l2_reg_linear=0, l2_reg_embedding=0, seed=1)
        self.model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy")
        self.n_train, self.n_rows = shape.rows, len(label)
        self.category, self.number = np.ascontiguousarray(category, "int32"), np.array(number)
        self.train_function = self.model.make_train_function()
        self.predict_function = self.model.make_predict_function()
        arrays = [tf.constant(part[: shape.rows]) for part in (self.category, self.number, np.array(label)[:, None])]
        self.train_rows = iter(self.slices(arrays, shape.batch))
        self.predict_rows = iter(self.slices(arrays, PREDICT_BATCH))

    def slices(self, arrays, size):
        def batch(i):
            category, number, label = (part[i * size : (i + 1) * size] for part in arrays)
            return as_inputs(category, number), label

        return tf.data.Dataset.range(self.n_train // size).repeat().map(batch).prefetch(2)

    def use(self, mode):
        pass

    def train(self, n):
        for _ in range(n):
            loss = self.train_function(self.train_rows)
        if not np.isfinite(float(loss["loss"])):
            raise RuntimeError("the loss is not finite")

    def predict(self, n):
        for _ in range(n):
            self.predict_function(self.predict_rows).numpy()

    def held_out(self):
        rows = slice(self.n_train, self.n_rows)
        return self.model.predict(as_inputs(self.category[rows], self.number[rows]), PREDICT_BATCH, verbose=0)


if __name__ == "__main__":
    timing.run(Peer)
