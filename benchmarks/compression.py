"""Weight sharing and Huffman coding: a million weights against scikit-learn, two million symbols against zlib."""

import zlib
from collections.abc import Iterator

import numpy as np

from minicompress.quantization import huffman_coder
from minicompress.quantization.clustering import inertia, kmeans

from .timing import Contenders, Job

try:
    from sklearn.cluster import KMeans
except ImportError:
    KMeans = None
try:
    from dahuffman import HuffmanCodec
except ImportError:
    HuffmanCodec = None


def weights(n: int) -> np.ndarray:
    """Normal deviates (n,) in float32, as the weights of a trained layer look."""
    return np.random.default_rng(0).normal(0, 0.05, n).astype(np.float32)


def kmeans_job(n: int = 10**6, k: int = 16) -> Job:
    """k-means from evenly spaced centroids until nothing moves; scikit-learn starts from the same ones."""
    values = weights(n)
    start = np.linspace(values.min(), values.max(), k, dtype=np.float32)[:, None]

    def make() -> Contenders:
        contenders: Contenders = {"ours": lambda: kmeans(values, k)}
        if KMeans:
            peer = KMeans(k, init=start, n_init=1, max_iter=300)
            contenders["scikit-learn"] = lambda: peer.fit(values[:, None])
        return contenders

    return Job(f"k-means, {n:,} weights, k = {k}", make, {"scikit-learn": 30.0})


def inertia_gaps(n: int = 10**6, k: int = 16) -> dict[str, float]:
    """How far the inertia that each one ends with lies above that of init="optimal", as a fraction."""
    values = weights(n)
    found = {"ours": inertia(values, *kmeans(values, k))}
    if KMeans:
        start = np.linspace(values.min(), values.max(), k, dtype=np.float32)[:, None]
        peer = KMeans(k, init=start, n_init=1, max_iter=300).fit(values[:, None])
        found["scikit-learn"] = inertia(values, peer.cluster_centers_.ravel(), peer.labels_)
    least = inertia(values, *kmeans(values, k, "optimal"))
    return {name: value / least - 1 for name, value in found.items()}


def zlib_encode(data: bytes, wbits: int) -> bytes:
    """zlib without its search for repetitions: its Huffman coder alone. wbits -15: without its checksum as well."""
    coder = zlib.compressobj(9, zlib.DEFLATED, wbits, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(data) + coder.flush()


def huffman_jobs(n: int = 2 * 10**6) -> Iterator[Job]:
    """The codes of shared weights, encoded and decoded."""
    _, codes = kmeans(weights(n), 16)
    data, blob = codes.tobytes(), huffman_coder.encode(codes, 16)
    checked, bare = zlib_encode(data, 15), zlib_encode(data, -15)
    encoders: Contenders = {"ours": lambda: huffman_coder.encode(codes, 16),
                            "zlib": lambda: zlib_encode(data, 15), "zlib, no checksum": lambda: zlib_encode(data, -15)}
    decoders: Contenders = {"ours": lambda: huffman_coder.decode(blob, n, 16),
                            "zlib": lambda: zlib.decompress(checked),
                            "zlib, no checksum": lambda: zlib.decompress(bare, -15, n)}
    if HuffmanCodec:
        codec = HuffmanCodec.from_data(data)
        coded = codec.encode(data)
        encoders["dahuffman"], decoders["dahuffman"] = lambda: codec.encode(data), lambda: codec.decode(coded)
    yield Job(f"Huffman encoding, {n:,} symbols", lambda: encoders, {"zlib": 0.7})
    yield Job(f"Huffman decoding, {n:,} symbols", lambda: decoders, {"zlib": 1.2})


def jobs() -> Iterator[Job]:
    yield kmeans_job()
    yield from huffman_jobs()
