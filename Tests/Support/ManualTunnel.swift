import Packets

/// An ESP algorithm suite in the words of `ip xfrm`, with the length of its keys.
public struct TunnelCipher: Sendable, CustomStringConvertible {
    public let description: String
    /// Words of a state line, with `KEY` where a key of so many bytes goes, in order.
    private let words: [(String, keyBytes: Int, tail: String)]

    /// Every cipher that both ends can be asked for by one line.
    public static let aes128GCM = TunnelCipher("AES-128-GCM", [("aead 'rfc4106(gcm(aes))'", 20, "128")])
    public static let aes256GCM = TunnelCipher("AES-256-GCM", [("aead 'rfc4106(gcm(aes))'", 36, "128")])
    public static let chaCha20Poly1305 = TunnelCipher(
        "ChaCha20-Poly1305", [("aead 'rfc7539esp(chacha20,poly1305)'", 36, "128")])
    public static let aes128CBC = TunnelCipher(
        "AES-128-CBC + SHA-256", [("auth-trunc 'hmac(sha256)'", 32, "128"), ("enc 'cbc(aes)'", 16, "")])
    /// `auth` leaves the length of the ICV to the implementation: Linux cuts it to 96 bits (RFC 4868 says 128).
    public static let aes128CBC96 = TunnelCipher(
        "AES-128-CBC + SHA-256 with 96 bits", [("auth 'hmac(sha256)'", 32, ""), ("enc 'cbc(aes)'", 16, "")])
    public static let aes256CTR = TunnelCipher(
        "AES-256-CTR + SHA-384", [("auth-trunc 'hmac(sha384)'", 48, "192"), ("enc 'rfc3686(ctr(aes))'", 36, "")])
    public static let aes256GMAC = TunnelCipher("AES-256-GMAC", [("aead 'rfc4543(gcm(aes))'", 36, "128")])
    public static let null = TunnelCipher(
        "NULL + SHA-512", [("auth-trunc 'hmac(sha512)'", 64, "256"), ("enc 'ecb(cipher_null)'", 0, "")])

    private init(_ name: String, _ words: [(String, keyBytes: Int, tail: String)]) {
        description = name
        self.words = words
    }

    /// The keys of one direction, hexadecimal, in the order of the state line. Another seed gives other keys.
    public func keys(_ direction: Side, seed: Int = 0) -> [String] {
        words.enumerated().map { position, word in
            (0..<word.keyBytes).map { byte in
                let value = UInt8(truncatingIfNeeded: byte &* 29 &+ position &* 71 &+ direction.rawValue &* 101 &+ seed)
                return (value < 16 ? "0" : "") + String(value, radix: 16)
            }.joined()
        }
    }

    /// The algorithm words of a state line for the direction that starts at `direction`.
    func stateWords(_ direction: Side, seed: Int) -> String {
        zip(words, keys(direction, seed: seed)).map { word, key in
            "\(word.0) \(key.isEmpty ? "\"\"" : "0x" + key) \(word.tail)".trimmingSpaces
        }.joined(separator: " ")
    }
}

extension String {
    fileprivate var trimmingSpaces: String { last == " " ? String(dropLast()) : self }
}

/// A tunnel with manual keys between the two sites of `AddressPlan`, for both inner families.
///
/// The lines are what `ip -batch` reads; the states are the same for both ends, only the direction of the policies turns.
public struct ManualTunnel: Sendable, CustomStringConvertible {
    public var cipher: TunnelCipher
    public var outer: IPVersion
    public var extendedSequenceNumbers: Bool
    public var udpEncapsulation: Bool
    public var replayWindow: Int
    public var keySeed: Int
    /// The SPI from side A; B's is twice that. Up to 255 they are reserved (RFC 4303 section 2.1), and keyed by hand all the same.
    public var firstSPI: SPI

    public init(
        _ cipher: TunnelCipher = .aes128GCM, outer: IPVersion = .ipv4, extendedSequenceNumbers: Bool = false,
        udpEncapsulation: Bool = false, replayWindow: Int = 1024, keySeed: Int = 0,
        firstSPI: SPI = 0x1000
    ) {
        self.cipher = cipher
        self.outer = outer
        self.extendedSequenceNumbers = extendedSequenceNumbers
        self.udpEncapsulation = udpEncapsulation
        self.replayWindow = replayWindow
        self.keySeed = keySeed
        self.firstSPI = firstSPI
    }

    public var description: String {
        [
            "\(cipher)", "over \(outer)", extendedSequenceNumbers ? "ESN" : nil, udpEncapsulation ? "in UDP" : nil,
            !firstSPI.isUsable ? "with a reserved SPI" : nil,
        ].compactMap { $0 }.joined(separator: " ")
    }

    /// The SPI of packets that leave this side.
    public func spi(from side: Side) -> SPI { SPI(firstSPI.value * UInt32(side.rawValue)) }

    /// The two states, the same lines for both ends.
    public var states: String {
        Side.allCases.map { side in
            var line = "xfrm state add src \(side.outer(outer)) dst \(side.other.outer(outer)) proto esp "
            line += "spi \(spi(from: side)) reqid 1 mode tunnel replay-window \(replayWindow)"
            // Linux takes inner packets of the outer family alone unless it is told otherwise.
            line += " flag \(extendedSequenceNumbers ? "esn " : "")af-unspec"
            line += " " + cipher.stateWords(side, seed: keySeed)
            if udpEncapsulation { line += " encap espinudp 4500 4500 0.0.0.0" }
            return line + "\n"
        }.joined()
    }

    /// The policies of one end.
    public func policies(_ side: Side) -> String {
        IPVersion.allCases.flatMap { inner in
            ["out", "in", "fwd"].map { direction in
                let from = direction == "out" ? side : side.other
                return "xfrm policy add src \(from.prefix(inner)) dst \(from.other.prefix(inner)) dir \(direction) "
                    + "tmpl src \(from.outer(outer)) dst \(from.other.outer(outer)) proto esp reqid 1 mode tunnel\n"
            }
        }.joined()
    }

    /// Everything one end needs.
    public func batch(_ side: Side) -> String { states + policies(side) }
}
