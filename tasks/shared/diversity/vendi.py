"""The Vendi score: how many different texts a collection has in effect (Friedman and Dieng 2023, arXiv 2210.02410).

It is the exponential of the entropy of the eigenvalues of K / n, where K is the similarity of each pair of n texts: 1
where all are the same, n where none has anything in common with another.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.errors import Permanent

ORDERS = (1, 2)
"""Word n-grams whose cosine similarities are averaged, as in the authors' code."""
DIMENSIONS = 2_048
"""Places that the n-grams of one order are hashed to. Ours."""
_WORD = re.compile(r"\w+|[^\w\s]")

Features = NDArray[np.float64]


def vendi_score(features: Features) -> float:
    """The score of texts with these features, shape (texts, dimensions), each row of length 1.

    Raises:
        ValueError: there is no text.
    """
    count, dimensions = features.shape
    if not count:
        raise ValueError("the Vendi score needs at least one text")
    # Both products have the same eigenvalues but for zeros.
    product = features @ features.T if count <= dimensions else features.T @ features
    shares = np.linalg.eigvalsh(product) / count
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def words(text: str) -> list[str]:
    """Words, numbers and signs of a text, in lower case."""
    return _WORD.findall(text.casefold())


def ngram_features(texts: Sequence[str]) -> Features:
    """Counts of word n-grams, so that products of rows are the mean of the cosine similarities of each order."""
    features = np.zeros((len(texts), len(ORDERS), DIMENSIONS))
    for row, text in enumerate(texts):
        tokens = words(text)
        for index, order in enumerate(ORDERS):
            grams = zip(*(tokens[start:] for start in range(order)), strict=False)
            for gram in grams:
                features[row, index, zlib.crc32(" ".join(gram).encode()) % DIMENSIONS] += 1
            # A text that is too short for the order is like none but the other short ones.
            if not features[row, index].any():
                features[row, index, 0] = 1
    features /= np.linalg.norm(features, axis=2, keepdims=True) * np.sqrt(len(ORDERS))
    return features.reshape(len(texts), -1)


def embedding_features(texts: Sequence[str], model: str) -> Features:
    """Sentence embeddings by a model of sentence-transformers, a name or a folder, on the CPU.

    Raises:
        Permanent: sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise Permanent(
            f"dataset.embedding is {model!r}, which needs sentence-transformers; install midtrain[diversity], or leave "
            "it empty for a kernel of word n-grams"
        ) from error
    encoder = SentenceTransformer(model, device="cpu")
    return np.asarray(encoder.encode(list(texts), normalize_embeddings=True), dtype=np.float64)
