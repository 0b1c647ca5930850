import Cryptography
import IKEv2
import IPsec
import Packets

/// An IKE SA with a child, and the connection that they came from.
enum Samples {
    static let second = Duration.seconds(1)

    static func range(_ text: String) -> AddressRange? { IPPrefix(text).map { AddressRange($0) } }

    static func child(_ name: String = "net") throws -> Child {
        var child = Child(name: name, proposals: [try ChildProposal(parsing: "aes128gcm16-x25519")])
        child.localSelectors = [SelectorSide(addresses: range("10.1.0.0/16"))]
        child.remoteSelectors = [SelectorSide(addresses: range("10.2.0.0/16"), protocolNumber: 6, ports: 80...80)]
        return child
    }

    static func connection(_ name: String = "moon", children: [String] = ["net"]) throws -> Connection {
        var connection = Connection(
            name: name, proposals: [try IKEProposal(parsing: "aes128gcm16-prfsha256-x25519")],
            local: LocalAuthentication(method: .preSharedKey, identity: .email("a@lab")),
            remote: RemoteAuthentication(method: .preSharedKey, identity: .email("b@lab")))
        connection.localAddresses = [.range(AddressRange(IPAddress(ipv4: 0x0A62_0001)))]
        connection.remoteAddresses = [.name("peer.example.org")]
        connection.children = try children.map { try child($0) }
        return connection
    }

    static let path = Path(
        local: Endpoint(IPAddress(ipv4: 0x0A62_0001), port: 4500),
        remote: Endpoint(IPAddress(ipv4: 0x0A62_0002), port: 4500))

    static func childSA(_ id: UInt32 = 7, of child: Child? = nil, inboundSPI: SPI = 0x4E30_3E43) throws -> ChildSA {
        let child = try child ?? Self.child()
        return ChildSA(
            id: id, child: child, connectionName: "moon", inboundSPI: inboundSPI, outboundSPI: 0x0042_3702,
            mode: .tunnel, transform: try ESPTransform(encryption: .aesGCM(keyBits: 128, icvBytes: 16)),
            extendedSequenceNumbers: true, keyExchange: .x25519, inboundKey: SecretBytes(copying: [1, 2, 3]),
            outboundKey: SecretBytes(copying: [4, 5, 6]), selectors: [], localSelectors: child.localSelectors,
            remoteSelectors: child.remoteSelectors, requestID: 3, path: path, isEncapsulated: true,
            establishedAt: .start + second * 90, lifetime: Lifetime())
    }

    /// Established 90 s after the start of the clock, which stands at 100 s.
    static func session(_ id: UInt32 = 6, name: String = "moon", children: [ChildSA] = []) -> IKESAStatus {
        var usage = ChildUsage()
        usage.inboundBytes = 840
        usage.inboundPackets = 10
        usage.lastInbound = .start + second * 98
        return IKESAStatus(
            id: id, connectionName: name, state: .established, isInitiator: true, initiatorSPI: 0x15B8_2AA0_6A68_D5D1,
            responderSPI: 0x0086_313B_2FA6_51E3, path: path, localIdentity: .email("a@lab"),
            remoteIdentity: .email("b@lab"), hasRemoteNAT: true,
            suite: IKECipherSuite(encryption: .aesCBC(keyBits: 256), integrity: .hmacSHA256_128), function: .hmacSHA256,
            keyExchange: .x25519, establishedAt: .start + second * 90, rekeyAt: .start + second * 13_172,
            activeTasks: ["CHILD_CREATE"],
            children: children.map {
                ChildSAStatus(
                    sa: $0, state: .installed, usage: usage, rekeyAt: .start + second * 3476,
                    expiresAt: .start + second * 4050)
            })
    }
}
