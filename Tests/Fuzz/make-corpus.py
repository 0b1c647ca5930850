#!/usr/bin/env python3
"""Writes the committed corpora: Corpus/frames (malformed Ethernet frames) and the seeds of the packet targets.

    Tests/Fuzz/make-corpus.py [--frames DIRECTORY] [--destination-mac MAC] [--gateway IPV4] [--gateway6 IPV6]
                              [--protected IPV4] [--protected6 IPV6] [--spi HEX]

Without options it writes what is committed. With --frames it writes only frames, there, for a gateway with other
addresses. The output depends on nothing but the options.
"""

import argparse
import ipaddress
import pathlib
import shutil
import struct

HERE = pathlib.Path(__file__).parent / "Corpus"


def checksum(data: bytes, initial: int = 0) -> int:
    data += b"\0" * (len(data) % 2)
    total = initial + sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def patch(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value):]


def ipv4(payload=b"", number=17, source="198.51.100.2", destination="198.51.100.1", ttl=64, field=0x4000, options=b"",
         ihl=None, length=None, version=4, tos=0, good=True) -> bytes:
    words = (20 + len(options)) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(payload) if length is None else length
    header = struct.pack("!BBHHHBBH4s4s", version << 4 | words, tos, total & 0xFFFF, 0x1234, field, ttl, number, 0,
                         ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed) + options
    value = checksum(header) if good else checksum(header) ^ 0x0101
    return patch(header, 10, struct.pack("!H", value)) + payload


def ipv6(payload=b"", number=17, source="2001:db8:ff::2", destination="2001:db8:ff::1", hops=64, length=None,
         version=6) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack("!IHBB", version << 28, size & 0xFFFF, number, hops) + ipaddress.ip_address(source).packed \
        + ipaddress.ip_address(destination).packed + payload


def chain(headers, number, payload) -> tuple[int, bytes]:
    """Extension headers (number, bytes) before a payload: the first number, and the bytes."""
    numbers = [header[0] for header in headers] + [number]
    body = b"".join(bytes([numbers[i + 1]]) + header[1][1:] for i, header in enumerate(headers))
    return numbers[0], body + payload


def options(units=1, number=60) -> tuple[int, bytes]:
    return number, bytes([0, units - 1]) + bytes(units * 8 - 2)


def fragment(offset, more) -> tuple[int, bytes]:
    return 44, struct.pack("!BBHI", 0, 0, offset & 0xFFF8 | more, 0x01020304)


def udp(payload=b"", source=4500, destination=4500, length=None, value=0) -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + len(payload) if length is None else length, value) + payload


def tcp(words=5, payload=b"") -> bytes:
    return struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, words << 4, 2, 64240, 0, 0) + bytes(max(words - 5, 0) * 4) + payload


def icmp(kind=8, code=0, payload=b"abcdefgh") -> bytes:
    body = struct.pack("!BBHI", kind, code, 0, 0x00010001) + payload
    return patch(body, 2, struct.pack("!H", checksum(body)))


def esp(spi, sequence=1, body=bytes(range(64))) -> bytes:
    return struct.pack("!II", spi, sequence) + body


def ah(words=4, size=12) -> bytes:
    return struct.pack("!BBHII", 4, words, 0, 0x1000, 1) + bytes(size)


def make_frames(arguments) -> dict[str, bytes]:
    wan = dict(destination=arguments.gateway)
    wan6 = dict(destination=arguments.gateway6)
    lan = dict(source="10.9.0.5", destination=arguments.protected)
    lan6 = dict(source="2001:db8:9::5", destination=arguments.protected6)
    spi = int(arguments.spi, 16)
    mac = bytes.fromhex(arguments.destination_mac.replace(":", ""))
    frames: dict[str, bytes] = {}

    def ethernet(payload, kind, tags=()):
        head = mac + bytes.fromhex("020000000002")
        for tag_type, tag in tags:
            head += struct.pack("!HH", tag_type, tag)
        return head + struct.pack("!H", kind) + payload

    def add4(name, packet):
        frames["ipv4-" + name] = ethernet(packet, 0x0800)

    def add6(name, packet):
        frames["ipv6-" + name] = ethernet(packet, 0x86DD)

    add_ethernet(frames, ethernet, lan, wan, spi)
    add_ipv4(add4, lan)
    add_ipv6(add6, lan6)
    add_transport(add4, add6, lan, lan6)
    add_esp(add4, add6, wan, wan6, spi)
    add_udp_encapsulation(add4, add6, wan, wan6, spi)
    return frames


