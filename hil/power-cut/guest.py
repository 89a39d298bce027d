"""The virtual machine: a stock Debian kernel, a busybox initrd, the gateway's own binary.

Nothing is installed on this machine but QEMU: the kernel and busybox come out of their Debian
packages, unpacked below target/power-cut.
"""

import glob
import gzip
import os
import shutil
import socket
import stat
import subprocess
import time

MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "virtio-rng"]
# On a busy machine the guest has little of it.
BOOT_WITHIN_S = 900
ASK_WITHIN_S = 600

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /data /run /tmp
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in $(cat /modules/order); do insmod /modules/$module || echo "NO MODULE $module"; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
if ! mount -t ext4 /dev/vda /data; then
  echo "NO DISK"
  while true; do sleep 1000; done
fi
echo "MOUNTED after $(cut -d' ' -f1 /proc/uptime) s"
(while true; do nc -l -p 9000 -e /bin/answer; done) &
while true; do
  echo "GATEWAY STARTS"
  /bin/wardgate run --config /etc/wardgate.toml
  echo "GATEWAY ENDED WITH $?"
  sleep 1
done
"""

# One line asks, the answer ends with the connection; its last line says how it went.
ANSWER = """#!/bin/busybox sh
export PATH=/bin
read verb from
case "$verb" in
  export) wardgate journal export --config /etc/wardgate.toml --from "$from" 2>&1 ;;
  verify) wardgate journal verify --config /etc/wardgate.toml 2>&1 ;;
  status) wardgate status --json --config /etc/wardgate.toml 2>&1 ;;
esac
echo "DONE $?"
"""

CONFIGURATION = """[gateway]
id = "urn:uuid:3d2f8a10-5b8e-4e52-8a52-90f0f2d4c0aa"
tenant = "bench"
site = "bench"
ward = "icu"
name = "box"
data = "/data/wardgate"
device_profiles = "/share/device-profiles"
socket = "/run/wardgate.socket"
mode = "bench"
time_zone = "UTC"
segment_bytes = {segment_bytes}
journal_key = "/etc/journal.key"

[[device]]
name = "monitor"
profile = "generic/pcd-01"
place = "icu/bed-1"
firmware = "PCD-01 2.6"
link = {{ tcp_server = "0.0.0.0:2575" }}

[[destination]]
name = "core"
files = "trial"
required = "required"
mqtt = {{ host = "10.0.2.2", port = {core_port}, receivers = ["core"] }}
"""


def read(path):
    """What the file holds so far; it may not be there yet."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def run(*arguments, **more):
    return subprocess.run(arguments, check=True, **more)


def prepare(work, repository):
    """Packages, unpacked, once; says where kernel and packages' files are."""
    if shutil.which("qemu-system-x86_64") is None:
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "qemu-system-x86",
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    root = os.path.join(work, "root")
    if not glob.glob(os.path.join(root, "boot", "vmlinuz-*")):
        packages = os.path.join(work, "deb")
        os.makedirs(packages, exist_ok=True)
        depends = run("apt-cache", "depends", "linux-image-cloud-amd64",
                      capture_output=True, text=True).stdout
        kernel = next(line.split()[1] for line in depends.splitlines() if "Depends:" in line)
        run("apt-get", "download", "-qq", kernel, "busybox-static", cwd=packages)
        for package in glob.glob(os.path.join(packages, "*.deb")):
            run("dpkg-deb", "-x", package, root)
    return root, sorted(glob.glob(os.path.join(root, "boot", "vmlinuz-*")))[-1]


def make_initrd(work, root, repository, binary, core_port, segment_bytes):
    """Everything that the guest runs, in one archive; the disk holds data only."""
    archive = Archive()
    archive.file("init", INIT.encode(), 0o755)
    archive.file("bin/answer", ANSWER.encode(), 0o755)
    archive.copy(os.path.join(root, "bin", "busybox"), "bin/busybox")
    archive.copy(binary, "bin/wardgate")
    for library in libraries(binary):
        archive.copy(os.path.realpath(library), library.lstrip("/"))
    # The journal is encrypted, as on a ward; the key is the bench's and of no other use.
    archive.file("etc/journal.key", b"5a" * 32 + b"\n", 0o600)
    order = modules(root)
    for path in order:
        archive.copy(path, "modules/" + os.path.basename(path))
    archive.file("modules/order", " ".join(map(os.path.basename, order)).encode(), 0o644)
    text = CONFIGURATION.format(core_port=core_port, segment_bytes=segment_bytes)
    archive.file("etc/wardgate.toml", text.encode(), 0o644)
    profiles = os.path.join(repository, "device-profiles")
    for path in glob.glob(os.path.join(profiles, "**", "*.toml"), recursive=True):
        archive.copy(path, "share/device-profiles/" + os.path.relpath(path, profiles))
    path = os.path.join(work, "initrd.gz")
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(archive.finish())
    return path


