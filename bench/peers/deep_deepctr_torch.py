"""DeepCTR-Torch's DeepFM. Its own `fit` goes through a DataLoader that collects rows one by one; here its model gets whole batches of an array in memory, with
the fused Adam and without L2 (which would move every row of every table), so what is timed is the model at its best."""
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat, get_feature_names
from deepctr_torch.models import DeepFM
from importlib.metadata import version
from torch.nn import functional

import timing
from shapes import CATEGORIES, NUMBERS

PREDICT_BATCH = 4096


class Peer:
    modes = ("eager",)
    predict_batch = PREDICT_BATCH
    versions = {"deepctr-torch": version("deepctr-torch"), "torch": torch.__version__}

    def __init__(self, request, shape, category, number, label):
        columns = [SparseFeat(f"C{f + 1}", shape.buckets + 1, shape.width) for f in range(CATEGORIES)]
        columns += [DenseFeat("I", NUMBERS)]
        names = get_feature_names(columns)
        if names != [f"C{f + 1}" for f in range(CATEGORIES)] + ["I"]:
            raise RuntimeError(f"DeepCTR-Torch orders its input otherwise: {names}")
        self.x = torch.cat([torch.from_numpy(category.astype("float32")), torch.from_numpy(number.copy())], 1)
        self.label = torch.from_numpy(label.copy())
        self.model = DeepFM(columns, columns, dnn_hidden_units=shape.hidden, l2_reg_linear=0, l2_reg_embedding=0, seed=1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3, fused=True)
        self.n_train = shape.rows
        self.train_batches = timing.batches(shape.rows, shape.batch)
        self.predict_batches = timing.batches(shape.rows, PREDICT_BATCH)

    def use(self, mode):
        pass

    def train(self, n):
        self.model.train()
        for _ in range(n):
            rows = next(self.train_batches)
            self.optimizer.zero_grad(set_to_none=True)
            functional.binary_cross_entropy(self.model(self.x[rows]).squeeze(1), self.label[rows]).backward()
            self.optimizer.step()

    def probabilities(self, rows):
        with torch.inference_mode():
            return self.model(self.x[rows]).squeeze(1)

    def predict(self, n):
        self.model.eval()
        for _ in range(n):
            self.probabilities(next(self.predict_batches))

    def held_out(self):
        parts = [slice(first, first + PREDICT_BATCH) for first in range(self.n_train, len(self.label), PREDICT_BATCH)]
        return torch.cat([self.probabilities(rows) for rows in parts]).numpy()


if __name__ == "__main__":
    timing.run(Peer)
