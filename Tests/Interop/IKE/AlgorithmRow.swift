import TestSupport

/// One connection of the algorithm tests. The rows name every key exchange group and every ESP cipher at least once.
struct AlgorithmRow: Sendable {
    let name: String
    let ike: String
    let esp: String

    /// Those that strongSwan's user-space ESP can.
    static let userSpace = [
        AlgorithmRow(name: "x25519", ike: "aes128gcm16-prfsha256-x25519", esp: "aes128gcm16"),
        AlgorithmRow(name: "x448", ike: "chacha20poly1305-prfsha512-x448", esp: "chacha20poly1305"),
        AlgorithmRow(name: "ecp256", ike: "aes128-sha256-ecp256", esp: "aes128-sha256"),
        AlgorithmRow(name: "ecp384", ike: "aes256gcm16-prfsha384-ecp384", esp: "aes256gcm16"),
        AlgorithmRow(name: "ecp521", ike: "aes256-sha512-ecp521", esp: "aes256-sha512"),
        AlgorithmRow(name: "modp2048", ike: "aes256-sha256-modp2048", esp: "aes192-sha384"),
        AlgorithmRow(name: "modp3072", ike: "aes256-sha384-modp3072", esp: "aes128ctr-sha256"),
        AlgorithmRow(name: "modp4096", ike: "aes256gcm16-prfsha512-modp4096", esp: "null-sha256"),
        AlgorithmRow(name: "pfs", ike: "aes256gcm16-prfsha384-ecp384", esp: "aes256gcm16-ecp384"),
    ]

    /// Those that take a kernel: extended sequence numbers, GMAC, and a few of each kind.
    static let kernel = [
        AlgorithmRow(name: "plain", ike: "aes128gcm16-prfsha256-x25519", esp: "aes128gcm16-noesn"),
        AlgorithmRow(name: "esn", ike: "aes256gcm16-prfsha384-ecp384", esp: "aes256gcm16-esn"),
        AlgorithmRow(name: "esn-cbc", ike: "aes256-sha256-modp2048", esp: "aes256-sha256-esn"),
        AlgorithmRow(name: "pfs", ike: "aes128-sha256-x448", esp: "aes256gcm16-x25519-esn"),
        AlgorithmRow(name: "chapoly", ike: "chacha20poly1305-prfsha256-ecp256", esp: "chacha20poly1305-noesn"),
        AlgorithmRow(name: "gmac", ike: "aes128gcm16-prfsha256-x25519", esp: "aes256gmac-noesn"),
    ]

    /// The rows as connections, one for each, under a first one that takes whatever any of them offers: the responder
    /// finds that one.
    static func configuration(_ rows: [AlgorithmRow], settings: [String] = []) -> IKEConfiguration {
        let everything = IKEConnection(
            "all", proposals: rows.map(\.ike).joined(separator: ","),
            children: [IKEChild("net", proposals: rows.map(\.esp).joined(separator: ","))], settings: settings)
        let each = rows.map {
            IKEConnection($0.name, proposals: $0.ike, children: [IKEChild(proposals: $0.esp)], settings: settings)
        }
        return IKEConfiguration([everything] + each)
    }
}