def add_ethernet(frames, ethernet, lan, wan, spi):
    whole = ethernet(ipv4(udp(bytes(32), 1000, 2000), **lan), 0x0800)
    for size in (0, 1, 6, 12, 13, 14, 15, 18, 33, 34, 41):
        frames[f"ethernet-cut-{size:02}"] = whole[:size]
    frames["ethernet-padded"] = whole + bytes(200)
    frames["ethernet-jumbo"] = ethernet(ipv4(udp(bytes(1700), 1000, 2000), **lan), 0x0800)
    frames["ethernet-unknown-type"] = ethernet(bytes(46), 0x88B5)
    frames["ethernet-length-field"] = ethernet(b"\xaa\xaa\x03" + bytes(43), 46)
    frames["ethernet-type-lies-ipv6"] = ethernet(ipv4(udp(bytes(32)), **lan), 0x86DD)
    frames["ethernet-type-lies-ipv4"] = ethernet(ipv6(udp(bytes(32))), 0x0800)
    frames["ethernet-arp-cut"] = ethernet(bytes.fromhex("0001080006040001"), 0x0806)
    frames["vlan-only"] = ethernet(b"", 0x8100)[:14]
    frames["vlan-cut"] = ethernet(b"\0\x64", 0x8100)
    frames["vlan-empty"] = ethernet(b"", 0x0800, [(0x8100, 100)])
    frames["vlan-ipv4"] = ethernet(ipv4(udp(bytes(32)), **lan), 0x0800, [(0x8100, 100)])
    frames["vlan-esp"] = ethernet(ipv4(esp(spi), 50, **wan), 0x0800, [(0x8100, 4095)])
    frames["vlan-double"] = ethernet(ipv4(udp(bytes(32)), **lan), 0x0800, [(0x8100, 1), (0x8100, 2)])
    frames["vlan-service"] = ethernet(ipv4(udp(bytes(32)), **lan), 0x0800, [(0x88A8, 1), (0x8100, 2)])


def add_ipv4(add, lan):
    body = udp(bytes(32), 1000, 2000)
    for version in (0, 5, 6, 15):
        add(f"version-{version}", ipv4(body, version=version, **lan))
    for words in (0, 1, 4, 6, 15):
        add(f"ihl-{words:02}", ipv4(body, ihl=words, **lan))
    for length in (0, 19, 20, 27, 61, 1500, 65535):
        add(f"total-length-{length:05}", ipv4(body, length=length, **lan))
    add("bad-checksum", ipv4(body, good=False, **lan))
    add("zero-checksum", patch(ipv4(body, **lan), 10, b"\0\0"))
    add("ttl-0", ipv4(body, ttl=0, **lan))
    add("ttl-1", ipv4(body, ttl=1, **lan))
    add("options-good", ipv4(body, options=bytes.fromhex("9404000001010100"), **lan))
    add("options-zero-length", ipv4(body, options=bytes.fromhex("07000000"), **lan))
    add("options-overrun", ipv4(body, options=bytes.fromhex("8828000101010100"), **lan))
    add("options-source-route", ipv4(body, options=bytes.fromhex("8307040a00000100"), **lan))
    add("options-full", ipv4(body, options=bytes([1]) * 40, **lan))
    add("fragment-first", ipv4(body, field=0x2000, **lan))
    add("fragment-later", ipv4(bytes(40), field=0x0005, **lan))
    add("fragment-odd", ipv4(bytes(39), field=0x2005, **lan))
    add("fragment-empty", ipv4(b"", field=0x2000, **lan))
    add("fragment-beyond-end", ipv4(bytes(40), field=0x1FFF, **lan))
    add("fragment-tcp-overlap", ipv4(bytes(40), number=6, field=0x0001, **lan))
    add("fragment-df-and-mf", ipv4(body, field=0x6000, **lan))
    add("reserved-bit", ipv4(body, field=0x8000, **lan))
    for name, address in (("zero", "0.0.0.0"), ("loopback", "127.0.0.1"), ("multicast", "224.0.0.9"),
                          ("broadcast", "255.255.255.255"), ("reserved", "240.0.0.1")):
        add(f"source-{name}", ipv4(body, source=address, destination=lan["destination"]))
        add(f"destination-{name}", ipv4(body, source=lan["source"], destination=address))
    add("source-is-destination", ipv4(body, source=lan["destination"], destination=lan["destination"]))
    add("too-big-df", ipv4(udp(bytes(1464), 1000, 2000), **lan))
    add("too-big", ipv4(udp(bytes(1464), 1000, 2000), field=0, **lan))


