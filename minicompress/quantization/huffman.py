"""Huffman coding: in how few bits can symbols be stored if every symbol has a codeword of its own?

    average = Σ pₛ ℓₛ        H = -Σ pₛ log2 pₛ        H ≤ average ≤ H + 1        bits a symbol; pₛ = countₛ / total
    (= H + 1 only for a lone symbol, whose codeword has one bit by convention)

Frequent symbols get short codewords; no codeword begins another one, so a string of codewords needs no separators.
Symbols are the integers 0 .. alphabet - 1. This is the definition, for reading; `huffman_coder.py` stores the same
bits, for millions of symbols. It does not look at the order of the symbols: repetitions and runs save nothing.

Source: Huffman, "A method for the construction of minimum-redundancy codes", Proceedings of the IRE 40 (1952).
"""

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, FormatError, RangeError, ShapeError
from ..inputs import as_integer

Tree = int | tuple["Tree", "Tree"]


def entropy_bits(counts: Sequence[int] | np.ndarray) -> float:
    """H = -Σ pₛ log2 pₛ: no code with a codeword for each symbol has a shorter average."""
    counts = _as_counts(counts)
    p = counts[counts > 0] / max(counts.sum(), 1)
    return float(np.sum(p * np.log2(1 / p)))


def huffman_tree(counts: Sequence[int] | np.ndarray) -> Tree:
    """Join the two rarest subtrees until one is left: a leaf is a symbol, an inner node the pair (rarer, other).

    Of equal counts, the subtree with the smallest symbol goes first. Symbols with count 0 are left out.
    Raises DTypeError, ShapeError, RangeError (a negative count, or no symbol at all).
    """
    heap: list[tuple[int, int, Tree]]  # count, smallest symbol, subtree
    heap = [(count, symbol, symbol) for symbol, count in enumerate(_as_counts(counts).tolist()) if count]
    if not heap:
        raise RangeError("all counts are 0; allowed: at least one symbol that occurs.")
    heapq.heapify(heap)
    while len(heap) > 1:
        (count, smallest, rarer), (other_count, other_smallest, other) = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (count + other_count, min(smallest, other_smallest), (rarer, other)))
    return heap[0][2]


def code_lengths(counts: Sequence[int] | np.ndarray, limit: int | None = None) -> np.ndarray:
    """ℓ (alphabet,), bits a codeword: the depth of each leaf, 0 for symbols that do not occur, 1 for a lone symbol.

    Where the tree is deeper than `limit`, the best lengths that are not. Raises as huffman_tree and
    limited_code_lengths, but counts that are all 0 have lengths 0.
    """
    counts = _as_counts(counts)
    lengths = np.zeros(len(counts), np.int64)
    nodes = [(huffman_tree(counts), 0)] if counts.any() else []
    while nodes:
        node, depth = nodes.pop()
        if isinstance(node, tuple):
            nodes += [(child, depth + 1) for child in node]
        else:
            lengths[node] = max(depth, 1)
    if limit is not None and lengths.max(initial=0) > limit:
        lengths = limited_code_lengths(counts, limit)
    return lengths


def limited_code_lengths(counts: Sequence[int] | np.ndarray, limit: int) -> np.ndarray:
    """ℓ (alphabet,) with the smallest Σ countₛ ℓₛ among the prefix codes with ℓₛ ≤ limit (1 .. 32).

    Package-merge. A symbol with ℓ bits owns one coin on each of the levels 1 .. ℓ, worth its count. Level by level,
    coins are packed in pairs, cheapest first, and the packages lie between the coins of the next level. The cheapest
    2n - 2 items of the last one are bought; what is inside them tells the lengths. Ties: coins before packages, then
    by symbol. Raises RangeError where 2^limit codewords are too few.

    Source: Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", JACM 37 (1990).
    """
    counts = _as_counts(counts)
    used = np.flatnonzero(counts)
    if len(used) > 2 ** as_integer(limit, "limit", 1, 32):
        raise RangeError(f"{len(used)} symbols need codewords of more than limit = {limit} bits. Hint: a larger limit.")
    rarest_first = used[np.argsort(counts[used], kind="stable")]
    coins = items = counts[rarest_first]
    is_coin = [np.ones(len(coins), bool)]
    for _ in range(limit - 1):
        packages = items[: len(items) // 2 * 2].reshape(-1, 2).sum(axis=1)
        merged = np.concatenate([coins, packages])
        order = np.argsort(merged, kind="stable")
        items = merged[order]
        is_coin.append(order < len(coins))
    lengths = np.zeros(len(counts), np.int64)
    bought = max(2 * len(coins) - 2, min(len(coins), 1))  # a lone symbol has one bit
    for level in reversed(is_coin):
        bought_coins = int(np.sum(level[:bought]))
        lengths[rarest_first[:bought_coins]] += 1
        bought = 2 * (bought - bought_coins)  # each package is two items of the level before
    return lengths


def canonical_code(lengths: Sequence[int] | np.ndarray) -> dict[int, str]:
    """The prefix code {symbol: bits} that counts upwards through the symbols in the order (length, symbol).

    So the lengths alone say the whole code. Raises RangeError where the Kraft sum Σ 2^-ℓ exceeds 1: no such code.
    Source: RFC 1951, section 3.2.2.
    """
    code: dict[int, str] = {}
    word = previous = 0  # word: where the next codeword's interval starts, in units of 2^-length
    for length, symbol in sorted((int(length), symbol) for symbol, length in enumerate(lengths) if length):
        word <<= length - previous
        if word >> length:
            raise RangeError("the lengths have a Kraft sum Σ 2^-ℓ above 1; allowed: at most 1, longer codewords.")
        code[symbol] = format(word, f"0{length}b")
        word, previous = word + 1, length
    return code


def encode_simple(symbols: Iterable[int], code: dict[int, str]) -> str:
    """The codewords of the symbols, one after the other.   Raises RangeError for a symbol without a codeword."""
    try:
        return "".join(code[symbol] for symbol in symbols)
    except KeyError as error:
        raise RangeError(f"symbol {error} has no codeword; allowed: {', '.join(map(str, code))}.") from None


def decode_simple(bits: str, code: dict[int, str]) -> list[int]:
    """The symbols whose codewords make up `bits`.   Raises FormatError where the last codeword is incomplete."""
    symbol_of = {word: symbol for symbol, word in code.items()}
    symbols, word = [], ""
    for bit in bits:
        word += bit
        if word in symbol_of:
            symbols.append(symbol_of[word])
            word = ""
    if word:
        raise FormatError(f"the last bits, {word[:40]}, are no codeword. Hint: was it another code?")
    return symbols


def _as_counts(counts: Any) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 1:
        raise ShapeError(f"counts have shape {counts.shape}; allowed: (alphabet,).")
    if counts.dtype.kind not in "iu" and counts.size:
        raise DTypeError(f"counts have dtype {counts.dtype}; allowed: integers. Hint: numpy.bincount.")
    if counts.size and counts.min() < 0:
        raise RangeError(f"counts[{np.argmax(counts < 0)}] is {counts[counts < 0][0]}; allowed: 0 and up.")
    if sum(counts.tolist()) >= 2**58:
        raise RangeError("the counts add up to 2^58 or more; allowed: less, so that sums fit into 64 bits.")
    return counts.astype(np.int64)
