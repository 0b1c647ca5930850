#!/usr/bin/env python3
"""Plays the far end of a tunnel with scapy: decrypts ESP, answers the echo requests inside with encrypted echo replies.

Arguments: the interface and a JSON object with "outer" (ipv4, ipv6), "local", "remote", "udp", "esn", "cipher" (as the
tests name it) and "in" and "out", each with "spi" and "keys". Prints "ready", then one line per packet that it could not
use. A packet that scapy's own implementation refuses is never answered.
"""
import json
import os
import socket
import sys

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

# The name in the tests: (scapy's cipher, scapy's integrity algorithm, which key is the cipher's, which the other's)
CIPHERS = {
    "AES-128-GCM": ("AES-GCM", None, 0, None),
    "AES-256-GCM": ("AES-GCM", None, 0, None),
    "AES-256-GMAC": ("AES-NULL-GMAC", None, 0, None),
    "ChaCha20-Poly1305": ("CHACHA20-POLY1305", None, 0, None),
    "AES-128-CBC + SHA-256": ("AES-CBC", "SHA2-256-128", 1, 0),
    "AES-256-CTR + SHA-384": ("AES-CTR", "SHA2-384-192", 1, 0),
    "NULL + SHA-512": ("NULL", "SHA2-512-256", None, 0),
}


def association(settings, direction, source, destination):
    """scapy's security association for one direction."""
    crypt, auth, crypt_key, auth_key = CIPHERS[settings["cipher"]]
    keys = [bytes.fromhex(key) for key in settings[direction]["keys"]]
    header = IP if settings["outer"] == "ipv4" else IPv6
    return SecurityAssociation(
        ESP, spi=settings[direction]["spi"], seq_num=1,
        crypt_algo=crypt, crypt_key=keys[crypt_key] if crypt_key is not None else None,
        auth_algo=auth, auth_key=keys[auth_key] if auth_key is not None else None,
        tunnel_header=header(src=source, dst=destination),
        nat_t_header=UDP(sport=4500, dport=4500) if settings["udp"] else None,
        esn_en=settings["esn"], esn=0)


def answer(inner):
    """The echo reply to an inner packet; None when it is no echo request."""
    if isinstance(inner, IP) and ICMP in inner and inner[ICMP].type == 8:
        request = inner[ICMP]
        reply = ICMP(type=0, id=request.id, seq=request.seq)
        return IP(src=inner.dst, dst=inner.src, ttl=64) / reply / Raw(bytes(request.payload))
    if isinstance(inner, IPv6) and ICMPv6EchoRequest in inner:
        request = inner[ICMPv6EchoRequest]
        reply = ICMPv6EchoReply(id=request.id, seq=request.seq, data=request.data)
        return IPv6(src=inner.dst, dst=inner.src) / reply
    return None


def main(interface, settings):
    receive = association(settings, "in", settings["remote"], settings["local"])
    send = association(settings, "out", settings["local"], settings["remote"])
    ethertype, header = (0x0800, IP) if settings["outer"] == "ipv4" else (0x86DD, IPv6)
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    link.bind((interface, ethertype))
    print("ready", flush=True)
    while True:
        frame, address = link.recvfrom(65535)
        if address[2] == socket.PACKET_OUTGOING:
            continue
        packet = header(frame[14:])
        if ESP not in packet or (UDP in packet) != settings["udp"]:
            continue
        try:
            inner = receive.decrypt(packet)
            reply = answer(inner)
            if reply is None:
                print("no echo request:", inner.summary(), flush=True)
                continue
            sealed = send.encrypt(reply, iv=os.urandom(send.crypt_algo.iv_size))
            link.send(frame[6:12] + frame[0:6] + frame[12:14] + bytes(sealed))
        except Exception as error:  # whatever scapy objects to is the finding; the next packet may be good
            print("refused:", type(error).__name__, error, flush=True)


main(sys.argv[1], json.loads(sys.argv[2]))
