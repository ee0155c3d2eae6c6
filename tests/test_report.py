"""The report: well-formed, complete, self-contained, the same every time."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from minicompress import report, storage
from minicompress.errors import StorageError
from minicompress.ledger import Ledger, finished
from minicompress.nn import Conv2d, Flatten, Linear, Record, ReLU, Sequential, predict
from minicompress.pruning.magnitude import prune
from minicompress.quantization.sharing import share

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; tags that are not closed in order raise."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(" ".join(text.split()))

    def all(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


def network(kind, rng):
    side = 28 if kind == "mnist" else 8
    if kind == "filters":
        return Sequential([Conv2d(1, 6, 3, rng=rng, padding=1), ReLU(), Flatten(), Linear(384, 10, rng=rng)])
    layers = [Linear(side * side, 20, rng=rng), ReLU(), Linear(20, 10, rng=rng)]
    return Sequential([Flatten(), *layers] if kind == "images" else layers)


def inputs(folder, kind="digits", n=40):
    """All that `report.write` wants, from a network that nobody trained."""
    rng = np.random.default_rng(0)
    shape = {"digits": (64,), "mnist": (784,), "images": (1, 8, 8), "filters": (1, 8, 8), "tabular": (17,)}[kind]
    model = network(kind, rng) if kind != "tabular" else Sequential([Linear(17, 10, rng=rng)])
    x = rng.random((n, *shape))
    labels = predict(model, x).argmax(1)
    labels[:3] = (labels[:3] + 1) % 10
    ledger, networks = Ledger(x), []
    for name, change in [("dense", lambda w: None), ("pruned <50 %> & $x$", lambda w: prune([w], 0.5)),
                         ("shared", lambda w: share(w, 4))]:
        for weight in model.weights():
            change(weight)
        networks.append(finished(model, "single"))
        ledger.add(name, networks[-1], 0.03, 1.0)
    storage.save(folder / "model.mcz", networks[-1])
    return {"title": "a <b> & c", "ledger": ledger, "records": [Record(1, 1.5, 0.4, 0.1), Record(2, 0.5, 0.2, 0.2)],
            "dense": networks[0], "pruned": networks[1], "final": networks[2],
            "parts": storage.inspect(folder / "model.mcz"), "samples": (x, labels),
            "facts": {"seed": "<0>", "data": kind}}


def written(folder, **arguments):
    report.write(folder / "report.html", **arguments)
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return written(folder, **inputs(folder))


def test_tags_are_balanced_and_the_document_says_what_it_is(page):
    parsed = Page(page)
    assert page.startswith("<!DOCTYPE html>") and parsed.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in parsed.all("meta") and len(parsed.all("h1")) == 1
    assert not re.search(r"\$\w", page.replace("$x$", "")), "a placeholder was left"


def test_texts_are_escaped(page):
    parsed = Page(page)
    assert {"a <b> & c", "pruned <50 %> & $x$", "<0>"} <= set(parsed.texts)
    assert not parsed.all("b")


def test_the_first_sentence_is_the_result(tmp_path):
    given = inputs(tmp_path)
    dense, last = given["ledger"].stages[0], given["ledger"].stages[-1]
    text = report.result(given["ledger"])
    assert f"{dense.weights:,} weights" in text and f"{last.bytes:,} bytes, {last.ratio:.1f} times" in text
    assert Page(written(tmp_path, **given)).texts.index(text) < 20


def test_every_stage_is_a_row_of_the_table(tmp_path):
    given = inputs(tmp_path)
    texts = Page(written(tmp_path, **given)).texts
    for stage in given["ledger"].stages:
        numbers = {f"{stage.bytes:,}", f"{stage.trained:,}", f"{stage.nonzero:,}", f"{stage.ratio:.1f}", "3.00 %"}
        assert numbers <= set(texts[texts.index(stage.name) :][:20])


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in Page(page).tags:
        assert tag not in {"link", "script", "iframe", "object"}
        for name in {"src", "href", "srcset", "style"} & set(attributes):
            assert attributes[name].startswith("data:image/svg+xml;base64,")
    assert "url(" not in page and "@import" not in page and "http" not in re.sub(r'base64,[^"]*"', "", page)
    assert len(page) < 600_000


def test_pictures_are_svg_with_a_text_in_their_place_and_load_nothing_either(page):
    images = Page(page).all("img")
    assert len(images) == 6 and all(len(image["alt"]) > 40 for image in images)
    assert any("read as" in image["alt"] for image in images)
    for image in images:
        tree = ElementTree.fromstring(base64.b64decode(image["src"].split(",")[1]))
        assert tree.tag.endswith("svg")
        links = [value for node in tree.iter() for name, value in node.attrib.items() if name.endswith("href")]
        assert all(link.startswith(("#", "data:")) for link in links)


def test_two_reports_of_the_same_are_the_same(page, tmp_path):
    assert written(tmp_path, **inputs(tmp_path)) == page


@pytest.mark.parametrize(("kind", "pictures", "side"), [
    ("mnist", 6, 28), ("images", 6, 8), ("filters", 6, 3), ("tabular", 4, 0),
])
def test_other_data(tmp_path, kind, pictures, side):
    page = written(tmp_path, **inputs(tmp_path, kind))
    images = Page(page).all("img")
    assert len(images) == pictures and len(page) < 600_000
    assert side == 0 or any(f"{side} by {side} pixels" in image["alt"] for image in images)


def test_few_images_all_read_right_and_no_record(tmp_path):
    given = inputs(tmp_path, n=5)
    x, _ = given["samples"]
    given |= {"records": [], "samples": (x, predict(given["final"], x).argmax(1))}
    page = written(tmp_path, **given)
    assert "0 of 5 test images are misread" in page and "Training the dense network" not in page


def test_a_report_that_cannot_be_written(tmp_path):
    with pytest.raises(StorageError):
        written(tmp_path / "missing", **inputs(tmp_path))
