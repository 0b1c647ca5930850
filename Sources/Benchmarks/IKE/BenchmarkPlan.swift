import Cryptography
import IKEv2
import IPsec
import Packets

/// The connections of the benchmark: default proposals, which come to X25519 and AES-128-GCM, and one pre-shared key;
/// each peer has its own address.
enum BenchmarkPlan {
    static let gateway = IPAddress(ipv4: 0xC000_0201)
    static let sharedKey = Credentials.SharedKey(
        name: "benchmark", owners: [], secret: SecretBytes(copying: Array("a secret of the benchmark".utf8)))

    static var credentials: Credentials {
        var credentials = Credentials()
        credentials.sharedKeys = [sharedKey]
        return credentials
    }

    /// 10.0.0.0 and on.
    static func address(ofPeer number: Int) -> IPAddress {
        IPAddress(ipv4: 0x0A00_0000 + UInt32(truncatingIfNeeded: number))
    }

    static func connection(local: Identity, remote: Identity) -> Connection {
        var connection = Connection(
            name: "benchmark", proposals: IKEProposal.default,
            local: LocalAuthentication(method: .preSharedKey, identity: local),
            remote: RemoteAuthentication(method: .preSharedKey, identity: remote))
        connection.children = [Child(name: "child", proposals: ChildProposal.default)]
        return connection
    }
}
