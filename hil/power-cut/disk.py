"""A disk whose write cache is lost in a power cut, served to QEMU over NBD.

A write is answered at once and kept in memory only; a flush makes everything written before it
permanent; a write with FUA is permanent by itself. `cut` does what a power cut does to a disk with
a volatile cache: of the sectors that were written and never flushed, any may have reached the
platters and any may not, in whatever order. Which ones is drawn from the seed.

The protocol is NBD, fixed newstyle, of
https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, with what QEMU needs of it.
"""

import os
import random
import socket
import struct
import threading

# The disk takes a sector whole or not at all. With sectors of 512 bytes ext4 itself did not survive:
# of the block of 4096 bytes that commits its own journal only a part was there, and it refused to
# mount ("journal transaction is corrupt", kernel 6.1). Flash has pages of 4096 bytes or more.
SECTOR = 4096

OPTION_MAGIC = 0x49484156454F5054
REPLY_MAGIC = 0x3E889045565A9
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPTION_EXPORT_NAME, OPTION_ABORT, OPTION_INFO, OPTION_GO = 1, 2, 6, 7
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, 0x80000001
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
TRANSMISSION = HAS_FLAGS | SEND_FLUSH | SEND_FUA
REQUEST_MAGIC, SIMPLE_REPLY_MAGIC = 0x25609513, 0x67446698
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
COMMAND_FUA = 1
EINVAL = 22


class Cut(Exception):
    """The power is off, or QEMU has closed the connection."""


class Disk:
    """The image file, and what has been written to it and not flushed."""

    def __init__(self, image, address):
        self.file = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.file).st_size
        self.unflushed = {}  # sector number -> the newest bytes
        self.lock = threading.Lock()
        self.is_cut = False
        self.dies_at_flush = False
        self.died = threading.Event()
        self.flushes = 0
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(address):
            os.unlink(address)
        self.listener.bind(address)
        self.listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, chance):
        """The power goes; says how many unflushed sectors there were and how many survived."""
        with self.lock:
            self.is_cut = True
            pending = sorted(self.unflushed.items())
            # Sometimes almost all, sometimes almost none: a disk may have just begun or be done.
            share = chance.random()
            kept = [(at, data) for at, data in pending if chance.random() < share]
            for at, data in kept:
                os.pwrite(self.file, data, at * SECTOR)
            self.unflushed.clear()
            self._close()
            return len(pending), len(kept)

    def die_at_flush(self, within_s):
        """Waits until a flush has something to flush, and is gone before it has done so."""
        with self.lock:
            self.dies_at_flush = True
        return self.died.wait(within_s)

    def close(self):
        """An orderly end: the guest has flushed what it cares for, and the rest is written too."""
        with self.lock:
            self.is_cut = True
            self._flush()
            self._close()

    def _close(self):
        self.listener.close()
        os.close(self.file)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                if self._negotiate(connection):
                    while self._request(connection):
                        pass
            except (Cut, OSError):
                pass

    def _negotiate(self, connection):
        hello = struct.pack(">8sQH", b"NBDMAGIC", OPTION_MAGIC, FIXED_NEWSTYLE | NO_ZEROES)
        connection.sendall(hello)
        (flags,) = struct.unpack(">I", receive(connection, 4))
        while True:
            _, option, length = struct.unpack(">QII", receive(connection, 16))
            receive(connection, length)
            if option == OPTION_EXPORT_NAME:
                connection.sendall(struct.pack(">QH", self.size, TRANSMISSION))
                if not flags & NO_ZEROES:
                    connection.sendall(bytes(124))
                return True
            if option in (OPTION_INFO, OPTION_GO):
                info = struct.pack(">HQH", 0, self.size, TRANSMISSION)
                answer(connection, option, REPLY_INFO, info)
                answer(connection, option, REPLY_ACK)
                if option == OPTION_GO:
                    return True
            elif option == OPTION_ABORT:
                answer(connection, option, REPLY_ACK)
                return False
            else:
                answer(connection, option, REPLY_UNSUPPORTED)

    def _request(self, connection):
        head = receive(connection, 28)
        magic, flags, command, handle, at, length = struct.unpack(">IHHQQI", head)
        if magic != REQUEST_MAGIC or command == DISCONNECT:
            return False
        data = receive(connection, length) if command == WRITE else b""
        error = 0
        with self.lock:
            if self.is_cut:
                raise Cut
            if command == READ:
                data = self._read(at, length)
            elif command == WRITE:
                self._write(at, data, flags & COMMAND_FUA)
                data = b""
            elif command == FLUSH:
                if self.dies_at_flush and self.unflushed:
                    self.is_cut = True
                    self.died.set()
                    raise Cut
                self._flush()
                self.flushes += 1
            else:
                error = EINVAL
        connection.sendall(struct.pack(">IIQ", SIMPLE_REPLY_MAGIC, error, handle) + data)
        return True

    def _read(self, at, length):
        data = bytearray(os.pread(self.file, length, at))
        data.extend(bytes(length - len(data)))
        if self.unflushed:
            first = at // SECTOR
            for number in range(length // SECTOR):
                newer = self.unflushed.get(first + number)
                if newer is not None:
                    data[number * SECTOR : (number + 1) * SECTOR] = newer
        return bytes(data)

    def _write(self, at, data, permanent):
        first = at // SECTOR
        for number in range(len(data) // SECTOR):
            if permanent:
                self.unflushed.pop(first + number, None)
            else:
                sector = data[number * SECTOR : (number + 1) * SECTOR]
                self.unflushed[first + number] = sector
        if permanent:
            os.pwrite(self.file, data, at)

    def _flush(self):
        for at, data in self.unflushed.items():
            os.pwrite(self.file, data, at * SECTOR)
        self.unflushed.clear()


def receive(connection, count):
    data = bytearray()
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise Cut
        data.extend(part)
    return bytes(data)


def answer(connection, option, kind, data=b""):
    connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)


def self_test(folder):
    """Before anything is claimed of it: what is flushed stays, what is not may go."""
    image = os.path.join(folder, "self-test.raw")
    with open(image, "wb") as file:
        file.truncate(64 * SECTOR)
    disk = Disk(image, os.path.join(folder, "self-test.socket"))
    disk._write(0, b"a" * SECTOR * 4, False)
    assert disk._read(0, SECTOR) == b"a" * SECTOR, "a write is read back before it is flushed"
    disk._flush()
    disk._write(0, b"b" * SECTOR * 40, False)
    disk._write(60 * SECTOR, b"c" * SECTOR, True)
    pending, kept = disk.cut(random.Random(3))
    with open(image, "rb") as file:
        data = file.read()
    assert pending == 40 and 0 < kept < 40, (pending, kept)
    assert data.count(b"b" * SECTOR) == kept, "a sector is there whole or not at all"
    assert data[60 * SECTOR : 61 * SECTOR] == b"c" * SECTOR, "a FUA write stays"
    flushed = [data[n * SECTOR : (n + 1) * SECTOR] for n in range(4)]
    assert all(one in (b"a" * SECTOR, b"b" * SECTOR) for one in flushed), "nothing else appears"
    os.unlink(image)