def add_ipv6(add, lan):
    body = udp(bytes(32), 1000, 2000)
    whole = ipv6(body, **lan)
    for size in (0, 1, 20, 39, 40, 47):
        add(f"cut-{size:02}", whole[:size])
    add("version-4", ipv6(body, version=4, **lan))
    for length in (0, 3, 41, 1500, 65535):
        add(f"payload-length-{length:05}", ipv6(body, length=length, **lan))
    add("hop-limit-0", ipv6(body, hops=0, **lan))
    add("hop-limit-1", ipv6(body, hops=1, **lan))
    chains = {
        "hop-by-hop": [options(1, 0)],
        "every-kind": [options(1, 0), options(), options(1, 43), fragment(0, 1), options(2)],
        "nested-08": [options()] * 8,
        "nested-09": [options()] * 9,
        "nested-100": [options()] * 100,
        "nested-long": [options(90)] * 2,
        "hop-by-hop-late": [options(), options(1, 0)],
        "hop-by-hop-twice": [options(1, 0), options(1, 0)],
        "two-fragment-headers": [fragment(0, 0), fragment(0, 0)],
        "atomic-fragment": [fragment(0, 0)],
        "fragment-first": [fragment(0, 1)],
        "fragment-later": [fragment(1208, 0)],
        "fragment-beyond-end": [fragment(65528, 0)],
    }
    for name, headers in chains.items():
        number, payload = chain(headers, 17, body)
        add(name, ipv6(payload, number, **lan))
    number, payload = chain([fragment(0, 1)], 17, body + b"\0")
    add("fragment-odd", ipv6(payload, number, **lan))
    number, payload = chain([fragment(8, 0)], 6, bytes(40))
    add("fragment-tcp-overlap", ipv6(payload, number, **lan))
    for size in (0, 1, 7, 8):
        add(f"extension-cut-{size}", ipv6(options()[1][:size], 60, **lan))
    add("extension-overrun", ipv6(bytes([17, 255]) + bytes(46), 60, **lan))
    add("fragment-header-cut", ipv6(bytes(7), 44, **lan))
    add("routing-type-0", ipv6(bytes([17, 2, 0, 1]) + bytes(20) + body, 43, **lan))
    add("no-next-header", ipv6(b"", 59, **lan))
    add("jumbo-option", ipv6(bytes([17, 0, 0xC2, 4, 0, 1, 0, 0]) + body, 0, length=0, **lan))
    for name, address in (("zero", "::"), ("loopback", "::1"), ("multicast", "ff02::1"), ("link-local", "fe80::1")):
        add(f"source-{name}", ipv6(body, source=address, destination=lan["destination"]))
        add(f"destination-{name}", ipv6(body, source=lan["source"], destination=address))
    add("too-big", ipv6(udp(bytes(1444), 1000, 2000), **lan))


def add_transport(add4, add6, lan, lan6):
    cases = {"udp-length-0": (17, udp(bytes(8), 1, 2, length=0)), "udp-length-7": (17, udp(bytes(8), 1, 2, length=7)),
             "udp-length-long": (17, udp(bytes(8), 1, 2, length=9999)), "tcp-offset-0": (6, tcp(0)),
             "tcp-offset-15": (6, tcp(15)[:24]), "icmp-echo": (1, icmp()), "icmp-error": (1, icmp(3, 1)),
             "icmpv6-echo": (58, icmp(128)), "icmpv6-error": (58, icmp(1)), "unknown-protocol": (253, bytes(20)),
             "mobility-cut": (135, b"\x3b\0"), "sctp": (132, bytes(12)), "nested-ipv4": (4, ipv4(udp(bytes(4)))),
             "nested-ipv6": (41, ipv6(udp(bytes(4)))), "ah-word-count": (51, ah(200))}
    for size in range(4):
        for number in (1, 6, 17, 58):
            cases[f"protocol-{number:02}-cut-{size}"] = number, bytes(size)
    for name, (number, payload) in cases.items():
        add4(name, ipv4(payload, number, **lan))
        add6(name, ipv6(payload, number, **lan6))


def esp_sizes(spi):
    for size in (0, 1, 3, 4, 7, 8, 12, 16, 23, 24, 31, 32, 33, 34, 35, 36, 37, 47, 48, 1400):
        yield f"size-{size:04}", esp(spi, 1, bytes(1400))[:size]
    for name, value in (("spi-zero", 0), ("spi-reserved", 255), ("spi-unknown", 0xDEADBEEF)):
        yield name, esp(value)
    for name, sequence in (("sequence-0", 0), ("sequence-1", 1), ("sequence-last", 0xFFFFFFFF)):
        yield name, esp(spi, sequence)
    yield "garbage", esp(spi, 7, bytes((i * 167 + 13) & 255 for i in range(256)))


