"""The shapes that all sides are timed at: those of `deepfm bench`, with 26 category and 13 number fields that the net sees too."""

CATEGORIES = 26
NUMBERS = 13


class Shape:
    def __init__(self, name, width, hidden, ids, batch, rows, held_out):
        self.name, self.width, self.hidden, self.ids, self.batch = name, width, hidden, ids, batch
        self.rows = rows  # to train on
        self.held_out = held_out  # behind them, to predict
        self.buckets = ids // CATEGORIES  # ids of each category field

    def title(self):
        layers = "-".join(str(units) for units in self.hidden)
        return f"{self.name}: k {self.width}, {layers}, {self.ids:,} ids, batch {self.batch:,}"


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("tiny", 4, (16, 16), 2_600, 128, 1 << 14, 1 << 12),
        Shape("S", 4, (256, 256, 128), 40_000, 256, 1 << 19, 1 << 16),
        Shape("M", 10, (400, 400, 400), 1_000_000, 4096, 1 << 19, 1 << 16),
        Shape("L", 16, (400, 400, 400), 10_000_000, 4096, 1 << 19, 1 << 16),
    )
}
