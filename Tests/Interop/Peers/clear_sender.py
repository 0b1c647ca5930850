"""Sends packets that no wire may carry in clear: of every kind that a selector tells apart, marked so that any frame that holds one
is known. Runs until SIGTERM, ten minutes at most.

    clear_sender.py link INTERFACE DESTINATION-MAC LABEL PAIR...   as whole frames, as a host on the link sends them
    clear_sender.py host LABEL PAIR...                             as packets of this host, through its routes

PAIR is SOURCE,DESTINATION of either family. The mark is `<<LABEL kind source destination>>`.
"""

import ipaddress
import signal
import socket
import struct
import sys
import time

ROUND_SECONDS = 0.02
LIMIT_SECONDS = 600


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def upper_layers(is_v6, label, source, destination):
    """(kind, protocol, bytes) of each sort of packet."""
    def mark(kind):
        return f"<<{label} {kind} {source} {destination}>>".encode()
    icmp = 58 if is_v6 else 1
    echo = bytes([128 if is_v6 else 8, 0, 0, 0, 0, 7, 0, 1])
    yield "udp", 17, struct.pack("!HHHH", 40000, 9, 8 + len(mark("udp")), 0) + mark("udp")
    yield "tcp", 6, struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, 0x50, 2, 1000, 0, 0) + mark("tcp")
    yield "icmp", icmp, echo[:2] + struct.pack("!H", checksum(echo + mark("icmp"))) + echo[4:] + mark("icmp")
    yield "gre", 47, struct.pack("!HH", 0, 0x0800) + mark("gre")
    yield "unknown", 253, mark("unknown")


def ipv4(source, destination, protocol, payload, fragment=0):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0, source.packed,
                         destination.packed)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, destination, protocol, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source.packed + destination.packed + payload


def packets(label, source, destination):
    is_v6 = source.version == 6
    for kind, protocol, payload in upper_layers(is_v6, label, source, destination):
        yield (ipv6 if is_v6 else ipv4)(source, destination, protocol, payload)
    mark = f"<<{label} fragment {source} {destination}>>".encode().ljust(64, b".")
    for more, offset in [(1, 0), (0, 8)]:
        if is_v6:
            head = struct.pack("!BBHI", 17, 0, offset << 3 | more, 99)
            yield ipv6(source, destination, 44, head + mark)
        else:
            yield ipv4(source, destination, 17, mark, more << 13 | offset)


def sender(arguments):
    """What is sent each round, and how."""
    if arguments[0] == "link":
        interface, target, label, *pairs = arguments[1:]
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind((interface, 0))
        own = link.getsockname()[4]
        mac = bytes.fromhex(target.replace(":", ""))
        frames = []
        for source, destination in (map(ipaddress.ip_address, pair.split(",")) for pair in pairs):
            kind = b"\x86\xdd" if source.version == 6 else b"\x08\x00"
            frames += [mac + own + kind + packet for packet in packets(label, source, destination)]
        return [lambda frame=frame: link.send(frame) for frame in frames]
    label, *pairs = arguments[1:]
    raw4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    actions = []
    for source, destination in (map(ipaddress.ip_address, pair.split(",")) for pair in pairs):
        raw = raw6 if source.version == 6 else raw4
        for packet in packets(label, source, destination):
            actions.append(lambda raw=raw, packet=packet, to=str(destination): raw.sendto(packet, (to, 0)))
    return actions


def main():
    running = True

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    actions = sender(sys.argv[1:])
    print("ready", flush=True)
    end = time.monotonic() + LIMIT_SECONDS
    sent = refused = 0
    while running and time.monotonic() < end:
        for action in actions:
            try:
                action()
                sent += 1
            except OSError:  # the port is down, there is no route, or a rule forbids it
                refused += 1
        time.sleep(ROUND_SECONDS)
    print(f"sent {sent} refused {refused}", flush=True)


main()
