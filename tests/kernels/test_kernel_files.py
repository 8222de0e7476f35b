"""Cached machine code is verified before any of it is used."""

import hashlib
import pickle

import pytest

from bayesmix.kernels import cache

RAN = []


def ran():
    RAN.append(1)


class Payload:
    """What runs code when it is read."""

    def __reduce__(self):
        return ran, ()


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    RAN.clear()
    return tmp_path / "one.kernel"


def load():
    return cache.DiskCache("one").load_overload(None, object())


@pytest.mark.parametrize("at", [0, 31, 32, -1])
def test_a_damaged_file_is_not_read(file, at):
    content = pickle.dumps(Payload())
    whole = bytearray(hashlib.sha256(content).digest() + content)
    file.write_bytes(whole)
    assert load() is None  # no kernel, but read: its checksum is right
    assert RAN
    RAN.clear()
    whole[at] ^= 0x41
    file.write_bytes(whole)
    assert load() is None
    assert RAN == []


@pytest.mark.parametrize("content", [b"", b"short", pickle.dumps(Payload())])
def test_a_file_without_a_checksum_is_not_read(file, content):
    file.write_bytes(content)
    assert load() is None
    assert RAN == []
