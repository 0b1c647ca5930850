#!/usr/bin/env python3
"""IKE's cryptography that is not ours: Python's `cryptography`, for the differential tests.

    ike_differential.py < questions > answers

Every question is a line of words; bytes are hexadecimal, "-" is none. Every answer is a line.

    exchange METHOD PUBLIC                       our own public value and the shared secret
    verify SCHEME KEY MESSAGE SIGNATURE          "good" or "bad"; KEY is a SubjectPublicKeyInfo
    sign SCHEME KEY MESSAGE                      a signature; KEY is a PKCS#8 PEM
    seal ENCRYPTION HASH KEY MACKEY IV AAD TEXT  the body of an SK payload
"""

import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import dh, ec, ed25519, padding, utils, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
CURVES = {"ecp256": ec.SECP256R1, "ecp384": ec.SECP384R1, "ecp521": ec.SECP521R1}
MONTGOMERY = {
    "x25519": (x25519.X25519PrivateKey, x25519.X25519PublicKey),
    "x448": (x448.X448PrivateKey, x448.X448PublicKey),
}
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


def unhex(word):
    return b"" if word == "-" else bytes.fromhex(word)


def exchange(method, public):
    """METHOD is a name, or "modp:" and the prime."""
    public = unhex(public)
    if method in MONTGOMERY:
        private, peer = MONTGOMERY[method][0].generate(), MONTGOMERY[method][1].from_public_bytes(public)
        return private.public_key().public_bytes(*RAW).hex(), private.exchange(peer).hex()
    if method in CURVES:
        curve = CURVES[method]()
        private = ec.generate_private_key(curve)
        peer = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public)
        point = serialization.PublicFormat.UncompressedPoint
        own = private.public_key().public_bytes(serialization.Encoding.X962, point)[1:]
        return own.hex(), private.exchange(ec.ECDH(), peer).hex()
    prime = int(method.removeprefix("modp:"), 16)
    numbers = dh.DHParameterNumbers(prime, 2)
    private = numbers.parameters().generate_private_key()
    peer = dh.DHPublicNumbers(int.from_bytes(public, "big"), numbers).public_key()
    own = private.public_key().public_numbers().y.to_bytes(len(public), "big")
    return own.hex(), private.exchange(peer).rjust(len(public), b"\0").hex()


def arguments(scheme):
    """What goes behind the message (and signature) in Python's calls."""
    kind, _, name = scheme.partition(":")
    if kind in ("ed25519", "ed448"):
        return ()
    digest = HASHES[name]()
    if kind == "pkcs1":
        return padding.PKCS1v15(), digest
    if kind == "pss":
        return padding.PSS(padding.MGF1(digest), digest.digest_size), digest
    return (ec.ECDSA(digest),)


def verify(scheme, key, message, signature):
    key, signature = serialization.load_der_public_key(unhex(key)), unhex(signature)
    if scheme.startswith("raw"):
        half = len(signature) // 2
        r, s = signature[:half], signature[half:]
        signature = utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        key.verify(signature, unhex(message), *arguments(scheme))
        return ("good",)
    except InvalidSignature:
        return ("bad",)


def sign(scheme, key, message):
    key = serialization.load_pem_private_key(unhex(key), None)
    signature = key.sign(unhex(message), *arguments(scheme))
    if scheme.startswith("raw"):
        length = (key.key_size + 7) // 8
        signature = b"".join(part.to_bytes(length, "big") for part in utils.decode_dss_signature(signature))
    return (signature.hex(),)


def seal(encryption, digest, key, mac_key, iv, aad, text):
    key, mac_key, iv, aad, text = (unhex(word) for word in (key, mac_key, iv, aad, text))
    if encryption != "cbc":
        make = {"gcm": AESGCM, "chacha": ChaCha20Poly1305}[encryption]
        return ((iv + make(key[:-4]).encrypt(key[-4:] + iv, text, aad)).hex(),)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = iv + encryptor.update(text) + encryptor.finalize()
    mac = hmac.HMAC(mac_key, HASHES[digest]())
    mac.update(aad + sealed)
    return ((sealed + mac.finalize()[: 12 if digest == "sha1" else len(mac_key) // 2]).hex(),)


for line in sys.stdin:
    command, *words = line.split()
    print(*{"exchange": exchange, "verify": verify, "sign": sign, "seal": seal}[command](*words))
