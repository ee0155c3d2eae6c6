import hashlib
import http.server
import os
import threading

import pooch
import pytest

from minicompress.data import digits, fetch, mnist
from minicompress.data.download import SOURCES, Source, given_folder
from minicompress.errors import ChecksumError, DataUnavailable, RangeError, StorageError

CONTENT = {"images.gz": b"the images" * 1000, "labels.gz": b"the labels"}
SHA256 = {file: hashlib.sha256(content).hexdigest() for file, content in CONTENT.items()}
PAGE = b"<html>Please log in to the network.</html>"


class Mirror(http.server.ThreadingHTTPServer):
    """A web server on this machine: `answers` has the bytes of files, others get `status`, `asked` is the log."""

    def __init__(self, answers, status=404, announced_more_bytes=0):
        super().__init__(("127.0.0.1", 0), Answer)
        self.answers, self.status, self.announced_more_bytes = answers, status, announced_more_bytes
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}/data/"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        file = self.path.rpartition("/")[2]
        self.server.asked.append(file)
        answer = self.server.answers.get(file)
        self.send_response(self.server.status if answer is None else 200)
        self.send_header("Content-Length", str(len(answer or b"") + self.server.announced_more_bytes))
        self.end_headers()
        self.wfile.write(answer or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    """serve(a, b, …): "mnist" is to be had from these mirrors, the cache is empty, and MINICOMPRESS_DATA is not set."""
    monkeypatch.delenv("MINICOMPRESS_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    running = []

    def serve(*servers):
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            running.append((server, thread))
        monkeypatch.setitem(SOURCES, "mnist", Source(tuple(server.url for server in servers), SHA256))
        return tmp_path / "cache" / "minicompress" / "mnist"

    yield serve
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def files_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_files_are_downloaded_once_and_then_found(mirrors):
    cache = mirrors(mirror := Mirror(CONTENT))
    for _ in range(2):
        paths = fetch("mnist")
        assert paths == [cache / "images.gz", cache / "labels.gz"]
        assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert mirror.asked == ["images.gz", "labels.gz"]
    assert files_in(cache) == ["images.gz", "labels.gz"]


def test_a_progress_bar_is_shown(mirrors, capfd):
    mirrors(Mirror(CONTENT))
    fetch("mnist")
    assert "100%" in capfd.readouterr().err


@pytest.mark.parametrize("broken", [
    {"answers": {}, "status": 503},
    {"answers": dict.fromkeys(CONTENT, PAGE)},
    {"answers": {file: content[:-1] for file, content in CONTENT.items()}},
    {"answers": {file: content[:-1] for file, content in CONTENT.items()}, "announced_more_bytes": 1},
], ids=["down", "login page", "partial", "cut off"])
def test_the_second_mirror_is_tried_where_the_first_fails(mirrors, broken):
    cache = mirrors(first := Mirror(**broken), Mirror(CONTENT))
    assert [path.read_bytes() for path in fetch("mnist")] == list(CONTENT.values())
    assert first.asked == ["images.gz", "labels.gz"]
    assert files_in(cache) == ["images.gz", "labels.gz"]


def test_wrong_bytes_everywhere_are_deleted_after_one_retry(mirrors):
    first, second = (Mirror(dict.fromkeys(CONTENT, wrong)) for wrong in (PAGE, b"\x1f\x8b"))
    cache = mirrors(first, second)
    with pytest.raises(ChecksumError, match="wrong checksum") as caught:
        fetch("mnist")
    assert first.asked == second.asked == ["images.gz", "images.gz"]
    assert files_in(cache) == []
    assert first.url + "images.gz" in str(caught.value)


def test_a_damaged_answer_is_asked_for_once_more(mirrors):
    class Better(Mirror):
        @property
        def answers(self):
            return CONTENT if self.asked.count("images.gz") > 1 else {"images.gz": PAGE}

        @answers.setter
        def answers(self, _):
            pass

    mirrors(mirror := Better({}))
    assert [path.read_bytes() for path in fetch("mnist")] == list(CONTENT.values())
    assert mirror.asked == ["images.gz", "images.gz", "labels.gz"]


def test_offline_the_error_says_what_is_missing_and_where_it_belongs(mirrors):
    cache = mirrors(down := Mirror({}, status=503), gone := Mirror({}))
    gone.shutdown()
    gone.server_close()  # nothing listens at this address any more
    with pytest.raises(DataUnavailable) as caught:
        fetch("mnist")
    assert isinstance(caught.value, FileNotFoundError)
    for fact in ("images.gz", SHA256["images.gz"], down.url + "images.gz: status 503",
                 gone.url + "images.gz: ConnectionError", str(cache), "MINICOMPRESS_DATA"):
        assert fact in str(caught.value)
    assert down.asked == ["images.gz", "images.gz"]
    with pytest.raises(DataUnavailable):
        mnist()
    assert len(digits().test.labels) == 500  # the bundled images always work


def test_a_file_put_into_the_cache_by_hand_is_found_offline(mirrors):
    cache = mirrors(down := Mirror({}, status=503))
    cache.mkdir(parents=True)
    for file, content in CONTENT.items():
        (cache / file).write_bytes(content)
    assert fetch("mnist") == [cache / "images.gz", cache / "labels.gz"]
    assert down.asked == []


def test_a_file_that_went_bad_in_the_cache_is_replaced_or_deleted(mirrors):
    cache = mirrors(mirror := Mirror(CONTENT))
    fetch("mnist")
    (cache / "labels.gz").write_bytes(b"the labelz")
    assert fetch("mnist")[1].read_bytes() == b"the labels"
    (cache / "labels.gz").write_bytes(b"the labelz")
    mirror.answers = {}
    with pytest.raises(DataUnavailable, match=r"labels\.gz"):
        fetch("mnist")
    assert files_in(cache) == ["images.gz"]


def test_a_cache_that_cannot_be_written(mirrors):
    cache = mirrors(Mirror(CONTENT))
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        fetch("mnist")


def test_the_given_folder_comes_first_if_it_has_all_the_files(mirrors, tmp_path, monkeypatch):
    cache = mirrors(mirror := Mirror(CONTENT))
    monkeypatch.setenv("MINICOMPRESS_DATA", str(tmp_path / "given"))
    folder = tmp_path / "given" / "mnist"
    folder.mkdir(parents=True)
    (folder / "images.gz").write_bytes(b"my own images")
    assert given_folder("mnist", CONTENT) is None
    assert fetch("mnist") == [cache / "images.gz", cache / "labels.gz"]
    (folder / "labels.gz").write_bytes(b"my own labels")
    assert fetch("mnist") == [folder / "images.gz", folder / "labels.gz"]
    assert mirror.asked == ["images.gz", "labels.gz"]


def test_a_name_that_is_not_in_the_list():
    with pytest.raises(RangeError, match=r"'fashion_mnist'.*fashion-mnist"):
        fetch("fashion_mnist")


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_two_mirrors_and_four_checksums(name):
    source = SOURCES[name]
    assert len(set(source.mirrors)) >= 2
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
    assert len({len(checksum) for checksum in source.sha256.values()}) == 1 and len(set(source.sha256.values())) == 4


def test_the_checksums_are_those_of_the_given_files():
    folder = given_folder("mnist", SOURCES["mnist"].sha256)
    if folder is None:
        pytest.skip(f"MINICOMPRESS_DATA is {os.environ.get('MINICOMPRESS_DATA')!r} and has no MNIST")
    for file, checksum in SOURCES["mnist"].sha256.items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == checksum