def libraries(binary):
    text = run("ldd", binary, capture_output=True, text=True).stdout
    words = (word for line in text.splitlines() for word in line.split())
    return [word for word in words if word.startswith("/")]


def modules(root):
    """The modules and what they depend on, in the order of loading, by their own `depends=`."""
    files = glob.glob(os.path.join(root, "lib", "modules", "**", "*.ko"), recursive=True)
    by_name = {os.path.basename(path)[:-3].replace("-", "_"): path for path in files}
    order = []

    def add(name):
        path = by_name.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        with open(path, "rb") as file:
            data = file.read()
        at = data.find(b"\0depends=")
        depends = data[at + 9 : data.index(b"\0", at + 1)].decode() if at >= 0 else ""
        for other in filter(None, depends.split(",")):
            add(other)
        order.append(path)

    for name in MODULES:
        add(name)
    return order


class Archive:
    """An initramfs in the cpio format `newc`."""

    def __init__(self):
        self.parts = []
        self.folders = set()
        self.number = 0

    def file(self, name, data, mode):
        folder = os.path.dirname(name)
        missing = []
        while folder and folder not in self.folders:
            missing.append(folder)
            self.folders.add(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            self._entry(folder, b"", stat.S_IFDIR | 0o755)
        self._entry(name, data, stat.S_IFREG | mode)

    def copy(self, path, name):
        with open(path, "rb") as file:
            self.file(name, file.read(), stat.S_IMODE(os.stat(path).st_mode))

    def finish(self):
        self._entry("TRAILER!!!", b"", 0)
        return b"".join(self.parts)

    def _entry(self, name, data, mode):
        self.number += 1
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields)
        named = head + name.encode() + b"\0"
        self.parts.append(named + bytes(-len(named) % 4) + data + bytes(-len(data) % 4))


def make_disk(path, megabytes):
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    run("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-F", path)


class Machine:
    """One boot, from the start to the cut."""

    def __init__(self, kernel, initrd, nbd_address, ports, console):
        device, asking = ports
        forward = f"hostfwd=tcp:127.0.0.1:{device}-:2575,hostfwd=tcp:127.0.0.1:{asking}-:9000"
        command = [
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults",
            "-no-reboot", "-display", "none", "-kernel", kernel, "-initrd", initrd,
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
            "-serial", f"file:{console}",
            "-blockdev", f"driver=nbd,node-name=disk,server.type=unix,server.path={nbd_address}",
            "-device", "virtio-blk-pci,drive=disk,logical_block_size=4096,"
            "physical_block_size=4096",
            "-netdev", f"user,id=net,restrict=off,{forward}",
            "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci",
        ]
        self.ask_port = asking
        self.console = console
        log = open(console + ".qemu", "wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()

    def ask(self, question):
        """What the guest answers, line by line, without the last."""
        deadline = time.monotonic() + BOOT_WITHIN_S
        while True:
            lines = self._ask(question)
            if lines and lines[-1] == "DONE 0":
                return lines[:-1]
            if "NO DISK" in read(self.console) or time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{question}: {lines[-3:]}; see {self.console}")
            time.sleep(0.3)

    def _ask(self, question):
        try:
            with socket.create_connection(("127.0.0.1", self.ask_port), 10) as connection:
                connection.settimeout(ASK_WITHIN_S)
                connection.sendall(question.encode() + b"\n")
                data = bytearray()
                while part := connection.recv(1 << 16):
                    data.extend(part)
        except OSError:
            return []
        # Not `splitlines`: a payload may hold characters that Python takes for line ends.
        return data.decode(errors="replace").rstrip("\n").split("\n")

    def cut(self):
        """As if the plug were pulled: SIGKILL."""
        self.process.kill()
        self.process.wait()
