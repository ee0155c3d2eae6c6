"""The definition of Huffman coding: prefix-free, complete, optimal, deterministic, and right at the edges."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.errors import DTypeError, FormatError, RangeError, ShapeError
from minicompress.quantization.huffman import (
    canonical_code,
    code_lengths,
    decode_simple,
    encode_simple,
    entropy_bits,
    huffman_tree,
    limited_code_lengths,
)

some_counts = st.lists(st.integers(0, 50), min_size=1, max_size=40).filter(any)
fibonacci = [1, 1]
while len(fibonacci) < 40:
    fibonacci.append(fibonacci[-1] + fibonacci[-2])


def kraft(lengths):
    return sum(2.0 ** -int(length) for length in lengths if length)


def fewest_bits(counts, limit):
    """By trying all lengths."""
    fits = (lengths for lengths in product(range(1, limit + 1), repeat=len(counts)) if kraft(lengths) <= 1)
    return min(np.dot(counts, lengths) for lengths in fits)


def test_the_tree_of_a_hand_worked_example():
    assert huffman_tree([45, 13, 12, 16, 9, 5]) == (0, ((2, 1), ((5, 4), 3)))
    code = canonical_code(code_lengths([45, 13, 12, 16, 9, 5]))
    assert code == {0: "0", 1: "100", 2: "101", 3: "110", 4: "1110", 5: "1111"}


def test_ties_go_to_the_smallest_symbol():
    assert huffman_tree([1, 1, 1, 1]) == ((0, 1), (2, 3))
    assert huffman_tree([2, 1, 1]) == (0, (1, 2))  # both have count 2: the subtree with symbol 0 goes first
    assert huffman_tree([1, 1, 2]) == ((0, 1), 2)
    assert huffman_tree([1, 2, 1]) == ((0, 2), 1)
    assert huffman_tree([2, 3, 1]) == ((2, 0), 1)
    assert limited_code_lengths([1, 1, 1], 2).tolist() == [2, 2, 1]


def test_entropy():
    assert entropy_bits([1, 1, 1, 1]) == 2
    assert entropy_bits([7, 0]) == 0
    assert entropy_bits([]) == 0
    assert entropy_bits([1, 3]) == pytest.approx(0.811278, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(some_counts, st.integers(6, 12))
def test_codes_are_prefix_free_complete_and_within_a_bit_of_the_entropy(counts, limit):
    for lengths in (code_lengths(counts), code_lengths(counts, limit)):
        words = list(canonical_code(lengths).values())
        assert not any(a != b and b.startswith(a) for a in words for b in words)
        assert len(set(words)) == len(words) == np.count_nonzero(counts)
        assert kraft(lengths) == (1 if len(words) > 1 else 0.5)
        average = np.dot(counts, lengths) / sum(counts)
        assert entropy_bits(counts) <= average + 1e-9
        if lengths.max() < limit:
            assert average <= entropy_bits(counts) + 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(3, 4))
def test_lengths_are_the_best_possible(counts, limit):
    assert np.dot(counts, code_lengths(counts)) == fewest_bits(counts, 4)
    assert np.dot(counts, limited_code_lengths(counts, limit)) == fewest_bits(counts, limit)


@settings(deadline=None, max_examples=60)
@given(some_counts)
def test_package_merge_with_room_enough_is_as_good_as_the_tree(counts):
    assert np.dot(counts, limited_code_lengths(counts, 30)) == np.dot(counts, code_lengths(counts))


@settings(deadline=None, max_examples=60)
@given(some_counts)
def test_more_frequent_symbols_are_never_longer(counts):
    for lengths in (code_lengths(counts), limited_code_lengths(counts, 6)):
        for a, b in product(np.flatnonzero(counts), repeat=2):
            assert counts[a] <= counts[b] or lengths[a] <= lengths[b]


def test_fibonacci_counts_need_the_limit():
    assert code_lengths(fibonacci).max() == 39
    for limit in (6, 12, 16):
        for counts in (fibonacci, fibonacci[: limit + 2]):  # by far and just too deep
            lengths = code_lengths(counts, limit)
            assert lengths.max() == limit
            assert kraft(lengths) == 1
    assert code_lengths(fibonacci[:6], 3).tolist() == limited_code_lengths(fibonacci[:6], 3).tolist()
    assert np.dot(fibonacci[:6], code_lengths(fibonacci[:6], 3)) == fewest_bits(fibonacci[:6], 3)


def test_a_lone_symbol_has_one_bit():
    assert huffman_tree([0, 0, 9]) == 2
    assert code_lengths([0, 0, 9]).tolist() == limited_code_lengths([0, 0, 9], 12).tolist() == [0, 0, 1]
    assert canonical_code([0, 0, 1]) == {2: "0"}
    assert decode_simple(encode_simple([2, 2, 2], {2: "0"}), {2: "0"}) == [2, 2, 2]


def test_no_symbols():
    assert code_lengths([]).tolist() == []
    assert code_lengths([0, 0], 12).tolist() == limited_code_lengths([0, 0], 12).tolist() == [0, 0]
    assert canonical_code([0, 0]) == {}
    assert encode_simple([], {}) == "" and decode_simple("", {}) == []
    with pytest.raises(RangeError, match="at least one symbol"):
        huffman_tree([0, 0])


def test_65536_symbols():
    assert set(code_lengths(np.ones(2**16, int), 16).tolist()) == {16}
    counts = np.arange(1, 2**16 + 1) ** 2
    assert code_lengths(counts).max() > 16
    lengths = code_lengths(counts, 16)
    assert kraft(lengths) == 1 and lengths.max() == 16


def test_canonical_codewords_count_upwards_in_the_order_of_length_and_symbol():
    code = canonical_code([3, 3, 3, 3, 3, 2, 4, 4])  # the example of RFC 1951
    assert list(code) == [5, 0, 1, 2, 3, 4, 6, 7]
    assert list(code.values()) == ["00", "010", "011", "100", "101", "110", "1110", "1111"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_decoding_gives_the_symbols_back(symbols):
    code = canonical_code(code_lengths(np.bincount(symbols)))
    bits = encode_simple(symbols, code)
    assert decode_simple(bits, code) == symbols
    assert len(bits) == np.dot(np.bincount(symbols), code_lengths(np.bincount(symbols)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: code_lengths([3, -1, 2]), RangeError, r"counts\[1\] is -1"),
        (lambda: code_lengths([0.5, 0.5]), DTypeError, "float64"),
        (lambda: code_lengths([[1, 2]]), ShapeError, r"\(1, 2\)"),
        (lambda: code_lengths([2**58, 1]), RangeError, "2\\^58"),
        (lambda: limited_code_lengths([1] * 9, 3), RangeError, "9 symbols"),
        (lambda: limited_code_lengths([1, 1], 0), RangeError, "limit is 0"),
        (lambda: canonical_code([1, 1, 1]), RangeError, "Kraft"),
        (lambda: encode_simple([0, 7], {0: "0", 1: "1"}), RangeError, "symbol 7"),
        (lambda: decode_simple("0101", {0: "0", 1: "11"}), FormatError, "no codeword"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
