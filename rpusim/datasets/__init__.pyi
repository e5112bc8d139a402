from rpusim.datasets.characters import Omniglot, omniglot
from rpusim.datasets.collection import Dataset
from rpusim.datasets.gestures import Electromyogram, emg
from rpusim.datasets.idx import read_idx
from rpusim.datasets.images import cifar10, fashion_mnist, mnist
from rpusim.datasets.sentences import Languages, languages
from rpusim.datasets.speech import mfcc, spoken_digits
from rpusim.datasets.tables import Table, uci, uci_regression
from rpusim.datasets.texts import Text, text

__all__ = [
    "Dataset", "Electromyogram", "Languages", "Omniglot", "Table", "Text", "cifar10", "emg", "fashion_mnist", "languages",
    "mfcc", "mnist", "omniglot", "read_idx", "spoken_digits", "text", "uci", "uci_regression",
]  # fmt: skip
