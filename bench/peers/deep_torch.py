"""The DeepFM that an engineer who knows PyTorch would write for this machine: all fields in one table, first-order weights and factors in one row, one
look-up a batch; the rest compiled. Variants: `lazy` (sparse gradients, SparseAdam for the table) and `exact` (dense gradients, Adam over every row), `bf16`.
The net's optimizer is the fused Adam."""
import torch
from torch import nn
from torch.nn import functional

import timing
from shapes import CATEGORIES, NUMBERS

PREDICT_BATCH = 4096


class Net(nn.Module):
    """Embedded rows (B, F, 1 + K) and numbers (B, D) -> logits (B)."""

    def __init__(self, shape):
        super().__init__()
        sizes = [CATEGORIES * shape.width + NUMBERS, *shape.hidden]
        layers = []
        for n_in, n_out in zip(sizes, sizes[1:]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.dnn = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
        self.linear = nn.Linear(NUMBERS, 1)

    def forward(self, embedded, number):
        first, factors = embedded[:, :, 0].sum(1), embedded[:, :, 1:]
        total = factors.sum(1)
        fm = 0.5 * (total * total - (factors * factors).sum(1)).sum(1)
        dnn = self.dnn(torch.cat([factors.flatten(1), number], 1)).squeeze(1)
        return first + fm + dnn.float() + self.linear(number).squeeze(1).float()


class Peer:
    modes = ("eager", "compiled")
    predict_batch = PREDICT_BATCH
    versions = {"torch": torch.__version__}

    def __init__(self, request, shape, category, number, label):
        torch.manual_seed(1)
        self.n_train, self.batch = shape.rows, shape.batch
        rows = shape.buckets + 1  # as many as the field's ids may need
        self.ids = torch.from_numpy(category.astype("int64")) + rows * torch.arange(CATEGORIES)
        self.number, self.label = torch.from_numpy(number.copy()), torch.from_numpy(label.copy())
        self.is_lazy = request["update"] == "lazy"
        self.autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=request["precision"] == "bf16")
        self.table = nn.Parameter(torch.empty(rows * CATEGORIES, 1 + shape.width).normal_(0, 0.01))
        self.net = Net(shape)
        table_adam = torch.optim.SparseAdam if self.is_lazy else lambda p, lr: torch.optim.Adam(p, lr, fused=True)
        self.optimizers = [table_adam([self.table], lr=1e-3), torch.optim.Adam(self.net.parameters(), 1e-3, fused=True)]
        self.compiled_loss, self.compiled_net = torch.compile(self.eager_loss), torch.compile(self.eager_net)
        self.train_batches = timing.batches(shape.rows, shape.batch)
        self.predict_batches = timing.batches(shape.rows, PREDICT_BATCH)

    def eager_net(self, embedded, number):
        with self.autocast():
            return self.net(embedded, number)

    def eager_loss(self, embedded, number, label):
        return functional.binary_cross_entropy_with_logits(self.eager_net(embedded, number), label)

    def use(self, mode):
        is_compiled = mode == "compiled"
        self.loss_of = self.compiled_loss if is_compiled else self.eager_loss
        self.logits_of = self.compiled_net if is_compiled else self.eager_net

    def train(self, n):
        for _ in range(n):
            rows = next(self.train_batches)
            embedded = functional.embedding(self.ids[rows], self.table, sparse=self.is_lazy)
            self.loss_of(embedded, self.number[rows], self.label[rows]).backward()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)

    def probabilities(self, rows):
        with torch.inference_mode():
            embedded = functional.embedding(self.ids[rows], self.table)
            return torch.sigmoid(self.logits_of(embedded, self.number[rows]))

    def predict(self, n):
        for _ in range(n):
            self.probabilities(next(self.predict_batches))

    def held_out(self):
        parts = [slice(first, first + PREDICT_BATCH) for first in range(self.n_train, len(self.label), PREDICT_BATCH)]
        return torch.cat([self.probabilities(rows) for rows in parts]).numpy()


if __name__ == "__main__":
    torch._inductor.config.compile_threads = 1
    timing.run(Peer)
