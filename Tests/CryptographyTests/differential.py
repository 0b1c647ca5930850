#!/usr/bin/env python3
"""An ESP cipher that is not ours: Python's `cryptography`, for the differential test.

    differential.py TRANSFORM SEED COUNT < sealed packets > answers

Every line on stdin is a packet that the engine sealed: "extended high key packet", the last two in base64. It is answered
by its payload, or by "refused". Then come COUNT random packets sealed here: "extended high key header iv payload packet".
"""

import base64
import random
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

HASHES = {
    "sha1": (hashes.SHA1, 20, 12),
    "sha256_96": (hashes.SHA256, 32, 12),
    "sha256": (hashes.SHA256, 32, 16),
    "sha384": (hashes.SHA384, 48, 24),
    "sha512": (hashes.SHA512, 64, 32),
}


class AEAD:
    """RFC 4106, RFC 4543 and RFC 7634."""

    iv_length, alignment = 8, 1

    def __init__(self, name):
        self.gmac = "gmac" in name
        gcm = re.fullmatch(r"aes(\d+)gcm(\d+)", name)
        self.icv_length = int(gcm[2]) if gcm else 16
        self.key_length = 32 if name.startswith("chacha") else int(re.match(r"aes(\d+)", name)[1]) // 8
        self.make = ChaCha20Poly1305 if name.startswith("chacha") else AESGCM
        self.material_length = self.key_length + 4

    def parts(self, material, header, high, iv, payload):
        """Nonce, AAD and plaintext or ciphertext."""
        aad = header if high is None else header[:4] + high + header[4:]
        nonce = material[self.key_length :] + iv
        return (nonce, aad + iv + payload, b"") if self.gmac else (nonce, aad, payload)

    def seal(self, material, header, high, iv, payload):
        nonce, aad, plain = self.parts(material, header, high, iv, payload)
        sealed = self.make(material[: self.key_length]).encrypt(nonce, plain, aad)
        body = payload if self.gmac else sealed[:-16]
        return header + iv + body + sealed[-16:][: self.icv_length]

    def open(self, material, header, high, iv, body, icv):
        nonce, aad, sealed = self.parts(material, header, high, iv, body)
        key = material[: self.key_length]
        if self.icv_length == 16:
            opened = self.make(key).decrypt(nonce, sealed + icv, aad)
        else:
            decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, icv, len(icv))).decryptor()
            decryptor.authenticate_additional_data(aad)
            opened = decryptor.update(sealed) + decryptor.finalize()
        return body if self.gmac else opened


class EncryptThenMAC:
    """RFC 3602, RFC 3686 or RFC 2410, with an HMAC of RFC 4868 (or RFC 2404)."""

    def __init__(self, name):
        encryption, integrity = name.split("-")
        self.hash, self.mac_key_length, self.icv_length = HASHES[integrity]
        self.counter = encryption.endswith("ctr")
        bits = re.match(r"aes(\d+)", encryption)
        self.key_length = int(bits[1]) // 8 if bits else 0
        self.iv_length = 0 if not bits else 8 if self.counter else 16
        self.alignment = 16 if self.iv_length == 16 else 1
        self.mac_start = self.key_length + (4 if self.counter else 0)
        self.material_length = self.mac_start + self.mac_key_length

    def cipher(self, material, iv):
        key = algorithms.AES(material[: self.key_length])
        if self.counter:
            return Cipher(key, modes.CTR(material[self.key_length : self.mac_start] + iv + struct.pack(">I", 1)))
        return Cipher(key, modes.CBC(iv))

    def mac(self, material, message, high):
        mac = hmac.HMAC(material[self.mac_start :], self.hash())
        mac.update(message + (high or b""))
        return mac.finalize()[: self.icv_length]

    def seal(self, material, header, high, iv, payload):
        if self.key_length:
            encryptor = self.cipher(material, iv).encryptor()
            payload = encryptor.update(payload) + encryptor.finalize()
        message = header + iv + payload
        return message + self.mac(material, message, high)

    def open(self, material, header, high, iv, body, icv):
        if self.mac(material, header + iv + body, high) != icv:
            raise InvalidSignature
        if not self.key_length:
            return body
        decryptor = self.cipher(material, iv).decryptor()
        return decryptor.update(body) + decryptor.finalize()


def answer(suite, line):
    """The payload of one packet that the engine sealed."""
    extended, high, material, packet = line.split()
    material, packet = base64.b64decode(material), base64.b64decode(packet)
    body, end = 8 + suite.iv_length, len(packet) - suite.icv_length
    high = struct.pack(">I", int(high)) if extended == "1" else None
    try:
        return suite.open(material, packet[:8], high, packet[8:body], packet[body:end], packet[end:])
    except (InvalidTag, InvalidSignature):
        return None


def generate(suite, source):
    """One random packet: mostly short, up to 2000 bytes."""
    extended, high = source.randrange(2), source.getrandbits(32)
    material = source.randbytes(suite.material_length)
    header, iv = source.randbytes(8), source.randbytes(suite.iv_length)
    length = source.randrange(source.choice((64, 300, 2001))) // suite.alignment * suite.alignment
    payload = source.randbytes(length)
    packet = suite.seal(material, header, struct.pack(">I", high) if extended else None, iv, payload)
    fields = (base64.b64encode(field).decode() for field in (material, header, iv, payload, packet))
    return f"{extended} {high} " + ",".join(fields)


def main():
    name, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    suite = EncryptThenMAC(name) if "-" in name else AEAD(name)
    for line in sys.stdin:
        payload = answer(suite, line)
        print("refused" if payload is None else "=" + base64.b64encode(payload).decode())
    source = random.Random(seed)
    for _ in range(count):
        print(generate(suite, source))


main()
