from rpusim.datasets.collection import Dataset
from rpusim.datasets.idx import read_idx
from rpusim.datasets.images import cifar10, fashion_mnist, mnist
from rpusim.datasets.speech import mfcc, spoken_digits
from rpusim.datasets.texts import Text, text

__all__ = ["Dataset", "Text", "cifar10", "fashion_mnist", "mfcc", "mnist", "read_idx", "spoken_digits", "text"]