def add_esp(add4, add6, wan, wan6, spi):
    for name, payload in esp_sizes(spi):
        add4("esp-" + name, ipv4(payload, 50, **wan))
        add6("esp-" + name, ipv6(payload, 50, **wan6))
    for size in (0, 11, 12, 24):
        add4(f"ah-cut-{size:02}", ipv4(ah()[:size], 51, **wan))
    add4("esp-other-destination", ipv4(esp(spi), 50, destination="198.51.100.77"))
    add4("esp-fragment-first", ipv4(esp(spi), 50, field=0x2000, **wan))
    add4("esp-fragment-later", ipv4(esp(spi), 50, field=0x0009, **wan))
    add4("esp-options", ipv4(esp(spi), 50, options=bytes([1, 1, 1, 0]), **wan))
    add4("esp-bad-checksum", ipv4(esp(spi), 50, good=False, **wan))
    for name, headers in (("behind-options", [options(1, 0), options()]), ("behind-fragment", [fragment(0, 1)]),
                          ("behind-later-fragment", [fragment(1200, 0)]), ("behind-nine", [options()] * 9)):
        number, payload = chain(headers, 50, esp(spi))
        add6("esp-" + name, ipv6(payload, number, **wan6))


def add_udp_encapsulation(add4, add6, wan, wan6, spi):
    cases = {"keepalive": udp(b"\xff"), "keepalive-wrong-byte": udp(b"\xfe"), "empty": udp(b""),
             "marker-only": udp(bytes(4)), "marker-cut": udp(bytes(3)), "ike": udp(bytes(4) + bytes(28)),
             "length-0": udp(esp(spi), length=0), "length-short": udp(esp(spi), length=20),
             "length-long": udp(esp(spi), length=2000), "bad-checksum": udp(esp(spi), value=0xBEEF),
             "port-source-other": udp(esp(spi), source=40000), "port-destination-other": udp(esp(spi), destination=4501)}
    for name, payload in esp_sizes(spi):
        cases["esp-" + name] = udp(payload)
    for size in range(8):
        cases[f"cut-{size}"] = udp(esp(spi))[:size]
    for name, payload in cases.items():
        add4("udp4500-" + name, ipv4(payload, 17, **wan))
        add6("udp4500-" + name, ipv6(payload, 17, **wan6))


def make_seeds() -> dict[str, dict[str, bytes]]:
    body = udp(bytes(16), 1000, 2000)
    number, extensions = chain([options(1, 0), options(2), options(1, 43), fragment(0, 1)], 17, body)
    later_number, later = chain([fragment(1208, 0)], 17, body)
    good4 = {"udp": ipv4(body, field=0), "options": ipv4(body, options=bytes.fromhex("9404000007030401"), field=0),
             "tcp": ipv4(tcp(6), 6), "icmp": ipv4(icmp(), 1), "icmp-error": ipv4(icmp(3), 1), "esp": ipv4(esp(4096), 50),
             "first": ipv4(body, field=0x2000), "later": ipv4(body, field=0x0005), "large": ipv4(bytes(900), field=0)}
    good6 = {"udp": ipv6(body), "chain": ipv6(extensions, number), "later": ipv6(later, later_number),
             "icmp": ipv6(icmp(128), 58), "mobility": ipv6(bytes.fromhex("3b00050000000000"), 135)}
    both = {"ipv4-" + k: v for k, v in good4.items()} | {"ipv6-" + k: v for k, v in good6.items()}
    frame = bytes.fromhex("020000000001020000000002")
    return {
        "Ethernet": {"plain": frame + b"\x08\0" + good4["udp"], "tag": frame + bytes.fromhex("81000064 86dd") + good6["udp"],
                     "two-tags": frame + bytes.fromhex("81000001 81000002 0800")},
        "IPv4": good4, "IPv6": good6, "Summary": both,
        "Checksum": {"dns": udp(bytes(20), 53, 5353), "empty": udp(), "padded": udp() + bytes(5)},
        "Fragmenter": {f"{name}-{mtu}": struct.pack("!H", mtu) + packet
                       for name, packet in good4.items() for mtu in (68, 576) if name in ("options", "first", "later", "large")},
        "ICMPError": {f"{name}-{i}": bytes([i]) + packet for i, (name, packet) in enumerate(both.items())},
        "AddressText": {str(i): text.encode() for i, text in enumerate(
            ["192.0.2.1", "10.0.0.0/8", "2001:db8::1", "::", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8/64", "02:00:00:00:00:01"])},
    }


def write(directory: pathlib.Path, files: dict[str, bytes], suffix: str):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, data in files.items():
        (directory / (name + suffix)).write_bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=pathlib.Path)
    parser.add_argument("--destination-mac", default="02:00:00:00:00:01")
    parser.add_argument("--gateway", default="198.51.100.1")
    parser.add_argument("--gateway6", default="2001:db8:ff::1")
    parser.add_argument("--protected", default="10.1.0.5")
    parser.add_argument("--protected6", default="2001:db8:1::5")
    parser.add_argument("--spi", default="1000")
    arguments = parser.parse_args()
    write(arguments.frames or HERE / "frames", make_frames(arguments), ".bin")
    if arguments.frames is None:
        for target, seeds in make_seeds().items():
            write(HERE / target, seeds, "")


main()
