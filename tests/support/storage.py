"""Storages that tell what is asked of them."""

from consist_es.system.storage import LocalStorage


class Counting(LocalStorage):
    """Counts the bytes that are read."""

    def __init__(self) -> None:
        self.read = 0

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        data = super().read_at(fd, size, offset)
        self.read += len(data)
        return data
