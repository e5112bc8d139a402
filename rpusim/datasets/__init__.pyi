from rpusim.datasets.collection import Dataset
from rpusim.datasets.idx import read_idx
from rpusim.datasets.images import cifar10, fashion_mnist, mnist
from rpusim.datasets.speech import mfcc, spoken_digits
from rpusim.datasets.tables import Table, uci, uci_regression
from rpusim.datasets.texts import Text, text

__all__ = [
    "Dataset", "Table", "Text", "cifar10", "fashion_mnist", "mfcc", "mnist", "read_idx", "spoken_digits", "text", "uci",
    "uci_regression",
]  # fmt: skip
